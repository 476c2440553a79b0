"""Pushes as developers make them, for `scale.py`: `git push` into a bare repository on disk, as many a minute as are
asked for, whether or not the agent gets through; and the agent of a project that looks there once a second, fetches,
takes each commit for itself (a push of its own) and runs it."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from _fleet import environment_of_process

BRANCHES = 40
DEVELOPERS = 8  # who push at the same time, at most
PATIENCE = 600.0
# Waits for the agent, and for all that the agent leaves to others (prctl 36: PR_SET_CHILD_SUBREAPER).
_PARENT = """
import ctypes, os, signal, subprocess, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
agent = subprocess.Popen(sys.argv[1:], stdout=sys.stderr)
signal.signal(signal.SIGTERM, lambda *_: agent.send_signal(signal.SIGTERM))
print(agent.pid, flush=True)
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
"""
_IDENTITY = ("-c", "user.name=anna", "-c", "user.email=anna@localhost")


@dataclass(frozen=True)
class Taken:
    """What became of pushes. Seconds; CPU is that of one push."""

    pushed: int
    rate: float
    """Pushes a minute, as they were made."""
    reached: float
    """Runs a minute, from the first push to the end of the last run."""
    noted: tuple[float, ...]
    """From the end of each push until its run was noted, or until it was passed over, in the order of the pushes."""
    waits: tuple[float, ...]
    """Until its step began: its worker has started, has its worktree, and its turn in the queue of the machine."""
    left: int
    """How many had not begun when the last push was made."""
    agent: float
    """CPU of the agent itself."""
    started: float
    """CPU of what it started: git, workers, steps."""
    pusher: float
    """CPU of `git push` and of what it started in the bare repository."""
    busy: float
    """The share of the machine's CPU that was used while there were pushes, by whomever."""


def measured(home: Path, rate: float, seconds: float, *, skipped: bool = False) -> Taken:
    """Pushes for so long, and waits until all of it has run, or was passed over where every message says so
    (`skipped`)."""
    number = max(2, round(rate * seconds / 60.0))
    commits = _project(home, number, "change [skip ci]" if skipped else "change")
    with _agent(home / "project") as (parent, pid):
        journal = sqlite3.connect(home / "project/.podium/journal.db", timeout=60, isolation_level=None)
        _until(lambda: _one(journal, _WATCHED) >= BRANCHES, "it watches")
        time.sleep(2.0)
        own, everything = _cpu(pid), _cpu(parent, below=True)
        used, began, machine = _pusher_cpu(), time.time(), _machine()
        ended = _push(home / "desk", commits, rate)
        after, pusher = _machine(), _pusher_cpu() - used
        sql = "SELECT count(*) FROM steps WHERE started IS NOT NULL"
        skips = "SELECT count(*) FROM audit WHERE action = 'push skipped'"
        left = number - int(_one(journal, skips if skipped else sql))
        done = skips if skipped else "SELECT count(*) FROM runs WHERE ended IS NOT NULL"
        _until(lambda: _one(journal, done) >= number, "all of it is done")
        own, everything = _cpu(pid) - own, _cpu(parent, below=True) - everything
        begun = {commit: moments for commit, *moments in journal.execute(_SKIPPED if skipped else _BEGUN)}
        journal.close()
    first, last, busy = min(ended), max(moments[-1] for moments in begun.values()), after[0] - machine[0]
    came = [(begun[commit], at) for (_, commit), at in zip(commits, ended, strict=True)]
    return Taken(
        number,
        number / max(0.1, max(ended) - began) * 60.0,
        number / max(0.1, last - first) * 60.0,
        tuple(moments[0] - at for moments, at in came),
        tuple(moments[1] - at for moments, at in came),
        left,
        own / number,
        (everything - own) / number,
        pusher / number,
        1.0 - (after[1] - machine[1]) / max(1e-9, busy),
    )


_WATCHED = "SELECT count(*) FROM \"values\" WHERE key LIKE 'push:%'"
# Of each commit: when its run was noted, when its step began, when it ended.
_BEGUN = 'SELECT r."commit", r.created, s.started, r.ended FROM runs r JOIN steps s ON s.run_id = r.id'
_SKIPPED = "SELECT subject, at, at, at FROM audit WHERE action = 'push skipped'"


