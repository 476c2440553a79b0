"""Keeps id, time, version, status and prediction of every request, so that labels find their requests.

A line has six fields between tabs: time, id, version, status, keys, answer. None of them can hold a tab or an end of
line: ids are printable, and JSON escapes both. The event loop makes the line and appends it to a queue; the
recorder's thread writes many at once.
"""

from __future__ import annotations

import re
from collections import deque
from threading import Lock

from .rotated import Rotated, Unwritten

# Longer answers are of many rows: of these the request is kept, its prediction is not.
MAX_ANSWER_BYTES = 16 * 1024
MAX_WAITING_BYTES = 16 * 1024 * 1024
_BLOCK_BYTES = 64 * 1024
_WORD = re.compile(r"[\x21-\x7e]{1,40}")
_OK = 200


class RequestLog:
    """`add` is for the event loop alone, `flush` for the writing thread alone."""

    def __init__(self, files: Rotated, version: str, counts: dict[str, int]) -> None:
        """Counts in `counts` what is kept and what is dropped."""
        self._counts = counts
        self._counts |= {"requests_kept": 0, "requests_dropped": 0}
        self._files = files
        self._version = version.encode() if _WORD.fullmatch(version) else b"-"
        self._lines: deque[bytes] = deque()
        # Each is changed by one of the two threads: what waits is their difference, and needs no lock.
        self._added = self._taken = 0
        self._dropping = Lock()

    def add(self, at: float, request_id: bytes, status: int, answer: bytes, keys: bytes = b"") -> None:
        """Queues one request. `at` is in seconds since the epoch, rounded to milliseconds; `answer` is JSON. A request
        without room is dropped and counted."""
        if status != _OK or len(answer) > MAX_ANSWER_BYTES or b"\n" in answer:
            answer = b""
        line = b"%.3f\t%b\t%b\t%d\t%b\t%b\n" % (at, request_id, self._version, status, keys, answer)
        if self._added - self._taken > MAX_WAITING_BYTES:
            self._drop(1)
            return
        self._added += len(line)
        self._lines.append(line)

    def flush(self) -> int:
        """Writes what waits; returns the number of lines. OSError if they do not fit on the disk: those that do not
        are dropped, and counted as that."""
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        self._taken += sum(map(len, lines))
        lost = 0
        try:
            if lines:
                self._files.write(_blocks(lines, min(_BLOCK_BYTES, self._files.limit)))
        except Unwritten as error:
            lost = error.lines
            self._drop(lost)
            raise
        finally:
            self._counts["requests_kept"] += len(lines) - lost
        return len(lines)

    def _drop(self, number: int) -> None:
        with self._dropping:
            self._counts["requests_dropped"] += number


def _blocks(lines: list[bytes], most: int) -> list[bytes]:
    """Returns the lines joined, `most` bytes at a time: one call of the system writes hundreds."""
    blocks: list[bytes] = []
    block: list[bytes] = []
    size = 0
    for line in lines:
        if block and size + len(line) > most:
            blocks.append(b"".join(block))
            block, size = [], 0
        block.append(line)
        size += len(line)
    return [*blocks, b"".join(block)]
