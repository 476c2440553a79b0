"""A build context: a tar written while it is sent, so that a model of gigabytes needs neither memory nor more disk
space. The same content always gives the same bytes: sorted names, one time, one owner, two modes. This makes the
engine's cache hit and layers reproducible on every machine."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ...beneath import Directory, walk
from ...domain.frozen import Frozen
from ...domain.text import clean
from ...errors import RunFailed

# 1 January 1980: the earliest time that everything which may look at it (zip, among others) can hold.
EPOCH = 315_532_800
_CHUNK_BYTES = 1024 * 1024
# A layer is a tar too, and there a file of such a name means that another one is deleted.
_WHITEOUT = ".wh."


class _SourceFile(Frozen):
    """A file of this machine, found when the context is put together and opened when it is sent."""

    root: Path
    path: str
    size: int

    @property
    def full(self) -> Path:
        return self.root / self.path

    def open(self) -> BinaryIO:
        with Directory.open(self.root) as root:
            return root.read_below(self.path, links=False)


@dataclass(slots=True)
class BuildContext:
    """Files by their paths inside the context. Parent directories are added automatically."""

    _files: dict[str, bytes | _SourceFile] = field(default_factory=dict[str, bytes | _SourceFile])
    _directories: set[str] = field(default_factory=set[str])

    def add(self, name: str, content: bytes | Path | _SourceFile) -> None:
        """Adds `content`, or the file at that path, as the file `name`. Raises RunFailed if an image cannot contain
        a file of that name."""
        parts = PurePosixPath(name).parts
        for part in parts:
            if part.startswith(_WHITEOUT):
                raise RunFailed(
                    f"an image cannot hold the file {clean(name)[:200]!r}: names that begin with {_WHITEOUT} mark"
                    " deleted files there"
                )
        if isinstance(content, Path):
            content = _SourceFile(content.parent, content.name, content.lstat().st_size)
        self._files[name] = content
        self.directory(str(PurePosixPath(name).parent))

    def directory(self, name: str) -> None:
        parts = PurePosixPath(name).parts
        self._directories.update("/".join(parts[: number + 1]) for number in range(len(parts)))

    def tree(self, prefix: str, root: Path) -> None:
        """Adds every file below `root` as `prefix/…`. Raises RunFailed for anything other than a file or directory,
        links included: inside the image a link would point to something else."""
        self.directory(prefix)
        with Directory.open(root) as top:
            for found in walk(top, whole=True):
                name = f"{prefix}/{found.path}"
                if found.is_directory:
                    self.directory(name)
                elif found.is_file:
                    self.add(name, _SourceFile(root, found.path, found.status.st_size))
                else:
                    raise RunFailed(
                        f"{clean(str(root / found.path))} is neither a file nor a directory",
                        hint="put only plain files into an image",
                    )

    @property
    def size(self) -> int:
        """Returns the number of bytes of all files."""
        return sum(len(content) if isinstance(content, bytes) else content.size for content in self._files.values())

    def stream(self) -> Iterator[bytes]:
        """Yields the tar in pieces. Raises RunFailed if a file cannot be read or changes while it is read."""
        for name in sorted(self._directories - {"."}):
            yield _header(name, directory=True)
        for name in sorted(self._files):
            content = self._files[name]
            if isinstance(content, bytes):
                yield _header(name, size=len(content))
                yield content + _padding(len(content))
            else:
                yield from _file(name, content)
        yield b"\0" * (2 * tarfile.BLOCKSIZE)


def _file(name: str, file: _SourceFile) -> Iterator[bytes]:
    try:
        with file.open() as stream:
            size = os.fstat(stream.fileno()).st_size
            yield _header(name, size=size)
            yield from exactly(stream, size, file.full)
    except OSError as error:
        # While it is sent, an OSError would be taken for the engine's.
        raise RunFailed(f"{clean(str(file.full))} cannot be read: {error.strerror or error}") from error


def exactly(stream: BinaryIO, size: int, path: Path) -> Iterator[bytes]:
    """Yields `size` bytes of a file and the padding that the tar format requires. Raises RunFailed if the file has
    become shorter."""
    left = size
    while left:
        piece = stream.read(min(_CHUNK_BYTES, left))
        if not piece:
            raise RunFailed(f"{path} became shorter while it was read", hint="try again when nothing writes to it")
        left -= len(piece)
        yield piece
    yield _padding(size)


def _header(name: str, *, size: int = 0, directory: bool = False) -> bytes:
    member = tarfile.TarInfo(name)
    member.mtime = EPOCH
    member.size = size
    member.mode = 0o755 if directory else 0o644
    member.type = tarfile.DIRTYPE if directory else tarfile.REGTYPE
    # GNU's form takes names of any length and of any bytes as they are.
    return member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _padding(size: int) -> bytes:
    return b"\0" * (-size % tarfile.BLOCKSIZE)
