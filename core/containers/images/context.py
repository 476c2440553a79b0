"""A build context: a tar written as it is sent, so that a model of gigabytes needs neither memory nor a second place
on the disk.

The same content always makes the same bytes: names sorted, one time, one owner, two modes. That is what makes an
engine's cache hit and a layer reproducible, whoever builds, wherever, whenever.
"""

from __future__ import annotations

import io
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ...errors import RunFailed
from ...logs.text import clean

# 1 January 1980: the earliest time that everything which may look at it (zip, among others) can hold.
EPOCH = 315_532_800
_CHUNK = 1024 * 1024
# A layer is a tar too, and there a file of such a name means that another one is deleted.
_WHITEOUT = ".wh."


@dataclass(slots=True)
class Context:
    """Files by their path inside of the context. Directories above a file are made by themselves."""

    _files: dict[str, bytes | Path] = field(default_factory=dict[str, bytes | Path])
    _directories: set[str] = field(default_factory=set[str])

    def add(self, name: str, content: bytes | Path) -> None:
        """`content` as the file `name`. RunFailed where an image cannot hold a file of that name."""
        parts = PurePosixPath(name).parts
        for part in parts:
            if part.startswith(_WHITEOUT):
                raise RunFailed(
                    f"an image cannot hold the file {clean(name)[:200]!r}: names that begin with {_WHITEOUT} mean a"
                    " deletion there"
                )
        self._files[name] = content
        self.directory(str(PurePosixPath(name).parent))

    def directory(self, name: str) -> None:
        parts = PurePosixPath(name).parts
        self._directories.update("/".join(parts[: number + 1]) for number in range(len(parts)))

    def tree(self, prefix: str, root: Path) -> None:
        """Every file below `root`, as `prefix/…`. RunFailed for anything that is neither a file nor a directory, and
        for a link: what it points to would be another thing inside of the image."""
        self.directory(prefix)
        for path in sorted(root.rglob("*")):
            name = f"{prefix}/{path.relative_to(root).as_posix()}"
            kind = path.lstat().st_mode
            if stat.S_ISDIR(kind):
                self.directory(name)
            elif stat.S_ISREG(kind):
                self.add(name, path)
            else:
                raise RunFailed(
                    f"{clean(str(path))} is neither a file nor a directory",
                    hint="an image is built of plain files alone",
                )

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(
            content.stat().st_size if isinstance(content, Path) else len(content) for content in self._files.values()
        )

    def stream(self) -> Iterator[bytes]:
        """The tar, in pieces. RunFailed when a file changes while it is read, or cannot be read."""
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


def _file(name: str, path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as stream:
            size = path.stat().st_size
            yield _header(name, size=size)
            yield from exactly(stream, size, path)
    except OSError as error:
        # While it is sent, an OSError would be taken for the engine's.
        raise RunFailed(f"{clean(str(path))} cannot be read: {error.strerror or error}") from error


def exactly(stream: io.BufferedReader, size: int, path: Path) -> Iterator[bytes]:
    """`size` bytes of a file and the padding that a tar wants. RunFailed when it has become shorter."""
    left = size
    while left:
        piece = stream.read(min(_CHUNK, left))
        if not piece:
            raise RunFailed(f"{path} became shorter while it was read", hint="something writes to it; try again")
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
