"""The files that replicas write, read on from where they were read last.

A file is known by its beginning, not by its name or its number in the file system: it gets another name when it is
rotated, and both are given again to other files. Its first line has a time and an id, so no two files begin alike.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Self

from ..beneath import Directory
from ..closing import Closing
from ..errors import PodiumError

REQUESTS, CAPTURES, FEEDBACK = "requests", "capture", "feedback"
_NAME = re.compile(r"(requests|capture|feedback)-(.{1,200}?)(?:\.([1-9]))?\.(jsonl|tsv)")
_MARK_BYTES = 256
# No line that a replica writes is longer (a quarter of its limit of 64 MiB); a longer one is passed over in pieces.
MAX_LINE_BYTES = 17 << 20


@dataclass(frozen=True, slots=True)
class Found:
    """A file, held open: what is written to it later, and what becomes of its name, is not read this time."""

    kind: str
    """REQUESTS, CAPTURES or FEEDBACK."""
    name: str
    """Its name without its age."""
    mark: bytes
    """What it is known by."""
    size: int
    """Bytes, when it was opened."""
    file: BufferedReader


class Written(Closing):
    """All files of a directory, opened at one moment. Use `with`."""

    def __init__(self, found: list[Found]) -> None:
        self._found = found

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Opens what replicas have written; nothing if there is no such directory. A link, and a file that is gone
        again, is passed over. The oldest file of each replica comes first."""
        found: list[Found] = []
        with suppress(FileNotFoundError, NotADirectoryError), Directory.open(directory) as top:
            for name in sorted(top.names(), key=_order):
                with suppress(OSError, PodiumError):
                    if (one := _opened(top, name)) is not None:
                        found.append(one)
        return cls(found)

    def of(self, kind: str) -> list[Found]:
        return [each for each in self._found if each.kind == kind]

    def close(self) -> None:
        for each in self._found:
            each.file.close()


def _order(name: str) -> tuple[str, int]:
    match = _NAME.fullmatch(name)
    return (match[2], -int(match[3] or 0)) if match else (name, 0)


def _opened(top: Directory, name: str) -> Found | None:
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    file = top.read(name)
    beginning = file.read(_MARK_BYTES)
    line, end, _ = beginning.partition(b"\n")
    if not end and len(beginning) < _MARK_BYTES:  # its first line is being written
        file.close()
        return None
    mark = hashlib.blake2b(line, digest_size=16).digest()
    return Found(match[1], f"{match[1]}-{match[2]}", mark, os.fstat(file.fileno()).st_size, file)


def lines(found: Found, offset: int) -> Iterator[tuple[bytes, int]]:
    """Yields each line from `offset` on that is complete, with the offset behind it. A line that is too long is yielded
    empty; a last line that has no end is left for the next time."""
    found.file.seek(offset)
    while offset < found.size:
        line = found.file.readline(min(MAX_LINE_BYTES, found.size - offset))
        if line.endswith(b"\n"):
            offset += len(line)
            yield line, offset
        elif len(line) < MAX_LINE_BYTES:
            return
        else:
            offset += len(line)
            yield b"", offset


def glance(directory: Path) -> tuple[tuple[str, int, int], ...]:
    """Returns name, size and last change of each file, cheaply: whether something was written since."""
    seen: list[tuple[str, int, int]] = []
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if _NAME.fullmatch(entry.name):
                with suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    seen.append((entry.name, status.st_size, status.st_mtime_ns))
    return tuple(sorted(seen))
