"""The walls of the house: who may import whom, read from the source, and what a light command really loads, seen
from outside.

The floors of core/, from the ground up. A file imports its own floor's folder and floors below, never above.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Folders (and single modules) of core/ from the ground up. Rooms of one floor do not import each other.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("version", "errors", "handover"),
    ("identity", "beneath", "http_client"),
    ("domain",),
    ("config", "journal", "logs", "scm"),
    ("registry", "containers"),
    ("engine",),
    ("quality", "serving"),
    ("delivery",),
    ("monitoring",),
    ("infra",),
    ("changes",),
    ("triggers",),
    ("lineage", "template", "doctor", "demo"),
    ("cockpit",),
)
LEVEL = {room: level for level, floor in enumerate(FLOORS) for room in floor}
# Modules that import nothing of core/ themselves, and so may be used from any floor; a test below keeps them so.
PURE = ("podium.core.monitoring.exposition",)
TERMINAL = ("textual", "rich", "typer", "click")


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def typing_only(tree: ast.AST) -> set[ast.AST]:
    """Nodes below `if TYPE_CHECKING:`: nothing of them happens at run time."""
    found: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.body:
                found.update(ast.walk(child))
    return found


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """(absolute module below podium or outside, whether only for types) of every import of a file, late ones too."""
    package = ("podium", *path.relative_to(ROOT).parent.parts)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    types = typing_only(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node in types) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [base, node.module or ""]))
            names = [alias.name for alias in node.names]
            if (ROOT / Path(*module.split(".")[1:])).is_dir() and module.startswith("podium"):
                yield from ((f"{module}.{name}", node in types) for name in names)
            else:
                yield module, node in types


def all_imports(folder: str) -> Iterator[tuple[str, str, bool]]:
    for path in sources(folder):
        for module, types in imports(path):
            yield str(path.relative_to(ROOT)), module, types


def room(module: str) -> str:
    """`podium.core.journal.runs` -> `journal`; empty for the package itself."""
    parts = module.split(".")
    return parts[2] if len(parts) > 2 else ""


def test_core_knows_no_terminal() -> None:
    wrong = [(file, module) for file, module, _ in all_imports("core") if module.split(".")[0] in TERMINAL]
    assert not wrong
    outside = [
        (file, module)
        for file, module, _ in all_imports("core")
        if module.startswith("podium.") and not module.startswith("podium.core")
    ]
    assert not outside


@pytest.mark.parametrize("folder", ["cli", "tui", "screens"])
def test_front_ends_see_the_facade_and_the_vocabulary_only(folder: str) -> None:
    allowed = {"cockpit", "domain", "errors", "version"}
    wrong = [
        (file, module)
        for file, module, types in all_imports(folder)
        if module.startswith("podium.core") and room(module) not in allowed and not (types and room(module) == "demo")
    ]
    assert not wrong


def test_the_headless_front_end_does_not_know_the_screen() -> None:
    wrong = [
        (file, module)
        for file, module, _ in all_imports("cli")
        if module.startswith(("podium.tui", "podium.screens", "textual", "rich"))
    ]
    assert not wrong
    wrong = [
        (file, module)
        for folder in ("tui", "screens")
        for file, module, _ in all_imports(folder)
        if module.startswith(("podium.cli", "typer"))
    ]
    assert not wrong


def test_every_room_has_a_floor() -> None:
    rooms = {path.stem if path.is_file() else path.name for path in (ROOT / "core").iterdir()} - {
        "__init__",
        "__pycache__",
        "py",
    }
    assert rooms <= set(LEVEL), f"give these a floor in FLOORS: {rooms - set(LEVEL)}"


def test_core_imports_downwards_only() -> None:
    wrong = []
    for file, module, types in all_imports("core"):
        own = Path(file).parts[1].removesuffix(".py")
        other = room(module)
        if not module.startswith("podium.core") or not other or own in ("__init__", other) or types or module in PURE:
            continue  # naming a type of a higher floor binds nothing at run time
        if LEVEL[other] >= LEVEL[own]:
            wrong.append((file, module))
    assert not wrong


@pytest.mark.parametrize("module", PURE)
def test_pure_modules_import_nothing_of_core(module: str) -> None:
    path = ROOT.joinpath(*module.split(".")[1:]).with_suffix(".py")
    assert not [name for name, _ in imports(path) if name.startswith("podium")]


def test_the_walls_see_imports() -> None:
    seen = {(file, module) for file, module, _ in all_imports("core")}
    assert ("core/cockpit/opened.py", "podium.core.journal.Journal") in seen
    assert ("core/cockpit/environments.py", "podium.core.delivery.rollout.plans") in seen, "late imports too"


def test_only_output_prints_on_standard_output() -> None:
    wrong = []
    for path in sources("cli"):
        if path.name in ("output.py", "main.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "typer.echo", "sys.stdout.write"):
                to_stderr = any(word.arg == "file" and "stderr" in ast.unparse(word.value) for word in node.keywords)
                version = path.name == "app.py" and "VERSION" in ast.unparse(node)
                if not to_stderr and not version:
                    wrong.append(f"{path.name}:{node.lineno}")
    assert not wrong


HEAVY = (
    "mlflow",
    "docker",
    "textual",
    "pandas",
    "numpy",
    "sklearn",
    "httpx",
    "rich",
    "pydantic",
    "starlette",
    "uvicorn",
    "psutil",
)
REPORT = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})), file=sys.stderr))
"""


def loaded(code: str, cwd: Path) -> set[str]:
    """Top-level modules in a fresh process that ran `code`."""
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", REPORT + code], cwd=cwd, env=environ, capture_output=True, text=True, timeout=60
    )
    assert done.stderr.strip(), done.stdout
    return set(json.loads(done.stderr.strip().splitlines()[-1]))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    text = (
        "project: walls\npipelines: {release: {steps: {one: {run: 'true'}}}}\nenvironments: {staging: {port: 5100}}\n"
    )
    (tmp_path / "podium.yaml").write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ["--version"],
        ["ps", "-o", "json"],
        ["status", "-o", "json"],
        ["versions", "-o", "json"],
        ["validate"],
        ["run", "-d"],
        ["history"],
        ["--help"],
    ],
    ids=" ".join,
)
def test_a_light_command_loads_nothing_heavy(project: Path, words: list[str]) -> None:
    modules = loaded(f"from podium.cli.main import main\nassert main({words!r}) == 0", project)
    assert not modules & set(HEAVY)


def test_version_loads_next_to_nothing(project: Path) -> None:
    modules = loaded("from podium.cli.main import main\nmain(['--version'])", project)
    assert not modules & {*HEAVY, "typer", "sqlite3", "yaml"}


@pytest.mark.parametrize(
    "module",
    [
        "podium.core.cockpit",
        "podium.core.journal",
        "podium.core.engine.worker",
        "podium.core.engine.executors.container.executor",
        "podium.core.triggers.agent",
    ],
)
def test_a_light_module_loads_nothing_heavy(project: Path, module: str) -> None:
    assert not loaded(f"import {module}", project) & set(HEAVY)
