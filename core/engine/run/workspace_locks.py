"""Keeps two runs in one directory from writing what the other one reads or writes.

A run that a person starts uses the working tree. It claims the paths that its steps declare for as long as it works
there, and a second run that needs one of them waits and says for which run. Each such run has a file with its paths
and a kernel lock on it, which is released when the process ends in any way.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from itertools import takewhile
from pathlib import Path

from ...domain.frozen import Frozen
from ..graph import PlannedStep


class RunPaths(Frozen):
    """What a run writes, and what it reads: paths below the project, or patterns."""

    written: tuple[str, ...]
    read: tuple[str, ...]

    def clash(self, other: RunPaths) -> str:
        """Returns a path of this run that cannot be used while the other run uses its own; empty if there is none."""
        for mine in self.written:
            if any(meet(mine, theirs) for theirs in (*other.written, *other.read)):
                return mine
        return next((mine for mine in self.read if any(meet(theirs, mine) for theirs in other.written)), "")


class WorkspaceLocks:
    def __init__(self, state: Path, steps: Sequence[PlannedStep], run_id: int) -> None:
        self._directory = state / "claimed"
        self._file = self._directory / f"{run_id}.json"
        self._paths = _of(steps)
        self._descriptor: int | None = None

    @property
    def needed(self) -> bool:
        return bool(self._paths.written or self._paths.read) and self._descriptor is None

    def take(self) -> str:
        """Claims everything or nothing; returns the path that another run uses, empty on success. Raises OSError if
        the claim cannot be written."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        with _alone(self._directory / "lock"):
            for other in self._others():
                clash = self._paths.clash(other)
                if clash:
                    return clash
            self._hold()
        return ""

    def release(self) -> None:
        if self._descriptor is not None:
            self._file.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None

    def _hold(self) -> None:
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.write(descriptor, json.dumps([self._paths.written, self._paths.read]).encode())
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def _others(self) -> Iterator[RunPaths]:
        """Yields the paths of living runs, and removes the files of runs that ended without releasing them."""
        for file in self._directory.glob("*.json"):
            with suppress(FileNotFoundError), file.open("rb") as opened:
                try:
                    fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    written, read = json.load(opened)
                    yield RunPaths(tuple(written), tuple(read))
                else:
                    file.unlink()


@contextmanager
def _alone(lock: Path) -> Generator[None]:
    """Makes the check and the claim atomic among processes; it takes a millisecond."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def meet(written: str, used: str) -> bool:
    """Tells whether writing at or below one path changes what is at or below the other, which may be a pattern."""
    if "." in (written, used):
        return True
    parts = takewhile(lambda part: "**" not in part, used.split("/"))
    return all(name == part or fnmatch(name, part) for name, part in zip(written.split("/"), parts, strict=False))


def _of(steps: Sequence[PlannedStep]) -> RunPaths:
    written = {os.path.normpath(output) for step in steps for output in step.outputs}
    read = {os.path.normpath(source) for step in steps for source in step.inputs}
    return RunPaths(tuple(sorted(written)), tuple(sorted(read)))
