"""Collects what replicas have written, each line exactly once: the rows and the place to read on from are written in
one transaction, so whoever is killed in between has done nothing, or both.

A replica writes a request before its capture, but in another file: files are opened one after the other, and copied
from other machines in any order. A request that only its capture has told of is marked as early, and is the same one
when its own line is read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from ..domain.frozen import Frozen
from ..journal.sqlite.database import Database
from . import files, truths
from .files import Found, Written
from .matching import Matching, Sent
from .records import RequestLine, capture_line, feedback_line, request_line

# Lines of one transaction: a few hundredths of a second, for which others wait.
BATCH_LINES = 2000
# A captured request larger than this stays in its capture file, and is not kept with its labels.
MAX_INPUT_BYTES = 64 * 1024
_MAX_POSITIONS = 10_000


class Collected(Frozen):
    """How many lines were collected; `unread` are those that are no line of a replica, such as one that it was killed
    over."""

    requests: int = 0
    captures: int = 0
    feedback: int = 0
    unread: int = 0


def collect(database: Database, directories: tuple[Path, ...], now: float | None = None) -> Collected:
    """Collects what was written to these directories since. Raises JournalError if the store cannot be written."""
    counts: dict[str, int] = dict.fromkeys(("requests", "captures", "feedback", "unread"), 0)
    for directory in directories:
        with Written.open(directory) as written:
            for kind, name, put in _KINDS:
                for found in written.of(kind):
                    for number, unread in _read(database, found, put):
                        counts[name] += number
                        counts["unread"] += unread
    if any(counts.values()) or any(database.one(f"SELECT 1 FROM {each} LIMIT 1") for each in ("waiting", "arrived")):  # noqa: S608
        with database.transaction():
            matching = Matching(database)
            matching.settle(time.time() if now is None else now)
            matching.written()
    return Collected(**counts)


def _read(database: Database, found: Found, put: Callable[[Database, list[bytes]], int]) -> Iterator[tuple[int, int]]:
    """Reads a file on, a batch at a time; yields for each how many of its lines were good, and how many not."""
    while True:
        with database.transaction():
            # Asked for inside: another process may have collected since.
            known = database.one("SELECT offset FROM positions WHERE name = ? AND mark = ?", (found.name, found.mark))
            batch = list(islice(files.lines(found, known[0] if known else 0), BATCH_LINES))
            if not batch:
                return
            good = put(database, [line for line, _ in batch])
            _remember(database, found, batch[-1][1])
        yield good, len(batch) - good


def _remember(database: Database, found: Found, offset: int) -> None:
    changed = database.run(
        "UPDATE positions SET offset = ? WHERE name = ? AND mark = ?", (offset, found.name, found.mark)
    )
    if not changed:
        number = database.insert(
            "INSERT INTO positions (name, mark, offset) VALUES (?, ?, ?)", (found.name, found.mark, offset)
        )
        database.run("DELETE FROM positions WHERE number <= ?", (number - _MAX_POSITIONS,))


def _put_requests(database: Database, lines: list[bytes]) -> int:
    good = 0
    some_early = database.one("SELECT 1 FROM early LIMIT 1") is not None
    for request in map(request_line, lines):
        if request is not None:
            if not (some_early and _complete(database, request)):
                _insert(database, request)
            good += 1
    return good


def _complete(database: Database, request: RequestLine) -> bool:
    """Completes a request that its capture has told of already; tells whether there is one."""
    known = database.one(
        "SELECT number FROM requests WHERE id = ? AND at = ? AND status = ? AND number IN (SELECT request FROM early)",
        (request.id, request.at, request.status),
    )
    if known is None:
        return False
    database.run("DELETE FROM early WHERE request = ?", known)
    _put_keys(database, known[0], request)
    return True


def _insert(database: Database, request: RequestLine) -> int:
    number = database.insert(
        "INSERT INTO requests (id, at, version, status, rows, predictions) VALUES (?, ?, ?, ?, ?, ?)",
        (request.id, request.at, request.version, request.status, request.rows, request.predictions),
    )
    _put_keys(database, number, request)
    return number


def _put_keys(database: Database, number: int, request: RequestLine) -> None:
    if len(request.keys) == request.rows:
        for row, key in enumerate(request.keys):
            if key:
                database.run("INSERT OR IGNORE INTO keys (key, request, row) VALUES (?, ?, ?)", (key, number, row))
                truths.note_arrival(database, key, number, row)


def _put_captures(database: Database, lines: list[bytes]) -> int:
    good = 0
    for capture in map(capture_line, lines):
        if capture is None:
            continue
        good += 1
        request = capture.request
        known = database.one(
            "SELECT number FROM requests WHERE id = ? AND at = ? AND status = ?",
            (request.id, request.at, request.status),
        )
        if known:
            number = known[0]
        else:  # its line comes, or was lost: on a full disk, or by a replica of an earlier version, which writes none
            number = _insert(database, request)
            database.run("INSERT INTO early (request) VALUES (?)", (number,))
        body = capture.body.encode()
        if request.status == 200 and len(body) <= MAX_INPUT_BYTES:
            database.run(
                "INSERT OR IGNORE INTO inputs (request, content_type, body) VALUES (?, ?, ?)",
                (number, capture.content_type, body),
            )
    return good


def _put_feedback(database: Database, lines: list[bytes]) -> int:
    good = 0
    matching = Matching(database)
    for each in map(feedback_line, lines):
        if each is None:
            continue
        good += 1
        if each.label is not None:
            matching.add(Sent(each.label, each.client, each.received))
        else:
            matching.refuse(each.client, each.received, each.refused)
    matching.written()
    return good


_KINDS: tuple[tuple[str, str, Callable[[Database, list[bytes]], int]], ...] = (
    (files.REQUESTS, "requests", _put_requests),
    (files.CAPTURES, "captures", _put_captures),
    (files.FEEDBACK, "feedback", _put_feedback),
)
