"""The pages name files and functions that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.source_tree import HOUSE, sources

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
# `core/a/b.py`, `core/a/b.py:name`, `tui/widgets/` between backquotes.
REFERENCE = re.compile(r"`((?:core|cli|tui|screens|tests|benchmarks|examples|docs)/[\w/.-]*)(?::([A-Za-z_]+))?`")
LINK = re.compile(r"\]\(([^)#\s]+)(#[\w-]+)?\)")


def references(page: Path) -> list[tuple[str, str]]:
    return REFERENCE.findall(page.read_text(encoding="utf-8"))


def names_in(path: Path) -> set[str]:
    """Functions, classes and assigned names at the top level of a module."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_exists(page: Path) -> None:
    wrong = []
    for path, name in references(page):
        target = ROOT / path
        if not target.exists() or (name and name not in names_in(target)):
            wrong.append(f"{path}:{name}" if name else path)
    assert not wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    wrong = []
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path = (page.parent / target).resolve()
        if not path.exists():
            wrong.append(target)
        elif anchor and anchor[1:] not in anchors(path):
            wrong.append(f"{target}{anchor}")
    assert not wrong


def anchors(page: Path) -> set[str]:
    """The anchors that a Markdown page's titles get."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_map_names_every_folder_of_the_core() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    folders = {path.name for path in (ROOT / "core").iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert not [name for name in sorted(folders) if f"core/{name}/" not in text]


def test_the_page_of_dependencies_names_who_imports_each() -> None:
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| ([^|]*`[^|]*) \| ", (ROOT / "docs/dependencies.md").read_text(), re.M)
    assert len(rows) >= 10
    for package, places in rows:
        name = {"pyyaml": "yaml"}.get(package, package.replace("-", "_"))
        imports = re.compile(rf"^\s*(import|from) {name}\b|import_module\(.{name}.\)", re.M)
        files = {
            str(path.relative_to(ROOT))
            for folder in HOUSE
            for path in sources(folder)
            if imports.search(path.read_text())
        } - {"core/template.py"}  # the text of a project's own files
        named = tuple(re.findall(r"`([^`]+)`", places))
        assert files and not [file for file in files if not file.startswith(named)], package
        assert not [place for place in named if not any(file.startswith(place) for file in files)], package
