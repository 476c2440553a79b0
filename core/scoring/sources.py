"""What is scored: the files, known by their content, and the parts that they are divided into.

The parts depend on the files alone and not on how many are worked on at once, so that a scoring that was cut short
goes on with the parts that it had finished, whatever it is told then.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from ..domain.frozen import Frozen
from ..errors import NotFound, UsageError

PARQUET, CSV = "parquet", "csv"
# A file is divided into some so many parts, of no fewer and no more rows than these.
_USUAL_PARTS = 64
_LEAST_ROWS = 1 << 14
_MOST_ROWS = 1 << 20
_CHUNK_BYTES = 1 << 20
_SHOWN = 5
_MARK = b"\xef\xbb\xbf"  # with which some programs begin a file in UTF-8


class SourceFile(Frozen):
    """One file, as it was when the scoring began."""

    path: Path
    shown: str
    """Its path as errors and metadata have it: relative to the directory that was given."""
    kind: str
    """`parquet` or `csv`."""
    digest: str
    """`sha256:…` over its bytes."""
    stamp: tuple[int, int, int]
    """Size, time and number in the file system, by which a change is noticed."""
    columns: tuple[str, ...]
    header: int = 0
    """Bytes of the first line of a CSV."""


class Part(Frozen):
    """A piece of one file."""

    number: int
    """Its place among all parts, from 1."""
    file: int
    """The file's place."""
    first: int
    """Its first row, from 0, in a Parquet file; its first byte in a CSV."""
    end: int
    """The row, or byte, after its last one."""
    rows: int | None = None
    """How many rows it has, where that is known before it is read."""


def files_of(source: Path, output: Path) -> list[SourceFile]:
    """Returns the files of a path: itself, or what is below the directory, in the order of their names. Raises NotFound
    if there is nothing, UsageError for what cannot be scored."""
    if not source.exists():
        raise NotFound(f"there is no {source}", hint="name a Parquet or CSV file, or a directory of them")
    if not source.is_dir():
        if source.resolve().is_relative_to(output.resolve()):
            raise UsageError(
                f"{source} is in {output}: its predictions would take its place", hint="name another directory"
            )
        return [_described(source, source.name)]
    if output.resolve().is_relative_to(source.resolve()):
        raise UsageError(
            f"{output} is below {source}: its predictions would be read as rows the next time",
            hint="name a directory beside it",
        )
    found = sorted(path for path in source.rglob("*") if path.is_file() and not _hidden(path.relative_to(source)))
    if not found:
        raise NotFound(f"{source} has no files", hint="name a directory of Parquet or CSV files")
    files = [_described(path, str(path.relative_to(source))) for path in found]
    if len({file.kind for file in files}) > 1:
        raise UsageError(f"{source} has both Parquet and CSV files", hint="score one kind at a time")
    return files


def _hidden(path: Path) -> bool:
    """Whether other readers of such directories leave it out, too."""
    return any(part.startswith((".", "_")) for part in path.parts)


def _described(path: Path, shown: str) -> SourceFile:
    kind = path.suffix.lower().removeprefix(".")
    if kind not in (PARQUET, CSV):
        hint = "uncompress it first: a compressed file cannot be read in parts" if kind == "gz" else ""
        raise UsageError(f"{shown} is neither .parquet nor .csv", hint=hint or "convert it, or name other files")
    stamp = stamp_of(path)
    with path.open("rb") as opened:
        digest = f"sha256:{hashlib.file_digest(opened, 'sha256').hexdigest()}"
    try:
        columns, header = (_parquet_columns(path), 0) if kind == PARQUET else _csv_columns(path)
    except Exception as error:  # pyarrow and csv raise a dozen kinds
        told = " ".join(str(error).split())[:200]
        raise UsageError(f"{shown} cannot be read: {told}", hint="make it again; it may have been cut short") from error
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise UsageError(
            f"{shown} has more than one column {', '.join(map(repr, twice[:_SHOWN]))}",
            hint="rename or remove them: a column's name says which it is",
        )
    return SourceFile(path, shown, kind, digest, stamp, columns, header)


