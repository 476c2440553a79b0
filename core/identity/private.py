"""Files that hold a secret: nobody but their owner may read them."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from ..errors import Refused

_OPEN_TO_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def check_private(found: os.stat_result, path: str, *, owner: int | None = None) -> None:
    """Raises Refused for what is no file, for a file that others may read (0400 is as good as 0600), and for one that
    belongs neither to this account, nor to root, nor to `owner`."""
    if not stat.S_ISREG(found.st_mode):
        raise Refused(f"{path} is not a file", hint="name a file that holds nothing but the secret")
    if found.st_mode & _OPEN_TO_OTHERS:
        raise Refused(f"{path} may be read by other users of this machine", hint=f"chmod 600 {path}")
    if found.st_uid not in (os.getuid(), 0, owner):
        raise Refused(f"{path} belongs to another user", hint="keep the secret in a file of your own")


def ensure_private(file: Path) -> None:
    """Raises Refused as `check_private` does for a file that is there, which may be its directory's owner's; none is no
    fault. A link is no file."""
    with suppress(FileNotFoundError, NotADirectoryError):
        check_private(file.lstat(), str(file), owner=file.parent.stat().st_uid)


def close_to_others(directory: Path) -> None:
    """Takes from others what they may do in a directory of this account's own. Somebody else's stays as it is, and so
    does a link, which may lead to what is not ours to close; a file system without modes is none to be asked."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            found = os.fstat(descriptor)
            if found.st_uid == os.geteuid() and found.st_mode & _OPEN_TO_OTHERS:
                os.fchmod(descriptor, 0o700)
        finally:
            os.close(descriptor)
