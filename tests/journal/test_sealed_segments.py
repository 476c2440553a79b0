"""Old rows of the audit and of the ledger leave the journal for sealed files: nothing is lost, and every change of one
is seen."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.domain.delivery import DeploymentState, How
from podium.core.errors import JournalError
from podium.core.journal import Journal
from podium.core.journal.aging import segments as module
from podium.core.journal.aging.segments import AUDIT, LEDGER

FAR = 1e12


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    monkeypatch.setattr(module, "LEAST_ROWS", 3)
    monkeypatch.setattr(module, "MOST_ROWS", 4)
    monkeypatch.setattr(module, "NEWEST_DEPLOYMENTS", 2)
    with Journal.open(tmp_path / "journal.db") as opened:
        yield opened


def write(journal: Journal, number: int = 10) -> None:
    for each in range(number):
        journal.audit.add("anna", "promote", f"production {each}", f"because {each}")


def deploy(journal: Journal, number: int, environment: str = "production") -> None:
    for version in range(1, number + 1):
        row = journal.ledger.begin(
            environment=environment, how=How.PROMOTE, model="m", to_version=version, from_version=None, who="anna"
        )
        journal.ledger.finish(row.id, DeploymentState.SUCCEEDED)


def test_the_chain_goes_on_from_file_to_file_to_table(journal: Journal) -> None:
    write(journal)
    digests = [entry.digest for entry in journal.audit.page(limit=10)]
    assert [journal.segments.seal(AUDIT, FAR) is not None for _ in range(4)] == [True, True, False, False]
    write(journal, 1)
    assert journal.audit.verify() == []
    assert [(each.first, each.last, each.rows) for each in journal.segments.all(AUDIT)] == [(1, 4, 4), (5, 8, 4)]
    assert [entry.digest for entry in journal.audit.page(limit=10, before=11)] == digests
    assert [entry.id for entry in journal.audit.page(limit=3, before=9)] == [8, 7, 6]
    assert len(journal.audit.page(limit=100)) == len(journal.audit.page(limit=None)) == 11
    for segment in journal.segments.all(AUDIT):
        assert (journal.segments.directory / segment.file).stat().st_mode & 0o777 == 0o400


def test_entries_that_are_not_old_stay_with_everything_after_them(journal: Journal) -> None:
    write(journal)
    assert journal.segments.seal(AUDIT, 0.0) is None and journal.segments.count_old(AUDIT, 0.0) == 0
    third = journal.audit.page(limit=1, before=4)[0]
    assert journal.segments.count_old(AUDIT, third.at) == 0, "two are too few for a file"


@pytest.mark.parametrize("change", ["gone", "changed", "exchanged"])
def test_a_touched_segment_is_named(journal: Journal, change: str) -> None:
    write(journal)
    journal.segments.seal(AUDIT, FAR), journal.segments.seal(AUDIT, FAR)
    first, second = (journal.segments.directory / each.file for each in journal.segments.all(AUDIT))
    first.chmod(0o600)
    if change == "gone":
        first.unlink()
    elif change == "changed":
        first.write_bytes(first.read_bytes()[:-1] + b"x")
    else:
        first.write_bytes(second.read_bytes())
    assert any(str(first) in problem for problem in journal.audit.verify())


def test_no_row_leaves_the_audit_but_for_a_segment(journal: Journal) -> None:
    write(journal)
    journal.segments.seal(AUDIT, FAR)
    raw = sqlite3.connect(journal.path)
    for statement in ("DELETE FROM audit WHERE id = 5", "DELETE FROM segments", "UPDATE segments SET last = 99"):
        with pytest.raises(sqlite3.IntegrityError):
            raw.execute(statement)
    raw.close()
    assert journal.audit.verify() == []


def test_a_full_disk_and_a_crash_before_the_rows_go_lose_nothing(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(journal)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            journal.segments.seal(AUDIT, FAR)
    assert list(journal.segments.directory.iterdir()) == [] and len(journal.audit.page()) == 10

    def crash(_: object, __: object) -> None:
        raise JournalError("killed")

    with monkeypatch.context() as broken:
        broken.setattr(module.Segments, "_note", crash)
        with pytest.raises(JournalError):
            journal.segments.seal(AUDIT, FAR)
    assert len(list(journal.segments.directory.iterdir())) == 1 and journal.audit.verify() == []
    assert journal.segments.seal(AUDIT, FAR) is not None and journal.audit.verify() == []
    assert len(journal.audit.page()) == 10


def test_what_a_rollback_may_need_stays_in_the_ledger(journal: Journal) -> None:
    deploy(journal, 8)
    deploy(journal, 1, "staging")
    assert journal.segments.count_old(LEDGER, FAR) == 6
    assert journal.segments.seal(LEDGER, FAR) is not None and journal.segments.seal(LEDGER, FAR) is None
    assert [row.to_version for row in journal.ledger.history("production")] == [8, 7, 6, 5]
    assert journal.ledger.current("staging") is not None
    assert journal.audit.verify() == []
    sealed = [row for each in journal.segments.all(LEDGER) for row in journal.segments.rows(each)]
    assert [row[5] for row in sealed] == [1, 2, 3, 4]


def test_the_version_that_serves_stays_however_many_failed_after_it(journal: Journal) -> None:
    deploy(journal, 1)
    for _ in range(8):
        row = journal.ledger.begin(
            environment="production", how=How.DEPLOY, model="m", to_version=2, from_version=1, who="anna"
        )
        journal.ledger.finish(row.id, DeploymentState.FAILED)
    journal.segments.seal(LEDGER, FAR)
    current = journal.ledger.current("production")
    assert current is not None and current.to_version == 1
