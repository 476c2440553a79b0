"""Reads what replicas have captured (recorder.py): the newest requests, whichever replica answered them.

Captured requests are users' data. Nothing of them goes into a log, a message or a report.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ..beneath import Directory
from ..domain.finite import time_of

# Captures with these statuses have incomplete bodies: too large, or not received in time.
_INCOMPLETE_STATUSES = (408, 413)
# What a byte that is no UTF-8 became when it was written: the request cannot be sent again as it was.
_REPLACEMENT_CHARACTER = "\ufffd"
_TAIL_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Captured:
    """One request as it was sent, and as it was answered then."""

    at: float
    """Seconds since the epoch."""
    version: str
    """The version that answered it."""
    status: int
    """HTTP status of the answer."""
    content_type: str | None
    """None if the client sent none."""
    body: bytes
    """The request's body."""
    output: str
    """The answer's body."""
    request_id: str = ""
    """Empty for a capture of an earlier version of Podium."""
    redacted: tuple[str, ...] = ()
    """Columns that it had, and that were not kept."""


@dataclass(frozen=True, slots=True)
class Captures:
    """`found` is the number of requests to choose from; `chosen` are the newest of them, oldest first."""

    found: int
    chosen: tuple[Captured, ...]


def newest(directory: Path, *, limit: int, after: float = 0.0) -> Captures:
    """Returns the newest `limit` requests captured after `after` (seconds since the epoch). A truncated line is
    skipped: it is being written."""
    kept: list[tuple[float, int, Captured]] = []
    found = 0
    for number, capture in enumerate(_all(directory, after)):
        found += 1
        if len(kept) < limit:
            heapq.heappush(kept, (capture.at, number, capture))
        else:
            heapq.heappushpop(kept, (capture.at, number, capture))
    return Captures(found, tuple(capture for _, _, capture in sorted(kept, key=lambda entry: entry[:2])))


def last(directory: Path) -> Captured | None:
    """Returns a JSON request that was answered with 200, one of the last that were captured; None if there is none.
    Reads the ends of the two newest files only."""
    with suppress(OSError), Directory.open(directory) as top:
        names = [name for name in top.names() if name.startswith("capture-") and name.endswith(".jsonl")]
        for name in sorted(names, key=lambda each: top.status(each).st_mtime, reverse=True)[:2]:
            with top.read(name) as file:
                file.seek(max(0, top.status(name).st_size - _TAIL_BYTES))
                lines = file.read(_TAIL_BYTES).splitlines()
            found = (_read(line) for line in reversed(lines))
            good = (each for each in found if each is not None and each.status == 200 and _is_json(each))
            if (one := next(good, None)) is not None:
                return one
    return None


def _is_json(capture: Captured) -> bool:
    return (capture.content_type or "").strip().startswith("application/json")


def _all(directory: Path, after: float) -> Iterator[Captured]:
    """Yields what the files hold. Replicas write them, in containers too: one that is a link is not followed."""
    with suppress(FileNotFoundError), Directory.open(directory) as top:
        for name in sorted(name for name in top.names() if name.startswith("capture-") and name.endswith(".jsonl")):
            with suppress(FileNotFoundError):  # its replica has just begun a new file
                if top.status(name).st_mtime >= after:
                    with top.read(name) as file:
                        yield from _since(file, after)


def _since(lines: Iterable[bytes], after: float) -> Iterator[Captured]:
    for line in lines:
        capture = _read(line)
        if capture is not None and capture.at > after:
            yield capture


def _read(line: bytes) -> Captured | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    fields = cast("Mapping[str, Any]", record)
    body, status, at = fields.get("input"), fields.get("status"), time_of(fields.get("at", 0.0))
    content_type = fields.get("content_type")
    if (
        not isinstance(body, str)
        or not isinstance(status, int)
        or at is None
        or status in _INCOMPLETE_STATUSES
        or _REPLACEMENT_CHARACTER in body
        or (isinstance(content_type, str) and not content_type.isprintable())  # another header might follow in it
    ):
        return None
    return Captured(
        at,
        str(fields.get("version", "")),
        status,
        content_type if isinstance(content_type, str) else None,
        body.encode("utf-8", "surrogatepass"),
        str(fields.get("output", "")),
        str(fields.get("request_id", "")),
        _names(fields.get("redacted")),
    )


def _names(value: Any) -> tuple[str, ...]:
    return tuple(map(str, cast("list[Any]", value))) if isinstance(value, list) else ()
