"""How much memory this process may still use."""

from __future__ import annotations

from pathlib import Path

_MACHINE = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")


def available() -> int:
    """Returns the bytes that are available on this machine, and in this container if it has a limit; 0 if that is not
    known (on other systems than Linux)."""
    try:
        lines = _MACHINE.read_text().splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return 0
    try:
        limit, used = (int((_GROUP / name).read_text()) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):  # no limit is written as `max`
        return free
    return min(free, max(0, limit - used))
