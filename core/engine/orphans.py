"""Finds and ends processes that a step left running, including those that left its process group, and those whose
worker was killed.

On Linux through /proc; elsewhere by process group, and for a dead worker's processes by psutil.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_PROC = Path("/proc")
# Who looks at a step in a shell has the step's environment, and is nothing that the step left behind.
SHELL_MARK = "PODIUM_SHELL"


class Leaders:
    """The pids of the processes that executors started and will wait for themselves; every other child of this
    process was adopted."""

    def __init__(self) -> None:
        self._pids: set[int] = set()

    def add(self, pid: int) -> None:
        self._pids.add(pid)

    def remove(self, pid: int) -> None:
        """Forgets a process that was waited for."""
        self._pids.discard(pid)

    def __contains__(self, pid: object) -> bool:
        return pid in self._pids


leaders: Final = Leaders()


def adopted() -> list[int]:
    """Returns living children of this process that no executor started, and reaps ended ones."""
    found: list[int] = []
    for pid in _children("self"):
        if pid in leaders:
            continue
        with suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                found.append(pid)
    return found


def belongs(pid: int, session: int, marks: Iterable[bytes]) -> bool:
    """Tells whether the process is in that session, or was started with all of `marks` in its environment."""
    with suppress(OSError):
        if os.getsid(pid) == session:
            return True
    return _marked(pid, marks)


def tree(pids: Iterable[int]) -> set[int]:
    """Returns the processes and all their descendants."""
    found: set[int] = set()
    queue = list(pids)
    while queue:
        pid = queue.pop()
        if pid not in found:
            found.add(pid)
            queue.extend(_children(str(pid)))
    return found


def send(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        if pid > 1:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)


def group_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def end_orphans(home: Path, run_id: int, *, grace: float = 1.0) -> int:
    """Ends the processes of a run's steps after its worker has died; returns how many there were. They are known by
    the environment that every step is started with, so a pid that was given to another process is never mistaken for
    one of them."""
    marks = run_marks(home, run_id)
    first = found = [pid for pid in _ours() if _marked(pid, marks) and not _contained(pid)]
    if not found:
        return 0
    send(found, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while found and time.monotonic() < deadline:
        time.sleep(0.02)
        found = [pid for pid in found if _marked(pid, marks)]
    for _ in range(20):
        if not found:
            break
        send(found, signal.SIGKILL)
        time.sleep(0.02)
        found = [pid for pid in _ours() if _marked(pid, marks) and not _contained(pid)]
    return len(first)


def _contained(pid: int) -> bool:
    """Tells whether the process is in a container: a step's container outlives its worker, and the next worker takes
    it over or removes it."""
    with suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/pid") != os.readlink("/proc/self/ns/pid")  # noqa: PTH115
    return False


def run_marks(home: Path, run_id: int) -> tuple[bytes, ...]:
    return (b"PODIUM_RUN=" + str(run_id).encode(), b"PODIUM_HOME=" + os.fsencode(home))


def _children(pid: str) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for task in os.listdir(_PROC / pid / "task"):  # noqa: PTH208  (a name is all that is needed, and this runs after each step)
            with suppress(OSError), open(f"/proc/{pid}/task/{task}/children", "rb") as file:  # noqa: PTH123
                found.extend(int(word) for word in file.read().split())
    return found


def _ours() -> Iterator[int]:
    if not _PROC.joinpath("self", "environ").exists():
        import psutil

        yield from (pid for pid in psutil.pids() if pid != os.getpid())
        return
    own = os.getuid()
    for entry in _PROC.iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with suppress(OSError):
                if entry.stat().st_uid == own:
                    yield int(entry.name)


def _marked(pid: int, marks: Iterable[bytes]) -> bool:
    """Tells whether all of `marks` are in the process's environment. A process that has ended but was not reaped has
    no environment, and so counts as gone."""
    try:
        variables = set((_PROC / str(pid) / "environ").read_bytes().split(b"\0"))
    except FileNotFoundError:
        if _PROC.joinpath("self").exists():
            return False
        return _marked_elsewhere(pid, marks)
    except OSError:
        return False
    return _bears(variables, marks)


def _bears(variables: set[bytes], marks: Iterable[bytes]) -> bool:
    return all(mark in variables for mark in marks) and not any(
        each.startswith(f"{SHELL_MARK}=".encode()) for each in variables
    )


def _marked_elsewhere(pid: int, marks: Iterable[bytes]) -> bool:
    import psutil

    try:
        variables = {os.fsencode(f"{name}={value}") for name, value in psutil.Process(pid).environ().items()}
    except (psutil.Error, OSError):
        return False
    return _bears(variables, marks)
