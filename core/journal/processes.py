"""Which process is which. A pid alone is never trusted: the system gives it to another process later, so a start time goes with it."""

from __future__ import annotations

import os

# The kernel counts starts in ticks since boot; the boot's wall time, to which they are added, is rounded to a second and may be slewed.
_TOLERANCE = 2.0


def started_at(pid: int) -> float | None:
    """When the process started, in seconds since the epoch; None when there is none, or it has ended and only waits to be reaped."""
    if pid <= 0:
        return None
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - called at 1 Hz and more: no Path object
            stat = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None if os.path.exists("/proc/self/stat") else _elsewhere(pid)  # noqa: PTH110
    except OSError:
        return None
    # The command's name stands in parentheses and may contain spaces and parentheses itself: count from the last one.
    fields = stat[stat.rfind(b")") + 2 :].split()
    if fields[0] in (b"Z", b"X"):
        return None
    return _boot_time() + int(fields[19]) / os.sysconf("SC_CLK_TCK")


def alive(pid: int | None, started: float | None) -> bool:
    """Whether the process that had this pid and this start time still runs. Without a start time the answer is no."""
    if pid is None or started is None:
        return False
    now = started_at(pid)
    return now is not None and abs(now - started) <= _TOLERANCE


def hostname() -> str:
    return os.uname().nodename


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
