"""A sealed segment: rows that have left a table of the journal, in a file of their own that is never changed.

It is gzip of lines of JSON: a head (kind, columns, the digest that comes before its first row), then one list for each
row, whose last value is its digest. A row's digest covers the one before it, so that a segment continues the chain of
the segment before and the table, or the next segment, continues its own.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import secrets
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from ...errors import JournalError

Row = tuple[Any, ...]


def file_digest(path: Path) -> str:
    """Returns the SHA-256 of a file, in hex. OSError when it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(path: Path, kind: str, columns: Sequence[str], before: str, rows: Sequence[Row]) -> str:
    """Writes a segment as a whole, readable by its owner and written by nobody; returns its SHA-256. One of that name
    that a crash left is replaced. OSError when it cannot be written: then nothing is left behind."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            with gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as packed:
                for line in ({"kind": kind, "columns": list(columns), "before": before}, *rows):
                    packed.write(json.dumps(line).encode() + b"\n")
            file.flush()
            os.fchmod(file.fileno(), 0o400)
            os.fsync(file.fileno())
        digest = file_digest(fresh)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    _sync(path.parent)
    return digest


def read(path: Path) -> Iterator[Row]:
    """Yields the rows of a segment, the oldest first. JournalError when it is missing or is none."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            json.loads(file.readline())
            for line in file:
                yield tuple(cast("list[Any]", json.loads(line)))
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise JournalError(
            f"the sealed segment {path} cannot be read: {error}",
            hint="bring it back from a backup: it is never changed",
        ) from error


def _sync(directory: Path) -> None:
    """Has the disk know the new name before the journal forgets the rows."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
