"""Hashes of file contents, without reading files again that have not changed.

A file is known by (path, size, mtime, inode). A file written within the last moments before it was read is not
remembered: it could be written again within the same tick of the file system's clock and look the same.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from ...domain.frozen import Frozen
from ...errors import RunFailed

# Made by tools as a side effect of running, and different each time: neither input nor output of anything.
IGNORED = frozenset(
    {"__pycache__", ".git", ".podium", ".pytest_cache", ".ipynb_checkpoints", ".mypy_cache", ".ruff_cache", ".DS_Store"}
)
_SETTLED_NS = 50_000_000
_CHUNK_BYTES = 1 << 20
# After so many bytes of one file, whoever asked gets a chance to look after other things.
_YIELD_BYTES = 64 << 20


class FileEntry(Frozen):
    """One thing at or below a path. `path` is relative to it (empty: the path itself). `kind` is file, link or
    directory (only if empty). `digest` is the content's SHA-256, or a link's target. `mode` holds the permission
    bits."""

    path: str
    kind: str
    digest: str
    size: int = 0
    mode: int = 0o644


class FileHashes:
    """Remembered file hashes, a table in the cache's database. Losing it only costs time. `breathe` is called now
    and then while a large file is read; an exception that it raises ends the reading."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self.breathe: Callable[[], None] = lambda: None
        self._database = database
        self._new: dict[str, tuple[int, int, int, str]] = {}
        database.execute(
            "CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, size INTEGER, mtime INTEGER, inode INTEGER,"
            " digest TEXT) WITHOUT ROWID"
        )

    def digest(self, path: str, status: os.stat_result, opened: Callable[[], BinaryIO] | None = None) -> str:
        """Returns the SHA-256 of the file's content, in hex. `opened` opens it where its path is not to be believed.
        OSError when it cannot be read."""
        seen = (status.st_size, status.st_mtime_ns, status.st_ino)
        known = self._new.get(path) or self._known(path)
        if known is not None and tuple(known[:3]) == seen:
            return known[3]
        began = time.time_ns()
        digest = _read(path if opened is None else opened, self.breathe)
        if status.st_mtime_ns < began - _SETTLED_NS:
            self._new[path] = (*seen, digest)
        return digest

    def _known(self, path: str) -> tuple[int, int, int, str] | None:
        return self._database.execute(
            "SELECT size, mtime, inode, digest FROM files WHERE path = ?", (_bound(path),)
        ).fetchone()

    def save(self) -> None:
        """Writes new hashes; the caller commits."""
        rows = ((_bound(path), *known) for path, known in self._new.items())
        self._database.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", rows)
        self._new.clear()


def _bound(path: str) -> str | bytes:
    """Returns a path as SQLite takes it: text must be UTF-8, which file names need not be."""
    return path if path.isascii() else os.fsencode(path)


def unwanted(name: str) -> bool:
    """Tells whether a file or directory of that name is never an input or output."""
    return name in IGNORED or name.endswith(".pyc")


def scan(path: str, hashes: FileHashes) -> list[FileEntry]:
    """Returns what is at and below an input, sorted. Raises FileNotFoundError if there is nothing. Inputs are only
    hashed, so links are followed: the path itself, and links below it that point to files. (A link to a directory is
    taken as a link.) `outputs` reads what steps wrote, and follows no links."""
    status = os.stat(path)  # noqa: PTH116  (thousands of calls: pathlib doubles their cost)
    if not stat.S_ISDIR(status.st_mode):
        if not stat.S_ISREG(status.st_mode):
            raise RunFailed(
                f"{path} is neither a file nor a directory",
                hint="a socket, pipe or device cannot be an input or output",
            )
        return [FileEntry("", "file", hashes.digest(path, status), status.st_size, stat.S_IMODE(status.st_mode))]
    return sorted(_walk(path, "", hashes), key=lambda entry: entry.path)


def summary(entries: list[FileEntry]) -> str:
    """Returns one hash over everything that `scan` found. Permission bits count only as executable or not."""
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(
            f"{entry.kind}\0{entry.path}\0{entry.digest}\0{'x' if entry.mode & 0o100 else '-'}\n".encode(
                "utf-8", "surrogateescape"
            )
        )
    return digest.hexdigest()


def locate(root: str, path: str, what: str) -> str:
    """Returns the absolute path of an input or output. Raises RunFailed if it leads out of the run's directory."""
    full = os.path.normpath(f"{root}/{path}" if not path.startswith("/") else path)
    if full != root and not full.startswith(f"{root}/"):
        raise RunFailed(
            f"{what} {path!r} is outside of the project",
            hint="inputs and outputs are paths below the directory of podium.yaml",
        )
    return full


def matching(root: str, pattern: str) -> list[str]:
    """The paths, relative to `root`, that an input names: itself, or what a pattern with `*`, `?` or `[` matches,
    sorted; empty when nothing does."""
    full = locate(root, pattern, "input")
    if os.path.lexists(full) or not any(sign in pattern for sign in "*?["):
        return [full[len(root) + 1 :] or "."] if os.path.exists(full) else []  # noqa: PTH110
    found = (path.relative_to(root) for path in Path(root).glob(pattern))
    return sorted(str(path) for path in found if not IGNORED.intersection(path.parts))


def _walk(top: str, prefix: str, hashes: FileHashes) -> Iterator[FileEntry]:
    empty = True
    with os.scandir(top) as found:
        for item in sorted(found, key=lambda item: item.name):
            empty = False
            if unwanted(item.name):
                continue
            relative = f"{prefix}{item.name}"
            if item.is_dir(follow_symlinks=False):
                yield from _walk(item.path, f"{relative}/", hashes)
            elif item.is_symlink() and not os.path.isfile(item.path):  # noqa: PTH113
                yield FileEntry(relative, "link", os.readlink(item.path))  # noqa: PTH115
            elif item.is_file():
                status = item.stat()
                yield FileEntry(
                    relative, "file", hashes.digest(item.path, status), status.st_size, stat.S_IMODE(status.st_mode)
                )
    if empty and prefix:
        yield FileEntry(prefix.rstrip("/"), "directory", "", 0, 0o755)


def _read(source: str | Callable[[], BinaryIO], breathe: Callable[[], None]) -> str:
    digest = hashlib.sha256()
    count = 0
    with open(source, "rb", buffering=0) if isinstance(source, str) else source() as file:  # noqa: PTH123
        while block := file.read(_CHUNK_BYTES):
            digest.update(block)
            count += len(block)
            if count >= _YIELD_BYTES:
                count = 0
                breathe()
    return digest.hexdigest()