def quarters(waits: tuple[float, ...]) -> tuple[float, float]:
    """Returns the median of the first quarter, and that of the last: they are alike where the agent gets through."""
    part = max(1, len(waits) // 4)
    return statistics.median(waits[:part]), statistics.median(waits[-part:])


def _git(*words: str) -> str:
    return subprocess.check_output(["git", *_IDENTITY, *words], text=True, timeout=120, stderr=subprocess.PIPE).strip()


def _project(home: Path, number: int, message: str) -> list[tuple[str, str]]:
    """Makes the bare repository, the project and a developer's clone with all commits that are going to be pushed;
    returns (branch, commit) of each, in their order. Neighbours are of different branches."""
    bare, desk, project = home / "bare.git", home / "desk", home / "project"
    home.mkdir()
    _git("init", "-q", "--bare", "-b", "main", str(bare))
    _git("init", "-q", "-b", "main", str(desk))
    lines = ["project: pushes", f"git: {{branch: main, remote: '{bare}', poll: 1s}}", "pipelines:"]
    for place in range(BRANCHES):
        lines.append(f"  p{place}: {{on: {{push: [b{place}]}}, concurrency: every, steps: {{done: {{run: 'true'}}}}}}")
    (desk / "podium.yaml").write_text("\n".join(lines) + "\n")
    (desk / ".gitignore").write_text(".podium/\n")
    at = ("-C", str(desk))
    _git(*at, "add", "-A")
    _git(*at, "commit", "-qm", "first")
    _git(*at, "remote", "add", "origin", str(bare))
    _git(*at, "push", "-q", "origin", "main", *(f"main:b{place}" for place in range(BRANCHES)))
    _git("clone", "-q", str(bare), str(project))
    tips = dict.fromkeys((f"b{place}" for place in range(BRANCHES)), _git(*at, "rev-parse", "main"))
    found: list[tuple[str, str]] = []
    for place in range(number):
        branch = f"b{place % BRANCHES}"
        tips[branch] = _git(*at, "commit-tree", "main^{tree}", "-p", tips[branch], "-m", f"{message} {place}")
        found.append((branch, tips[branch]))
    return found


@contextmanager
def _agent(project: Path) -> Iterator[tuple[int, int]]:
    """Runs the project's agent; yields the pid of its parent, and its own. What the agent leaves to others is waited
    for by that parent, so that its CPU is known when it has ended."""
    with (project.parent / "agent.txt").open("wb") as said:
        command = [sys.executable, "-u", "-m", "podium.core.triggers.agent", str(project)]
        parent = subprocess.Popen(  # the agent writes where its parent does
            [sys.executable, "-c", _PARENT, *command],
            env=environment_of_process(project),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            start_new_session=True,
        )
        try:
            assert parent.stdout is not None
            agent = int(parent.stdout.readline())
            _until(lambda: (project / ".podium/agent.wake").exists(), "the agent is there")
            yield parent.pid, agent
        finally:
            parent.send_signal(signal.SIGTERM)
            try:
                parent.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(parent.pid, signal.SIGKILL)
                parent.wait()


def _push(desk: Path, commits: list[tuple[str, str]], rate: float) -> list[float]:
    """Pushes each commit when its time has come; returns when each push had ended (seconds since the epoch)."""
    began, ended = time.monotonic(), dict[int, float]()
    places, errors = iter(range(len(commits))), list[str]()
    branches = [threading.Lock() for _ in range(BRANCHES)]  # as one developer pushes to it

    def developer() -> None:
        for place in places:
            time.sleep(max(0.0, began + place * 60.0 / rate - time.monotonic()))
            branch, commit = commits[place]
            with branches[place % BRANCHES]:
                command = ["git", "-C", str(desk), "push", "-q", "origin", f"{commit}:refs/heads/{branch}"]
                done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
            ended[place] = time.time()
            if done.returncode:
                errors.append(done.stderr)

    threads = [threading.Thread(target=developer) for _ in range(DEVELOPERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise SystemExit(f"{len(errors)} pushes were refused: {errors[0]}")
    return [ended[place] for place in range(len(commits))]


def _until(there, what: str) -> None:
    began = time.monotonic()
    while not there():
        if time.monotonic() - began > PATIENCE:
            raise SystemExit(f"{what}: not within {PATIENCE:.0f} s")
        time.sleep(0.1)


def _one(journal: sqlite3.Connection, sql: str) -> float:
    return float(journal.execute(sql).fetchone()[0] or 0)


def _cpu(pid: int, *, below: bool = False) -> float:
    """Returns the CPU of a process; of all that it has started as well (`below`), of those that have ended too."""
    found = 0.0
    for each in [psutil.Process(pid), *(psutil.Process(pid).children(recursive=True) if below else ())]:
        with suppress(psutil.Error):
            times = each.cpu_times()
            found += times.user + times.system + (times.children_user + times.children_system if below else 0.0)
    return found


def _pusher_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _machine() -> tuple[float, float]:
    """Returns the machine's CPU time, and how much of it was idle."""
    times = [int(each) for each in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return float(sum(times)), float(times[3] + times[4])
