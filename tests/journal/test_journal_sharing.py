"""Several processes on one journal: writers lose nothing, changes are noticed, locks have one holder and do not
outlive it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from podium.core.errors import Refused
from podium.core.identity.account import whoami
from podium.core.identity.processes import alive, started_at
from podium.core.journal import Journal

from tests.runner.scale import scaled
from tests.support import wait_until

_HEAD = """
import os, sys, time
from pathlib import Path
from podium.core.domain.runs import PIPELINE, Trigger
from podium.core.journal import Journal
journal = Journal.open(Path(sys.argv[1]))
"""


def start(path: Path, code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _HEAD + code, str(path), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def finish(process: subprocess.Popen[str]) -> str:
    out, _ = process.communicate("\n", timeout=scaled(60))
    assert process.returncode == 0
    return out


_WRITER = """
print("ready", flush=True)
sys.stdin.readline()
for number in range(40):
    with journal.transaction():
        run = journal.runs.create(kind=PIPELINE, name=sys.argv[2], trigger=Trigger.PERSON, who="anna")
        journal.audit.add("anna", "run", str(run.id))
    journal.values.set(f"{sys.argv[2]}:{number}", "x")
"""


def test_writers_of_several_processes_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    # They also race to create the file and its tables.
    writers = [start(path, _WRITER, f"w{number}") for number in range(4)]
    for writer in writers:
        assert line(writer) == "ready"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    for writer in writers:
        finish(writer)
    with Journal.open(path) as journal:
        assert journal.runs.count() == 160 and len(journal.values.all()) == 160
        for number in range(4):
            assert len(journal.runs.page(limit=99, name=f"w{number}")) == 40
        assert journal.audit.head()[0] == 160 and journal.audit.verify() == [] and journal.check() == []


_WATCHER = """
seen = journal.data_version()
print("ready", flush=True)
for _ in sys.stdin:
    now = journal.data_version()
    print("nothing" if now == seen else journal.values.get("news"), flush=True)
    seen = now
"""


def test_a_change_is_noticed_by_another_process_at_its_next_look(tmp_path: Path) -> None:
    """It looks a few times a second: that is how late a screen is."""
    path = tmp_path / "journal.db"
    with Journal.open(path) as journal:
        watcher = start(path, _WATCHER)
        assert line(watcher) == "ready"
        assert watcher.stdin is not None

        def look() -> str:
            watcher.stdin.write("\n")
            watcher.stdin.flush()
            return line(watcher)

        assert look() == "nothing"
        for number in range(3):
            journal.values.set("news", str(number))
            assert look() == str(number)
            assert look() == "nothing"
        finish(watcher)


def test_the_feed_moves_for_own_writes_and_rests_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with Journal.open(path) as journal, Journal.open(path) as other:
        seen = journal.data_version()
        journal.values.all()
        assert journal.data_version() == seen
        for writer in (journal, other, journal, other):
            writer.values.set("a", "b")
            assert journal.data_version() > seen
            seen = journal.data_version()
        assert journal.data_version() == seen


_HOLDER = """
journal.locks.take("production", "ben", "promote 7")
print("held", flush=True)
sys.stdin.readline()
"""


def test_a_lock_has_one_holder_and_does_not_outlive_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with Journal.open(path) as journal:
        holder = start(path, _HOLDER)
        assert line(holder) == "held"
        with pytest.raises(Refused) as caught:
            journal.locks.take("production", "anna", "promote 8")
        for part in ("ben", "promote 7", str(holder.pid), os.uname().nodename, "UTC"):
            assert part in caught.value.message
        assert caught.value.hint
        journal.locks.release("production")
        held = journal.locks.holder("production")
        assert held is not None and held.who == "ben" and held.alive
        holder.kill()
        holder.wait()
        assert not held.alive
        with journal.locks.acquire("production", who="anna", why="promote 8"):
            held = journal.locks.holder("production")
            assert held is not None and held.who == "anna"
        assert journal.locks.holder("production") is None
        (entry,) = journal.audit.page()
        assert (
            entry.action == "lock broken"
            and entry.subject == "production"
            and "ben" in entry.why
            and journal.audit.verify() == []
        )


def test_a_lock_is_not_taken_twice_by_one_process_and_an_old_hold_does_not_free_a_new_one(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.db") as journal:
        first = journal.locks.take("a", "anna")
        with pytest.raises(Refused):
            journal.locks.take("a", "anna")
        journal.locks.release("a")
        second = journal.locks.take("a", "anna")
        first.release()
        assert journal.locks.holder("a") == second.holder
        journal.locks.break_open("a", "ben", "its host burnt down")
        assert journal.locks.holder("a") is None and "burnt" in journal.audit.page()[0].why


def test_a_pid_that_was_given_to_another_process_does_not_hold_a_lock(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.db") as journal:
        journal.locks.take("a", "ghost", pid=os.getpid())
        journal._database.run("UPDATE locks SET pid_started = pid_started - 60.3")
        assert journal.locks.take("a", "anna").holder.who == "anna"


_RACER = """
from podium.core.errors import Refused
print("ready", flush=True)
sys.stdin.readline()
try:
    journal.locks.take("race", "anna")
    print("won", flush=True)
