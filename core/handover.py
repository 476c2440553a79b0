"""Giving a value to a child process of ours: in memory, so that no secret touches the disk and nothing is read twice.

The child finds it on its standard input. It is trusted because only the parent, the same program, can have put it
there.
"""

from __future__ import annotations

import os
import stat
from typing import TypeVar

T = TypeVar("T")


def pack(value: object) -> int:
    """A file descriptor to start the child with as its standard input; the caller closes it."""
    import pickle  # late: a command that forks its worker needs none of this

    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("podium")
    else:
        import tempfile

        # Elsewhere: a file that has no name any more by the time anybody could look for it.
        descriptor, path = tempfile.mkstemp()
        os.unlink(path)  # noqa: PTH108
    data = memoryview(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))
    while data:
        data = data[os.write(descriptor, data) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def unpack(kind: type[T], descriptor: int = 0) -> T | None:
    """What the parent handed over, which has to be a `kind`; None when there is nothing (started by hand)."""
    import pickle

    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or not status.st_size or status.st_nlink:
            return None
        with os.fdopen(os.dup(descriptor), "rb") as file:
            found = pickle.load(file)  # noqa: S301
    except (OSError, EOFError, pickle.UnpicklingError, AttributeError, ImportError):
        return None
    return found if isinstance(found, kind) else None
