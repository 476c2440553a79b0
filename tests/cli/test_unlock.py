"""podium unlock: the lock of a machine that is gone, and no other."""

from __future__ import annotations

import os
from pathlib import Path

from podium.core.journal import Journal

from tests.cli.conftest import Call

NAME = "environment production"


def test_the_lock_of_a_machine_that_is_gone_is_broken_by_a_person_who_says_why(home: Path, call: Call) -> None:
    with Journal.open(home / ".podium" / "journal.db") as journal:
        journal.locks.take(NAME, "ben", "promote 7", pid=2**22 + 1)
        journal._database.run("UPDATE locks SET host = 'build-2', machine = 'another', boot = 'another'")
    found = call("doctor").out
    assert "where nobody can look from here" in found and f"podium unlock '{NAME}' --why" in found
    plan = call("unlock", NAME, "--dry-run")
    assert plan.code == 0 and "ben since" in plan.out and "still runs" in plan.out
    assert call("unlock", NAME).code == 4, "nobody to ask"
    assert call("unlock", NAME, "--yes", "--why", "it burned down").code == 0
    with Journal.open(home / ".podium" / "journal.db") as journal:
        assert journal.locks.holder(NAME) is None
        entry = journal.audit.page()[0]
        assert (entry.action, entry.subject) == ("lock broken", NAME)
        assert entry.why.startswith("it burned down; it was held by ben") and "on build-2" in entry.why
    nothing = call("unlock", NAME, "--yes")
    assert nothing.code == 3 and "nothing is locked" in nothing.err


def test_one_whose_process_runs_here_is_not(home: Path, call: Call) -> None:
    with Journal.open(home / ".podium" / "journal.db") as journal, journal.locks.take(NAME, "ben", "promote 7"):
        refused = call("unlock", NAME, "--yes")
        assert refused.code == 4 and f"kill {os.getpid()}" in refused.err
        assert journal.locks.holder(NAME) is not None
