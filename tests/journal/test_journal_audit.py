"""The audit shows every way in which it can be tampered with."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from podium.core.errors import JournalError
from podium.core.journal import Journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "journal.db"
    with Journal.open(file) as journal:
        for number in range(6):
            journal.audit.add("anna from 10.0.0.7", "promote", f"production {number}", f"because {number}")
        assert journal.audit.verify() == []
    return file


def tamper(path: Path, *statements: str) -> list[str]:
    raw = sqlite3.connect(path)
    for trigger in ("audit_no_update", "audit_no_delete"):
        sql = raw.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (trigger,)).fetchone()[0]
        raw.execute(f"DROP TRIGGER {trigger}")
        statements = (*statements, sql)
    for statement in statements:
        raw.execute(statement)
    raw.commit()
    raw.close()
    with Journal.open(path) as journal:
        return journal.audit.verify()


def test_pages(path: Path) -> None:
    with Journal.open(path) as journal:
        assert [entry.id for entry in journal.audit.page(limit=2)] == [6, 5]
        assert [entry.id for entry in journal.audit.page(limit=2, before=5)] == [4, 3]


@pytest.mark.parametrize("column", ["who", "action", "subject", "why", "at"])
def test_an_edited_row(path: Path, column: str) -> None:
    value = "at + 0.001" if column == "at" else "'nobody'"
    assert tamper(path, f"UPDATE audit SET {column} = {value} WHERE id = 3") == [
        "audit entry 3 was changed, or the one before it was exchanged"
    ]


def test_deleted_rows(path: Path) -> None:
    assert tamper(path, "DELETE FROM audit WHERE id IN (2, 3)")[0] == "audit entry 2 to 3 is missing"


def test_a_deleted_row_with_the_rest_moved_up(path: Path) -> None:
    assert tamper(
        path, "DELETE FROM audit WHERE id = 3", *(f"UPDATE audit SET id = {n - 1} WHERE id = {n}" for n in (4, 5, 6))
    )


def test_a_cut_tail(path: Path) -> None:
    assert tamper(path, "DELETE FROM audit WHERE id > 4") == ["the audit ends at entry 4, but 6 were written"]


def test_exchanged_rows(path: Path) -> None:
    found = tamper(
        path,
        "UPDATE audit SET id = 99 WHERE id = 2",
        "UPDATE audit SET id = 2 WHERE id = 3",
        "UPDATE audit SET id = 3 WHERE id = 99",
    )
    assert any("entry 2" in problem for problem in found)


def test_everything_deleted(path: Path) -> None:
    assert tamper(path, "DELETE FROM audit")


def test_removed_guards(path: Path) -> None:
    raw = sqlite3.connect(path)
    raw.execute("DROP TRIGGER audit_no_update")
    raw.commit()
    raw.close()
    with Journal.open(path) as journal:
        assert journal.audit.verify() == ["the guards that keep the audit append-only were removed"]


@pytest.mark.parametrize("statement", ["DELETE FROM audit WHERE id = 1", "UPDATE audit SET who = 'x'"])
def test_the_tables_themselves_refuse(path: Path, statement: str) -> None:
    with Journal.open(path) as journal, pytest.raises(JournalError, match="append-only"):
        journal._database.run(statement)


def test_text_that_is_no_unicode_is_kept_as_far_as_it_can_be(path: Path) -> None:
    with Journal.open(path) as journal:
        journal.audit.add("anna", "run", "caf\udce9 \x00 'x'")
        assert journal.audit.verify() == []
