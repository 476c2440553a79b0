"""Puts the content of one open file under another name as cheaply as the file system allows: reflink, hard link (where
asked for), copy."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import BinaryIO, Final

from ...beneath import Directory, pour

# From here on a hard link is worth its drawback that both names show the same bytes; below, a copy costs nothing that
# is noticed.
MIN_LINK_BYTES = 1 << 20
_FICLONE = 0x40049409
# Letters of a file's own name in that of its unfinished copy: a name has 255 bytes at most, and a letter up to four.
NAME_LETTERS = 50


class Reflinks:
    """Shares the blocks of one file with another. A file system that cannot is asked once."""

    def __init__(self) -> None:
        self._refused: set[int] = set()
        """The device numbers of file systems that cannot."""

    def make(self, source: BinaryIO, target: BinaryIO) -> bool:
        """Returns whether `target` shares the blocks of `source` now."""
        if not sys.platform.startswith("linux"):
            return False
        device = os.fstat(source.fileno()).st_dev
        if device in self._refused:
            return False
        import fcntl

        try:
            fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
        except OSError:
            self._refused.add(device)
            return False
        return True


_reflinks: Final = Reflinks()


def place(
    source: BinaryIO, parent: Directory, name: str, *, mode: int, linked: tuple[Directory, str] | None = None
) -> None:
    """Makes `name` in `parent` a file with the content of `source`, atomically. It may become a hard link to
    `linked`, which is where `source` lies. Raises OSError if it cannot be made."""
    unfinished = f".{name[:NAME_LETTERS]}.{os.getpid()}.part"
    parent.remove(unfinished)
    try:
        with parent.create(unfinished) as new:
            shared = _reflinks.make(source, new)
            if not shared and linked is None:
                pour(source, new)
            os.fchmod(new.fileno(), mode)
        if not shared and linked is not None:
            _link_or_copy(source, parent, unfinished, linked, mode)
        parent.rename(unfinished, name)
    except BaseException:
        with suppress(OSError):
            parent.remove(unfinished)
        raise


def _link_or_copy(source: BinaryIO, parent: Directory, name: str, linked: tuple[Directory, str], mode: int) -> None:
    parent.remove(name)
    if os.fstat(source.fileno()).st_size >= MIN_LINK_BYTES:
        with suppress(OSError):
            os.link(
                linked[1], name, src_dir_fd=linked[0].descriptor, dst_dir_fd=parent.descriptor, follow_symlinks=False
            )
            return
    with parent.create(name) as new:
        pour(source, new)
        os.fchmod(new.fileno(), mode)
