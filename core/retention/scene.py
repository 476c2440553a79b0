"""What every kind of data is judged by: the project, its journal, one moment, and what has to stay."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ..beneath import Directory, walk
from ..domain.frozen import Frozen
from ..domain.project import Project
from ..domain.text.format import duration
from ..journal import Journal
from ..journal.aging.rows import FinishedRun

_BLOCK_BYTES = 512  # the unit of st_blocks, whatever the file system's is
# What is renamed before it is removed: one step for whoever looks at the same time, and found again after a crash.
GONE = ".gone-"
DAY = 86_400.0
LEAST_EVIDENCE = 180 * DAY
# A clock that says more than this after the last thing that happened may be wrong.
_LONGEST_SILENCE = 60 * DAY
_HOUR = 3600.0


class Item(Frozen):
    """One thing that may go."""

    name: str
    size: int
    """Bytes that it takes on the disk."""
    why: str
    remove: Callable[[], int]
    """Removes it, or leaves it where it is needed by now; returns how many things it has removed. OSError and
    PodiumError where it cannot."""
    entries: int = 1


@dataclass
class Scene:
    """One look at a project's state. `now` is the moment that ages are counted to: what gets old while a plan waits for
    an answer is not in it."""

    project: Project
    journal: Journal
    now: float
    links: dict[str, str] = field(default_factory=dict[str, str])
    """Directories that are links to elsewhere, and where to: nothing in them is removed."""

    @property
    def state(self) -> Path:
        return self.project.state

    def old(self, at: float, age: float) -> bool:
        return at < self.now - age

    def evidence_age(self, age: float) -> float:
        """Returns how long something stays that an auditor needs."""
        return max(age, self.project.retain.evidence)

    @cached_property
    def runs(self) -> dict[int, FinishedRun]:
        return self.journal.rows.finished_runs()

    def opened(self, name: str) -> Directory | None:
        """Opens a directory directly below the state directory; None where there is none, or it is a link, which is
        noted: what lies elsewhere may be somebody else's too."""
        path = self.state / name
        with suppress(FileNotFoundError, NotADirectoryError):
            if path.is_symlink():
                self.links[name] = str(path.readlink())
                return None
            return Directory(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC), str(path))
        return None


def too_old(age: float) -> str:
    return f"older than {duration(age)}"


def plain_files(top: Directory, *, skip: Callable[[str], bool] | None = None) -> Iterator[tuple[str, os.stat_result]]:
    """Yields the path and status of each file below, and of each link, socket and pipe; none is followed."""
    for found in walk(top, skip=skip):
        if not found.is_directory:
            yield found.path, found.status


def allocated(status: os.stat_result) -> int:
    """Returns the bytes that a file takes on the disk: fewer than its size for one with holes."""
    return status.st_blocks * _BLOCK_BYTES


def size_of(parent: Directory, name: str) -> int:
    """Returns the bytes that a file, or a directory with all below it, takes on the disk; each file once, whatever its
    number of names."""
    status = parent.status(name)
    if not stat.S_ISDIR(status.st_mode):
        return allocated(status)
    seen: dict[tuple[int, int], int] = {}
    with parent.below(name, links=False) as top:
        for _, each in plain_files(top):
            seen[each.st_dev, each.st_ino] = allocated(each)
    return sum(seen.values())


def newest_change(parent: Directory, name: str) -> float:
    """Returns when something at or below `name` was written last."""
    newest = parent.status(name)
    times = [newest.st_mtime]
    if stat.S_ISDIR(newest.st_mode):
        with parent.below(name, links=False) as top:
            times += [found.status.st_mtime for found in walk(top)]
    return max(times)


def remove_at(scene: Scene, directory: str, name: str, allowed: Callable[[], bool] = lambda: True) -> int:
    """Removes `name` below the directory `directory` of the state directory: renamed first, in one transaction of the
    journal with `allowed`, so that nobody who asks the journal begins to use it in between. Returns 1, or 0 where it
    is not allowed or not there."""
    top = scene.opened(directory) if directory else Directory.open(scene.state)
    if top is None:
        return 0
    with top:
        gone = name if name.startswith(GONE) else f"{GONE}{name.lstrip('.')}-{os.getpid()}"
        with scene.journal.transaction():
            if not allowed() or not top.exists(name):
                return 0
            if gone != name:
                top.rename(name, gone)
        top.remove(gone)
    return 1


def clock_trouble(journal: Journal, now: float | None = None) -> str:
    """Returns why the clock is not to be believed; empty if it may be. It is compared with what happened last: a clock
    that jumped ahead would make everything old at once."""
    now = time.time() if now is None else now
    last = max(journal.rows.newest_times(), default=now)
    if now < last - _HOUR:
        return f"the clock says {utc(now)}, and something happened on {utc(last)} already"
    if now > last + _LONGEST_SILENCE:
        return f"the clock says {utc(now)}, and the last thing that happened was on {utc(last)}"
    return ""


def utc(at: float) -> str:
    """Returns a moment in words of universal time: a clock that is wrong may stand in any zone."""
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(at)) + " UTC"
