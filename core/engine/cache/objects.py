"""The contents of files, each once, under its own hash."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from ...beneath import Directory
from .file_copy import place
from .hashing import FileHashes


class Objects:
    """Is a directory of contents. Close it."""

    def __init__(self, directory: Path, hashes: FileHashes) -> None:
        self._path = str(directory)
        self._directory = Directory.open(directory)
        self._hashes = hashes

    def close(self) -> None:
        self._directory.close()

    def has(self, digest: str) -> bool:
        with suppress(FileNotFoundError), self._shelf(digest) as shelf:
            return stat.S_ISREG(shelf.status(digest[2:]).st_mode)
        return False

    def put(self, digest: str, directory: Directory, name: str, status: os.stat_result) -> None:
        """Keeps a file that was hashed when it had this status. OSError when it was written to since, or the disk is
        full."""
        if self.has(digest):
            return
        with self._shelf(digest, make=True) as shelf, directory.read(name) as source:
            place(source, shelf, digest[2:], mode=0o600)
            if _stamp(os.fstat(source.fileno())) != _stamp(status):
                shelf.remove(digest[2:])
                raise OSError(errno.EBUSY, "written to while it was kept", f"{directory.path}/{name}")

    def get(self, digest: str, parent: Directory, name: str, *, link: bool, mode: int) -> None:
        """Makes `name` in `parent` a file with that content; with `link` it may be a hard link."""
        with self._shelf(digest) as shelf, shelf.read(digest[2:]) as source:
            place(source, parent, name, mode=mode, linked=(shelf, digest[2:]) if link else None)

    def intact(self, digest: str) -> bool:
        """Whether the content is there and is what it was. One that was damaged, or changed through a hard link, is
        thrown away rather than restored."""
        path = f"{self._path}/{digest[:2]}/{digest[2:]}"
        try:
            with self._shelf(digest) as shelf:
                name = digest[2:]
                if self._hashes.digest(path, shelf.status(name), lambda: shelf.read(name), linked=True) == digest:
                    return True
                shelf.remove(name)
        except OSError:
            return False
        return False

    def _shelf(self, digest: str, *, make: bool = False) -> Directory:
        return self._directory.below(digest[:2], make=make, links=False, mode=0o700)


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ino
