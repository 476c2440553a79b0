"""The priority of steps: below that of what serves on the same machine.

Three settings of Linux, each inherited by what a process starts: its nice value, its I/O priority, and the nice value
of its session's «autogroup». The kernel puts each session into such a group where control groups do not divide the
CPU, and compares nice values within a group only. None of them needs a privilege to be lowered, and nothing here ever
raises one: an ordinary user could not. Elsewhere than on Linux only the nice value is set.
"""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import subprocess

LOWEST = 19
# The kernel's weights of nice values 0 to 19, in its unit: 1024 is that of an ordinary process.
WEIGHTS = (
    1024, 820, 655, 526, 423, 335, 272, 215, 172, 137, 110, 87, 70, 56, 45, 36, 29, 23, 18, 15,
)  # fmt: skip
# ioprio_set(2): the last level of the class «best effort», which is that of all processes.
_LAST_BEST_EFFORT = 2 << 13 | 7
_WHO_PROCESS = 1
# (set, get) of the system call; it has no function in the C library.
_SYSTEM_CALLS = {
    "x86_64": (251, 252),
    "aarch64": (30, 31),
    "riscv64": (30, 31),
    "ppc64le": (273, 274),
    "s390x": (282, 283),
}
# An ordinary user may change one autogroup of the machine in a tenth of a second.
_AUTOGROUP_PAUSE = 0.12
_AUTOGROUP_TRIES = 5

linux: Final = sys.platform.startswith("linux")


def own() -> int:
    """Returns the nice value of this thread (Linux), or process."""
    return os.getpriority(os.PRIO_PROCESS, 0)


def below(nice: int) -> int:
    """Returns the nice value that is `nice` more than this thread's, as nice(1) counts, at most 19."""
    return min(LOWEST, own() + nice)


def lower(nice: int) -> None:
    """Gives this thread (Linux), or process, the nice value if its own is smaller, and then the lowest I/O priority
    that is still served in turn. What it starts inherits both. Never raises."""
    with contextlib.suppress(OSError):
        if nice > own():
            os.setpriority(os.PRIO_PROCESS, 0, nice)
            _lower_io()


def lower_session(pid: int | None = None) -> None:
    """Does the same for the autogroup of this process's session, or of that of `pid`. Never raises; may wait for a
    fraction of a second."""
    nice = _nice_of(pid)
    for _ in range(_AUTOGROUP_TRIES):
        if _set_autogroup(pid, nice):
            return
        time.sleep(_AUTOGROUP_PAUSE)


class _Starter(threading.Thread):
    """A thread of low priority that only starts processes: they inherit that of the thread, which could not be raised
    again after a start. It lives as long as this process, since the end of a thread counts as that of a parent."""

    def __init__(self, nice: int) -> None:
        super().__init__(name=f"nice {nice}", daemon=True)
        self._nice = nice
        self._work: queue.SimpleQueue[tuple[Callable[[], Any], queue.SimpleQueue[Any]]] = queue.SimpleQueue()

    def started(self, make: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        answer: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._work.put((make, answer))
        found = answer.get()
        if isinstance(found, BaseException):
            raise found
        return found

    def run(self) -> None:
        lower(self._nice)
        grouped = autogroups()
        left: list[int] = []  # whose autogroup was not to be had yet
        while True:
            try:
                make, answer = self._work.get(timeout=_AUTOGROUP_PAUSE if left else None)
            except queue.Empty:
                left = left[1:] if _set_autogroup(left[0], self._nice) else left
                continue
            try:
                process = make()
                if grouped and not _set_autogroup(process.pid, self._nice):
                    left.append(process.pid)
                answer.put(process)
            except BaseException as error:
                answer.put(error)


class Starters:
    """Starts processes below this one: a thread for each nice value that was wanted."""

    def __init__(self) -> None:
        self._threads: dict[int, _Starter] = {}

    def start(self, make: Callable[[], subprocess.Popen[bytes]], nice: int) -> subprocess.Popen[bytes]:
        """Returns the process that `make` starts, in a session of its own, with a nice value that is `nice` more than
        this thread's. Whatever it starts has the same from the first moment on."""
        wanted = below(nice)
        if wanted <= own():
            return make()
        if not linux:  # a thread has no priority of its own there
            process = make()
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PGRP, process.pid, wanted)
            return process
        starter = self._threads.get(wanted)
        if starter is None:
            starter = self._threads[wanted] = _Starter(wanted)
            starter.start()
        return starter.started(make)


starters: Final = Starters()


def autogroups() -> bool:
    """Tells whether the kernel groups processes by session."""
    try:
        return Path("/proc/sys/kernel/sched_autogroup_enabled").read_text().strip() == "1"
    except OSError:
        return False


def io_priority(pid: int = 0) -> int:
    """Returns the I/O priority of a process (0: this thread) as ioprio_get(2) has it; 0 where none is set or known."""
    found = _system_call(1, pid)
    return max(0, found)


def _lower_io() -> None:
    now = io_priority()
    # 0 is no class, 1 real time, 2 best effort, 3 idle.
    if now >> 13 < 3 and now != _LAST_BEST_EFFORT:
        _system_call(0, 0, _LAST_BEST_EFFORT)


def _system_call(which: int, pid: int, *more: int) -> int:
    import ctypes
    import platform

    numbers = _SYSTEM_CALLS.get(platform.machine()) if linux and sys.maxsize > 2**32 else None
    if numbers is None:
        return -1

    try:
        return int(ctypes.CDLL(None, use_errno=True).syscall(numbers[which], _WHO_PROCESS, pid, *more))
    except (OSError, AttributeError):
        return -1


def _nice_of(pid: int | None) -> int:
    with contextlib.suppress(OSError):
        return os.getpriority(os.PRIO_PROCESS, pid or 0)
    return 0


def _set_autogroup(pid: int | None, nice: int) -> bool:
    """Returns False if it has to be tried again in a moment."""
    try:
        Path(f"/proc/{pid or 'self'}/autogroup").write_text(str(nice))
    except OSError as error:
        return error.errno != errno.EAGAIN
    return True
