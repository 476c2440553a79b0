"""Files of bounded size, of which the oldest goes when a new one begins."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from io import FileIO
from pathlib import Path

MAX_FILES = 4  # the current one and three older ones


class Unwritten(OSError):
    """Raised for lines that could not be written; `lines` is how many."""

    def __init__(self, error: OSError, lines: int) -> None:
        super().__init__(error.errno, error.strerror)
        self.lines = lines


class Rotated:
    """`name.jsonl`, and `name.1.jsonl` (newer) to `name.3.jsonl` (older), together at most `limit` bytes and one
    record; with another `ending` where it is no JSON."""

    def __init__(self, directory: Path, name: str, limit: int, ending: str = "jsonl") -> None:
        self.directory, self.name, self.limit, self.ending = directory, name, max(limit // MAX_FILES, 1), ending

    def path(self, age: int) -> Path:
        return self.directory / (f"{self.name}.{age}.{self.ending}" if age else f"{self.name}.{self.ending}")

    def write(self, lines: list[bytes]) -> None:
        """Writes lines, or blocks of them, each line completely or not at all. Raises Unwritten if one does not fit on
        the disk, of which the written part is removed, or if the file cannot be opened."""
        rest = deque(lines)
        try:
            while rest:
                with open(self.path(0), "ab+", buffering=0, opener=_private) as file:
                    size = _end_torn_line(file)
                    while rest and (not size or size + len(rest[0]) <= self.limit):
                        size += _append(file, size, rest[0])
                        rest.popleft()
                if rest:
                    self.rotate()
        except Unwritten as error:
            lost = error.lines + sum(each.count(b"\n") for each in list(rest)[1:])
            raise Unwritten(error, lost) from error
        except OSError as error:
            raise Unwritten(error, sum(each.count(b"\n") for each in rest)) from error

    def rotate(self) -> None:
        for age in range(MAX_FILES - 2, -1, -1):
            if self.path(age).exists():
                self.path(age).replace(self.path(age + 1))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _end_torn_line(file: FileIO) -> int:
    """Ends a line that a killed replica left unfinished, so that the next one stays readable. Returns the file's
    size."""
    size = file.seek(0, os.SEEK_END)
    if size and os.pread(file.fileno(), 1, size - 1) != b"\n":
        size += file.write(b"\n")
    return size


def _append(file: FileIO, size: int, line: bytes) -> int:
    """Appends a line, or several at once. Of those that do not fit, the whole ones stay: they may have been read."""
    written = 0
    try:
        while written < len(line):
            written += file.write(line[written:])
    except OSError as error:
        with contextlib.suppress(OSError):
            file.truncate(size + line.rfind(b"\n", 0, written) + 1)
        raise Unwritten(error, line.count(b"\n", written)) from error
    return written
