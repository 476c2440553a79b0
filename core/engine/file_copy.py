"""Putting one file's content somewhere else as cheaply as the file system allows: reflink, hard link (where asked
for), copy."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

# From here on a hard link is worth its drawback that both names show the same bytes; below, a copy costs nothing that
# is noticed.
LINK_FROM = 1 << 20
_FICLONE = 0x40049409

# File systems (by device number) that have answered that they cannot share blocks; asked once each.
_no_reflink: set[int] = set()


def place(source: Path, target: Path, *, link: bool, mode: int) -> None:
    """Make `target` a file with the content of `source`, at once and whole: nobody ever sees half of it. OSError
    when it cannot be."""
    temporary = target.with_name(f".{target.name[:100]}.{os.getpid()}.part")
    try:
        if not _reflink(source, temporary) and not (link and _hard_link(source, temporary)):
            import shutil

            shutil.copyfile(source, temporary)
        if temporary.stat().st_nlink == 1:
            temporary.chmod(mode)
        temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _reflink(source: Path, target: Path) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    device = source.stat().st_dev
    if device in _no_reflink:
        return False
    import fcntl

    with source.open("rb") as read, target.open("wb") as write:
        try:
            fcntl.ioctl(write.fileno(), _FICLONE, read.fileno())
        except OSError:
            _no_reflink.add(device)
            return False
    return True


def _hard_link(source: Path, target: Path) -> bool:
    with suppress(OSError):
        if source.stat().st_size >= LINK_FROM:
            target.unlink(missing_ok=True)
            target.hardlink_to(source)
            return True
    return False