def stamp_of(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino


def parts_of(files: Sequence[SourceFile], rows: int | None = None) -> list[Part]:
    """Returns the parts of all files; `rows` is how many rows each has, about so many in a CSV."""
    found: list[Part] = []
    for place, file in enumerate(files):
        pieces = _parquet_parts(file, rows) if file.kind == PARQUET else _csv_parts(file, rows)
        found += [Part(len(found) + number, place, *piece) for number, piece in enumerate(pieces, 1)]
    return found


def _size(rows: int, wanted: int | None) -> int:
    return wanted or min(_MOST_ROWS, max(_LEAST_ROWS, -(-rows // _USUAL_PARTS)))


# -- Parquet


def _parquet_columns(path: Path) -> tuple[str, ...]:
    import pyarrow.parquet

    return tuple(cast("Any", pyarrow.parquet).read_schema(path).names)


def _parquet_parts(file: SourceFile, rows: int | None) -> Iterator[tuple[int, int, int]]:
    import pyarrow.parquet

    total = int(cast("Any", pyarrow.parquet).read_metadata(file.path).num_rows)
    size = _size(total, rows)
    for first in range(0, total, size):
        end = min(total, first + size)
        yield first, end, end - first


# -- CSV


def _csv_columns(path: Path) -> tuple[tuple[str, ...], int]:
    with path.open("rb") as opened:
        lines = _Lines(opened)
        names = next(csv.reader(lines), list[str]())
        if not names:
            raise ValueError("it is empty")
        return tuple(name.encode("latin-1").decode() for name in names), lines.bytes_read


def _csv_parts(file: SourceFile, rows: int | None) -> Iterator[tuple[int, int]]:
    """Yields pieces that end where a row does. A row may have line ends of its own, between quotes."""
    size = _csv_size(file, rows)
    first, last = file.header, _last_byte(file)
    with file.path.open("rb") as opened:
        for end in _quoted_ends(opened, file, size) if _has_quotes(opened) else _plain_ends(opened, file, size):
            if end >= last:
                break
            yield first, end
            first = end
    if first < last:
        yield first, file.stamp[0]


def _last_byte(file: SourceFile) -> int:
    """Returns where the empty lines at the end begin."""
    at = file.stamp[0]
    with file.path.open("rb") as opened:
        while at > 0:
            start = max(0, at - _CHUNK_BYTES)
            opened.seek(start)
            found = len(opened.read(at - start).rstrip())
            if found:
                return start + found
            at = start
    return 0


def _csv_size(file: SourceFile, rows: int | None) -> int:
    """Returns how many bytes a piece has at least: the rows of the beginning say how long one is."""
    with file.path.open("rb") as opened:
        opened.seek(file.header)
        beginning = opened.read(_CHUNK_BYTES)
    length = max(1.0, len(beginning) / max(1, beginning.count(b"\n")))
    return max(1, int(_size(int(file.stamp[0] / length), rows) * length))


def _plain_ends(opened: Any, file: SourceFile, size: int) -> Iterator[int]:
    """Yields a row's end after each `size` bytes, of a file in which each line is a row."""
    at = file.header
    while at + size < file.stamp[0]:
        opened.seek(at + size - 1)
        opened.readline()
        at = opened.tell()
        yield at


def _quoted_ends(opened: Any, file: SourceFile, size: int) -> Iterator[int]:
    """Does the same by reading all rows: which line end is one, only what stands before it can tell."""
    at = file.header
    opened.seek(at)
    lines = _Lines(opened)
    # What this reader refuses (a carriage return alone, a field of megabytes) is left together.
    with suppress(csv.Error):
        for _ in csv.reader(lines):
            if file.header + lines.bytes_read - at >= size:
                at = file.header + lines.bytes_read
                yield at


def _has_quotes(opened: Any) -> bool:
    opened.seek(0)
    while chunk := opened.read(_CHUNK_BYTES):
        if b'"' in chunk:
            return True
    return False


class _Lines:
    """The lines of a file as text, byte for character, and how many bytes they were."""

    def __init__(self, opened: Any) -> None:
        self._opened = opened
        self.bytes_read = 0

    def __iter__(self) -> Iterator[str]:
        for line in self._opened:
            plain = line.removeprefix(_MARK) if not self.bytes_read else line
            self.bytes_read += len(line)
            yield plain.decode("latin-1")


def unchanged(file: SourceFile) -> bool:
    """Tells whether the file is still the one whose digest was taken."""
    try:
        return stamp_of(file.path) == file.stamp
    except OSError:
        return False


def missing(files: Sequence[SourceFile], columns: Sequence[str]) -> tuple[SourceFile, list[str]] | None:
    """Returns the first file that lacks some of the columns, and which."""
    for file in files:
        lacking = [name for name in columns if name not in file.columns]
        if lacking:
            return file, lacking
    return None


def part_name(number: int, kind: str) -> str:
    return f"part-{number:05d}.{kind}"


def fsync(path: Path) -> None:
    """Has a directory's names on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
