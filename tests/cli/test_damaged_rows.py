"""Rows that somebody else has changed: every command says which one it is, and none ends as a fault of Podium's."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from podium.core.domain.containers import EngineSnapshot
from podium.core.domain.models import MetricPoint
from podium.core.errors import JournalError
from podium.core.journal import Journal

from tests.cli.conftest import Call
from tests.tui.seed import seed

COMMANDS = ("status", "ps", "show 1", "versions", "history", "doctor")
# Text where a number, a document or a word of a few should be.
COLUMNS = (
    *(("runs", column) for column in ("state", "trigger", "params", "created", "started")),
    *(("steps", column) for column in ("state", "needs", "results", "started")),
    *(("deployments", column) for column in ("how", "state", "data", "at")),
    *(("versions", column) for column in ("aliases", "verdict", "metrics", "created")),
    ("replicas", "state"),
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("whole") / "project"
    seed(home, runs=5, now=time.time()).close()
    return home


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_a_damaged_row_is_named(whole: Path, home: Path, call: Call, table: str, column: str) -> None:
    shutil.copy(whole / "podium.yaml", home)
    (home / ".podium").mkdir(mode=0o700)
    shutil.copy(whole / ".podium" / "journal.db", home / ".podium")
    with closing(sqlite3.connect(home / ".podium" / "journal.db")) as journal, journal:
        assert journal.execute(f'UPDATE "{table}" SET "{column}" = ?', ("gar\x00ble{",)).rowcount > 0
    told = []
    for command in COMMANDS:
        done = call(*command.split())
        assert "unexpected" not in done.err and "Traceback" not in done.err, (command, done.err)
        if "is damaged" in done.err + done.out:
            told.append(command)
    assert told, "one of them reads it, and says so"


def test_damaged_rows_that_no_command_lists_are_named(tmp_path: Path) -> None:
    """The fuzzer of the journal's rows found them."""
    with Journal.open(tmp_path / "journal.db") as journal:
        journal.versions.put_history("r", "accuracy", [MetricPoint(1, 1.0, 0.5)])
        journal.snapshots.put(EngineSnapshot("production", "unix:///x", 1.0, (), ""))
        journal.loops.keep_cause(7, "propose", {"a": "b"})
        reads = {
            ("histories", "points"): lambda: journal.versions.history("r", "accuracy"),
            ("pictures", "containers"): lambda: journal.snapshots.get("production"),
            ("values", "value"): lambda: journal.loops.cause(7),
        }
        for (table, column), read in reads.items():
            assert read()
            for garbage in ("", "gar{", "1", "[[1]]", '{"a": [1]}', b"\xff", 7):
                with closing(sqlite3.connect(tmp_path / "journal.db")) as other, other:
                    assert other.execute(f'UPDATE "{table}" SET "{column}" = ?', (garbage,)).rowcount == 1
                with pytest.raises(JournalError, match="the journal is damaged"):
                    read()
