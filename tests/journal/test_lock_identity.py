"""Who holds a lock is known by machine, boot and process; a host's name decides nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from podium.core.errors import JournalError, Refused
from podium.core.identity.machine import here
from podium.core.journal import Journal

from tests.support import wait_until

GONE = 2**22 + 1
HOLDER = """
import sys
from pathlib import Path
from podium.core.journal import Journal
journal = Journal.open(Path(sys.argv[1]))
journal.locks.take("production", "ben", "promote 7")
print("held", flush=True)
sys.stdin.readline()
"""
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a holder of the lock inside of other namespaces, and ends it when the test does."""
    started: list[subprocess.Popen[str]] = []

    def begin(*around: str) -> subprocess.Popen[str]:
        command = [*around, sys.executable, "-c", HOLDER, str(tmp_path / "journal.db")]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None and process.stderr is not None
        if process.stdout.readline().strip() != "held":
            pytest.skip(f"no namespace of its own here: {process.stderr.read().strip()[:80]}")
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def end(process: subprocess.Popen[str]) -> None:
    """Ends the holder without giving it the chance to give the lock back."""
    process.kill()
    process.wait()


def note(journal: Journal, *, host: str, machine: str, boot: str, pid: int = GONE) -> None:
    """Writes a lock as a process of that machine would have."""
    journal.locks.take("production", "ben", "promote 7", pid=pid)
    journal._database.run("UPDATE locks SET host = ?, machine = ?, boot = ?", (host, machine, boot))


def test_a_lock_whose_host_was_renamed_is_broken_once_its_process_is_gone(start: Start, tmp_path: Path) -> None:
    holder = start("unshare", "--uts", "sh", "-c", 'hostname another-name && exec "$@"', "sh")
    with Journal.open(tmp_path / "journal.db") as journal:
        held = journal.locks.holder("production")
        assert held is not None and held.host == "another-name" != here().host
        with pytest.raises(Refused, match=r"ben.*on another-name"):
            journal.locks.take("production", "anna", "promote 8")
        end(holder)
        with journal.locks.take("production", "anna", "promote 8") as lock:
            assert lock.holder.who == "anna"
        (entry,) = journal.audit.page()
        assert entry.action == "lock broken" and "another-name" in entry.why


def test_a_lock_of_another_machine_is_never_broken_by_itself(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.db") as journal:
        note(journal, host=here().host, machine="another", boot="another-boot")
        with pytest.raises(Refused, match="ben") as caught:
            journal.locks.take("production", "anna", "promote 8")
        assert "there" in caught.value.hint
        journal.locks.break_open("production", "anna", "that machine burnt down")
        assert journal.locks.take("production", "anna").holder.who == "anna"


@pytest.mark.skipif(not here().id, reason="this machine has no id of its own")
@pytest.mark.parametrize("host", [os.uname().nodename, "before-it-was-renamed"])
def test_a_lock_of_an_earlier_boot_is_stale_whatever_the_machine_was_called_then(tmp_path: Path, host: str) -> None:
    with Journal.open(tmp_path / "journal.db") as journal:
        # A process of this boot may have the number by now.
        note(journal, host=host, machine=here().id, boot="an-earlier-boot", pid=os.getpid())
        held = journal.locks.holder("production")
        assert held is not None and not held.alive
        assert journal.locks.take("production", "anna", "promote 8").holder.who == "anna"


def test_a_lock_that_an_older_podium_wrote_is_judged_by_the_hosts_name(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.db") as journal:
        note(journal, host=here().host, machine="", boot="", pid=os.getpid())
        with pytest.raises(Refused, match="ben"):
            journal.locks.take("production", "anna")
        journal._database.run("UPDATE locks SET pid = ?", (GONE,))
        journal.locks.take("production", "anna").release()
        note(journal, host="another", machine="", boot="")
        with pytest.raises(Refused, match=r"ben.*on another"):
            journal.locks.take("production", "anna")


def test_a_lock_held_in_another_container_is_broken_when_its_holder_is_gone(start: Start, tmp_path: Path) -> None:
    """Its pid says nothing here: 1 is taken, by another process. What the kernel knows of the holder's file is right
    in every container."""
    holder = start("unshare", "--pid", "--fork", "--kill-child")
    with Journal.open(tmp_path / "journal.db") as journal:
        held = journal.locks.holder("production")
        assert held is not None and held.machine.boot == here().boot and held.machine.namespace != here().namespace
        with pytest.raises(Refused, match="ben"):
            journal.locks.take("production", "anna")
        assert held.alive and held.alive, "looking does not take it away"
        end(holder)
        wait_until(lambda: not held.alive, 10)
        assert journal.locks.take("production", "anna").holder.who == "anna"
    assert [path.name for path in (tmp_path / "locks").iterdir()] != [Path(held.guard).name]


def test_a_holder_in_another_container_without_a_file_of_its_own_counts_as_alive(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.db") as journal:
        note(journal, host=here().host, machine="", boot=here().boot)
        journal._database.run("UPDATE locks SET namespace = 'pid:[1]'")
        with pytest.raises(Refused, match="ben"):
            journal.locks.take("production", "anna")


def test_locks_leave_no_files_behind(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.db") as journal:
        with journal.locks.take("a", "anna"), journal.locks.take("b", "anna"):
            assert len(list((tmp_path / "locks").iterdir())) == 2
            with pytest.raises(Refused):
                journal.locks.take("a", "anna")
            assert len(list((tmp_path / "locks").iterdir())) == 2
        assert list((tmp_path / "locks").iterdir()) == []


def test_a_lock_can_do_without_its_file(tmp_path: Path) -> None:
    (tmp_path / "locks").write_text("in the way")
    with Journal.open(tmp_path / "journal.db") as journal, journal.locks.take("a", "anna") as lock:
        assert lock.holder.guard == "" and lock.holder.alive


def test_an_agent_of_a_renamed_host_gives_its_place_up_with_its_process(start: Start, tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.db") as journal:
        journal.agent.claim(GONE, 1.5, "ben")
        journal._database.run("UPDATE agent SET host = 'another-name', heartbeat = ?", (time.time(),))
        status = journal.agent.status()
        assert not status.alive and status.local and "gone" in status.message
        journal.agent.claim(os.getpid(), 2.5, "anna")


def test_a_lock_that_was_given_back_while_the_disk_failed_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that the row names lives on: an agent would have locked its environments for good."""
    path = tmp_path / "journal.db"
    with Journal.open(path) as journal, Journal.open(path) as other:
        database = journal._database
        run = database.run

        def failing(sql: str, *values: object) -> object:
            if sql.startswith("DELETE FROM locks"):
                raise JournalError("the journal cannot be written (disk error)")
            return run(sql, *values)  # pyright: ignore[reportArgumentType]

        with pytest.raises(JournalError, match="disk error"), journal.locks.take("production", "podium", "recovery"):
            monkeypatch.setattr(database, "run", failing)
        assert other._database.one("SELECT count(*) FROM locks") == (1,)
        assert journal.locks.holder("production") is None, "and it cannot be written still"
        assert journal.locks.all() == []
        monkeypatch.undo()
        assert other.locks.holder("production") is None, "another thread of this process finds it"
        assert other._database.one("SELECT count(*) FROM locks") == (0,)
        with journal.locks.take("production", "anna", "promote 7"):
            assert other.locks.holder("production") is not None
