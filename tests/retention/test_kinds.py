"""Everything that grows is in the one table."""

from __future__ import annotations

import ast
import tarfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
from podium.core.config.keys.retain import RETAIN
from podium.core.domain.project import Project, Retain
from podium.core.journal import Journal
from podium.core.retention.kinds import KINDS, kind_of, kind_of_table
from podium.core.retention.usage import usage

from tests.source_tree import ROOT, parsed, sources

OLD_PROJECT = ROOT / "tests/journal/fixtures/old_project.tar.gz"


def test_every_table_of_the_journal_is_in_a_row(journal: Journal) -> None:
    missing = [table for table in journal.rows.tables() if kind_of_table(table) is None]
    assert not missing, "give these a row in core/retention/kinds.py"
    tables = [table for kind in KINDS for table in kind.tables]
    assert len(tables) == len(set(tables)) and set(tables) <= set(journal.rows.tables())


def named_below_the_state_directory() -> set[str]:
    """Returns the first name of every path that the source makes below a state directory (`state / "name"`)."""
    found: set[str] = set()
    for path in sources("core"):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and is_state(node.left):
                found |= text_of(node.right, path)
    return found


def is_state(node: ast.expr) -> bool:
    text = ast.unparse(node)
    return text.split(".")[-1] in ("state", "_state") or text.endswith(("STATE", "'.podium'"))


def text_of(node: ast.expr, path: Path) -> set[str]:
    """Returns what a part of a path says, `x` for what is known at run time only."""
    if isinstance(node, ast.Constant):
        return {str(node.value)}
    if isinstance(node, ast.FormattedValue):
        return text_of(node.value, path) or {"x"}
    if isinstance(node, ast.JoinedStr):
        return {"".join(next(iter(text_of(part, path))) for part in node.values)}
    if isinstance(node, ast.Name):  # a constant of the module
        return {
            str(each.value.value)
            for each in parsed(path).body
            if isinstance(each, ast.Assign)
            and isinstance(each.value, ast.Constant)
            and any(isinstance(target, ast.Name) and target.id == node.id for target in each.targets)
        }
    return set()


def test_every_directory_that_the_source_names_is_in_a_row() -> None:
    found = named_below_the_state_directory()
    assert {"runs", "cache", "models", "environments", "worktrees", "locks"} <= found, "the search works"
    missing = {name for name in found if kind_of(f"{name}/x") is None and kind_of(name) is None}
    assert not missing, "give these a row in core/retention/kinds.py"


def test_a_project_with_history_has_nothing_unknown(tmp_path: Path) -> None:
    with tarfile.open(OLD_PROJECT) as archive:
        archive.extractall(tmp_path)
    state = tmp_path / "harbour/.podium"
    paths = [str(path.relative_to(state)) for path in state.rglob("*") if path.is_file()]
    assert len(paths) > 20 and not [path for path in paths if kind_of(path) is None]


def test_keys_and_rows_belong_together() -> None:
    keys = {key.name for key in RETAIN.keys}
    assert keys == {field.name for field in fields(Retain)}
    assert {key for kind in KINDS for key in kind.keys} | {"evidence"} == keys
    for kind in KINDS:
        assert bool(kind.keys) != bool(kind.kept), kind.name
        assert kind.find or not kind.keys or kind.name == "samples", "samples are thinned out by themselves"
        assert not set(kind.keys) - keys and kind.words(Retain())


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("runs/3/train.log", "logs"),
        ("environments/production/capture/capture-1.jsonl", "captures"),
        ("environments/production/production-v1-1.log", "replica_logs"),
        ("environments/production/haproxy.cfg", "serving"),
        ("sealed/audit-000001.jsonl.gz", "audit"),
        ("crash-20260101T000000-1.txt", "temporary"),
        ("mlflow.db-wal", "store"),
        ("mlflow/mlflow.db-journal", "store"),
    ],
)
def test_the_first_row_that_has_a_path_counts(path: str, name: str) -> None:
    kind = kind_of(path)
    assert kind is not None and kind.name == name


def test_a_new_directory_is_told(project: Project, journal: Journal, file: Callable[..., Path]) -> None:
    file("quux/data.bin")
    found = {each.kind: each for each in usage(project, journal)}
    assert found["other"].entries == 1


def test_files_with_holes_and_second_names_count_as_what_they_take(
    project: Project, journal: Journal, file: Callable[..., Path]
) -> None:
    real = file("runs/1/a.log", size=50_000)
    (project.state / "runs/1/b.log").hardlink_to(real)
    with (project.state / "runs/1/holes.log").open("wb") as sparse:
        sparse.truncate(10 << 30)
    (project.state / "runs/1/elsewhere").symlink_to("/usr")
    logs = next(each for each in usage(project, journal) if each.kind == "logs")
    assert logs.entries == 4 and 50_000 <= logs.size < 1_000_000
