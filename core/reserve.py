"""Room on the disk of the state directory for what has to go on when the disk is full: starting what serves again, and
going back to an earlier version. A file keeps it, which is removed when it is needed."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from .domain.text.format import size

NAME = "reserve"
RESERVE_BYTES = 16 << 20
# With less room than this a rollback or the start of a replica may fail: rows of the journal, logs, files of HAProxy.
_NEEDED_BYTES = 8 << 20
# A small disk is not filled by what is kept for the day when it is full.
_LEAST_FREE_BYTES = 10 * RESERVE_BYTES


def keep(state: Path) -> bool:
    """Makes the file where there is plenty of room and none is kept yet; returns whether it is there now. Raises
    nothing."""
    path = state / NAME
    try:
        if path.exists():
            if path.stat().st_blocks * 512 >= RESERVE_BYTES:
                return True
            path.unlink()  # whoever made it was killed before it had its room
        if not state.is_dir() or _free(state) < _LEAST_FREE_BYTES:
            return False
        # Without O_EXCL two agents would write into one file.
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError:
        return False
    try:
        os.posix_fallocate(file, 0, RESERVE_BYTES)
    except OSError:
        path.unlink(missing_ok=True)
        return False
    finally:
        os.close(file)
    return True


def release(state: Path) -> str:
    """Gives the room back if the disk is full; returns what was done, in words, and an empty text if nothing had to be
    or could be. Raises nothing."""
    path = state / NAME
    with suppress(OSError):
        if _free(state) < _NEEDED_BYTES:
            path.unlink()
            return f"the disk of {state} is full: {size(RESERVE_BYTES)} that were kept for this are free now; make room"
    return ""


def _free(state: Path) -> int:
    disk = os.statvfs(state)
    return disk.f_bavail * disk.f_frsize
