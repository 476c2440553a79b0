"""Hashes of file contents, without reading files again that have not changed.

A file is known by (path, size, mtime, inode, ctime): whoever keeps the size and sets the time of change (`cp -p`,
`rsync -t`) cannot set the last. A file written within the last moments before it was read is not remembered: it could
be written again within the same tick of the file system's clock and look the same.
"""

from __future__ import annotations

import hashlib
import os
import re
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
# What `file_copy.place` calls a copy that is not finished: one that a kill has left is nobody's.
_UNFINISHED = re.compile(r"\..{1,50}\.([0-9]{1,10})\.part", re.DOTALL)
_SETTLED_NS = 50_000_000
_MAX_DEPTH = 100  # directories above a link that is followed
# What stands in place of a file that Git LFS keeps elsewhere, and how large such a pointer is.
_POINTER = b"version https://git-lfs.github.com/spec/v1"
_POINTER_BYTES = (100, 400)
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


# Size, mtime, inode, ctime and digest.
_Known = tuple[int, int, int, int, str]


class FileHashes:
    """Remembered file hashes, a table in the cache's database. Losing it only costs time. `breathe` is called now
    and then while a large file is read; an exception that it raises ends the reading. With `verify` nothing is taken
    from what was remembered."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self.breathe: Callable[[], None] = lambda: None
        self.verify = False
        self._database = database
        self._new: dict[str, _Known] = {}
        database.execute(
            "CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, size INTEGER, mtime INTEGER, inode INTEGER,"
            " digest TEXT, changed INTEGER) WITHOUT ROWID"
        )
        if all(row[1] != "changed" for row in database.execute("PRAGMA table_info(files)")):
            database.execute("ALTER TABLE files ADD COLUMN changed INTEGER")

    def digest(
        self,
        path: str,
        status: os.stat_result,
        opened: Callable[[], BinaryIO] | None = None,
        *,
        linked: bool = False,
    ) -> str:
        """Returns the SHA-256 of the file's content, in hex. `opened` opens it where its path is not to be believed.
        `linked` is for files of the cache's own: each hard link that is made to one changes its ctime, and not the
        content. OSError when it cannot be read."""
        seen = (status.st_size, status.st_mtime_ns, status.st_ino, 0 if linked else status.st_ctime_ns)
        known = self._new.get(path) or (None if self.verify else self._known(path))
        if known is not None and tuple(known[:4]) == seen:
            return known[4]
        began = time.time_ns()
        digest = _read(path if opened is None else opened, self.breathe)
        if max(status.st_mtime_ns, seen[3]) < began - _SETTLED_NS:
            self._new[path] = (*seen, digest)
        return digest

    def _known(self, path: str) -> _Known | None:
        return self._database.execute(
            "SELECT size, mtime, inode, changed, digest FROM files WHERE path = ?", (_bound(path),)
        ).fetchone()

    def save(self) -> None:
        """Writes new hashes; the caller commits."""
        rows = ((_bound(path), *known) for path, known in self._new.items())
        self._database.executemany(
            "INSERT OR REPLACE INTO files (path, size, mtime, inode, changed, digest) VALUES (?, ?, ?, ?, ?, ?)", rows
        )
        self._new.clear()


def _bound(path: str) -> str | bytes:
    """Returns a path as SQLite takes it: text must be UTF-8, which file names need not be."""
    return path if path.isascii() else os.fsencode(path)


def unwanted(name: str) -> bool:
    """Tells whether a file or directory of that name is never an input or output."""
    return name in IGNORED or name.endswith(".pyc") or unfinished_by(name) is not None


def unfinished_by(name: str) -> int | None:
    """Returns the process that makes, or made, the unfinished copy of that name; None for any other name."""
    match = _UNFINISHED.fullmatch(name)
    return int(match[1]) if match else None


def scan(path: str, hashes: FileHashes, *, inside: str = "") -> list[FileEntry]:
    """Returns what is at and below an input, sorted. Raises FileNotFoundError if there is nothing. Inputs are only
    hashed, so links are followed: the path itself, and links below it, to directories too (each directory once).
    With `inside`, for a commit that anybody may have written, links to what is not below that directory are only
    links. `outputs` reads what steps wrote, and follows no links."""
    status = os.stat(path)  # noqa: PTH116  (thousands of calls: pathlib doubles their cost)
    if inside and not _below(os.path.realpath(path), os.path.realpath(inside)):
        return [FileEntry("", "link", os.path.realpath(path))]
    if not stat.S_ISDIR(status.st_mode):
        if not stat.S_ISREG(status.st_mode):
            raise RunFailed(
                f"{path} is neither a file nor a directory",
                hint="a socket, pipe or device cannot be an input or output",
            )
        return [FileEntry("", "file", hashes.digest(path, status), status.st_size, stat.S_IMODE(status.st_mode))]
    walk = _Walk(hashes, os.path.realpath(inside) if inside else "", [os.path.realpath(path)])
    return sorted(walk.go(path, ""), key=lambda entry: entry.path)


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


def refuse_pointers(top: str, path: str, entries: list[FileEntry]) -> None:
    """Raises RunFailed if an input, or a file below it, is the pointer of Git LFS that stands for a file: a model would
    be trained on it."""
    for entry in entries:
        if entry.kind != "file" or not _POINTER_BYTES[0] <= entry.size <= _POINTER_BYTES[1]:
            continue
        full = "/".join(part for part in (top, path, entry.path) if part)
        with open(full, "rb") as file:  # noqa: PTH123
            if file.read(len(_POINTER)) == _POINTER:
                name = full.removeprefix(f"{top}/")
                raise RunFailed(f"input {name!r} is a pointer of Git LFS, not the file itself", hint="git lfs pull")


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


def _below(real: str, directory: str) -> bool:
    return f"{real}/".startswith(f"{directory}/")


class _Walk(Frozen):
    """One walk over an input. `walked` are the real paths that were walked or will be: none is walked twice, so that
    links in a circle, or two to each directory of many, come to an end."""

    hashes: FileHashes
    inside: str
    walked: list[str]

    def go(self, top: str, prefix: str) -> Iterator[FileEntry]:
        empty = True
        with os.scandir(top) as found:
            for item in sorted(found, key=lambda item: item.name):
                empty = False
                if not unwanted(item.name):
                    yield from self._item(item, f"{prefix}{item.name}")
        if empty and prefix:
            yield FileEntry(prefix.rstrip("/"), "directory", "", 0, 0o755)

    def _item(self, item: os.DirEntry[str], relative: str) -> Iterator[FileEntry]:
        if item.is_dir(follow_symlinks=False):
            yield from self.go(item.path, f"{relative}/")
        elif item.is_symlink() and not self._is_file(item.path):
            yield FileEntry(relative, "link", os.readlink(item.path))  # noqa: PTH115
            real = os.path.realpath(item.path)
            if os.path.isdir(real) and relative.count("/") < _MAX_DEPTH and self._follows(real):  # noqa: PTH112
                yield from self.go(real, f"{relative}/")
        elif item.is_file():
            status = item.stat()
            digest = self.hashes.digest(item.path, status)
            yield FileEntry(relative, "file", digest, status.st_size, stat.S_IMODE(status.st_mode))

    def _is_file(self, link: str) -> bool:
        """Tells whether a link leads to a file that may be read."""
        may = not self.inside or _below(os.path.realpath(link), self.inside)
        return may and os.path.isfile(link)  # noqa: PTH113

    def _follows(self, real: str) -> bool:
        if self.inside and not _below(real, self.inside):
            return False
        if any(f"{real}/".startswith(f"{each}/") for each in self.walked):
            return False
        self.walked.append(real)
        return os.access(real, os.R_OK | os.X_OK)


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
