"""Which process is which. A pid alone is never trusted: the system gives it to another process later, so a start
time goes with it.

The kernel counts starts in ticks since boot, which no clock moves. The wall time that they make moves with every
step of the clock, for a process that has long been running too. So a start time is right to a second as a time, and
its fraction is a fingerprint of the boot and the tick: two start times with one fraction are of one start, whatever
the clock did between them.
"""

from __future__ import annotations

import errno
import os
import zlib
from functools import cache

from .machine import boot_id

# As fine as a fraction may be that a float keeps exactly beside the seconds since the epoch (until 2242).
_FINGERPRINTS = 1 << 20
# What was noted by a Podium whose start times had no fingerprint is compared as a time, of which the boot's part is
# rounded to a second.
_TOLERANCE = 2.0


def blind(error: OSError) -> bool:
    """Tells whether it means that this process cannot look at anything: it has no file descriptor left, or the machine
    has none. What cannot be looked at is not gone."""
    return error.errno in (errno.EMFILE, errno.ENFILE)


def started_at(pid: int) -> float | None:
    """When the process started, in seconds since the epoch and at most one too early; None when there is none, or it
    has ended and only waits to be reaped. To be kept and compared by `alive`, not by itself. Raises OSError where no
    descriptor is left to look with."""
    if pid <= 0:
        return None
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - called at 1 Hz and more: no Path object
            stat = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None if os.path.exists("/proc/self/stat") else _elsewhere(pid)  # noqa: PTH110
    except OSError as error:
        if blind(error):
            raise
        return None
    # The command's name stands in parentheses and may contain spaces and parentheses itself: count from the last one.
    fields = stat[stat.rfind(b")") + 2 :].split()
    # While the kernel ends a process of several threads, its first one waits to be reaped before the others have let go
    # of what they share: a listener that is still open is still given connections.
    if fields[0] in (b"Z", b"X") and int(fields[17]) <= 1:
        return None
    at = _boot_time() + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    # Never 0: that is the fraction of what stands for «no start time».
    fingerprint = (1 + zlib.crc32(fields[19], _boot()) % (_FINGERPRINTS - 1)) / _FINGERPRINTS
    return (at - fingerprint) // 1 + fingerprint


def alive(pid: int | None, started: float | None) -> bool:
    """Whether the process that had this pid and this start time still runs. Without a start time the answer is no.
    Raises OSError where no descriptor is left to look with."""
    if pid is None or started is None:
        return False
    now = started_at(pid)
    return now is not None and (now % 1 == started % 1 or abs(now - started) <= _TOLERANCE)


def state(pid: int) -> str:
    """Returns the letter of a process's state as ps shows it (T: stopped by a signal); empty where it cannot be
    told."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - as above
            stat = file.read()
    except OSError:
        return ""
    return stat[stat.rfind(b")") + 2 :][:1].decode("ascii", "replace")


@cache
def _boot() -> int:
    """Returns a number for this boot: after the next one the same pid may start at the same tick."""
    boot = boot_id()
    # With the line's end, as it was read before: start times in the journals of running projects were made so.
    return zlib.crc32(f"{boot}\n".encode()) if boot else 0


def _boot_time() -> float:
    with open("/proc/stat", "rb") as file:  # noqa: PTH123
        for line in file:
            if line.startswith(b"btime "):
                return float(line.split()[1])
    return 0.0


def _elsewhere(pid: int) -> float | None:
    """Systems without /proc (macOS)."""
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def bears(pid: int, mark: str) -> bool:
    """Tells whether the process was given this mark by `preload`: it has a memory file of that name open. Its
    environment in /proc is that of the process that it was forked from."""
    wanted = f"/memfd:podium:{mark} "
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            if os.readlink(entry.path).startswith(wanted):  # noqa: PTH115 - for every process of the machine
                return True
    except OSError:
        return False
    return False