except Refused:
    print("refused", flush=True)
sys.stdin.readline()
"""


def test_of_many_that_want_a_lock_one_gets_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    Journal.open(path).close()
    racers = [start(path, _RACER) for _ in range(4)]
    for racer in racers:
        assert line(racer) == "ready"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    assert sorted(line(racer) for racer in racers) == ["refused"] * 3 + ["won"]
    for racer in racers:
        finish(racer)


def test_start_times_tell_processes_apart() -> None:
    before = time.time()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = started_at(child.pid)
    assert started is not None and before - 2 <= started <= time.time() + 1
    assert (
        alive(child.pid, started)
        and not alive(child.pid, started - 10.3)
        and not alive(child.pid, None)
        and not alive(None, started)
    )
    child.kill()
    # Dead but not waited for yet: it holds nothing any more.
    wait_until(lambda: not alive(child.pid, started), 5)
    child.wait()
    assert started_at(child.pid) is None and started_at(0) is None and started_at(-1) is None


@pytest.mark.parametrize("step", [-3600, -3, 3, 3600, 40 * 365 * 86400])
def test_a_clock_that_was_set_leaves_processes_alive(tmp_path: Path, step: int) -> None:
    """The boot's time, to which the kernel's ticks are added, moves with the clock: what was noted before differs by
    whole seconds then."""
    started = started_at(os.getpid())
    assert started is not None and alive(os.getpid(), started + step)
    with Journal.open(tmp_path / "journal.db") as journal:
        journal.locks.take("a", "anna", pid=os.getpid())
        journal._database.run("UPDATE locks SET pid_started = pid_started + ?", (step,))
        with pytest.raises(Refused, match="anna"):
            journal.locks.take("a", "ben")


def test_start_times_that_were_noted_without_a_fingerprint_are_believed() -> None:
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    boot = next(
        float(line.split()[1]) for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime ")
    )
    noted = boot + ticks / os.sysconf("SC_CLK_TCK")
    assert alive(os.getpid(), noted) and not alive(os.getpid(), noted - 4)


def test_a_process_may_be_called_anything(tmp_path: Path) -> None:
    program = tmp_path / "a) R 1 (b"
    program.write_text("#!/bin/sh\nread x\n")
    program.chmod(0o755)
    before = time.time()
    child = subprocess.Popen([program], stdin=subprocess.PIPE)
    started = started_at(child.pid)
    assert started is not None and before - 2 <= started <= time.time() + 1
    child.communicate(b"\n")


def test_who_is_at_the_keyboard(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSH_CLIENT", "SSH_CONNECTION", "SUDO_USER"):
        monkeypatch.delenv(name, raising=False)
    name = whoami()
    assert name and " " not in name.removeprefix("uid ")
    monkeypatch.setenv("USER", "somebody-else")
    monkeypatch.setenv("LOGNAME", "somebody-else")
    assert whoami() == name
    monkeypatch.setenv("SSH_CLIENT", "10.0.0.7 5022 22")
    assert whoami() == f"{name} from 10.0.0.7"
    monkeypatch.setenv("SSH_CLIENT", "\x1b]0;evil\x07 1 2")
    assert whoami().isprintable()
