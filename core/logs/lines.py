"""How a line of a step's log is stored: `2026-11-23T10:11:12.345Z o text`. The prefix has a fixed width, so reading a line needs no parsing.

The stream is `o` (standard output), `e` (standard error) or `p` (Podium's own remark).
"""

from __future__ import annotations

import time
from calendar import timegm
from dataclasses import dataclass

PREFIX = 27
STREAMS = ("o", "e", "p")


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line. `number` counts from 0; `at` is seconds since the epoch, None where the line carries no time."""

    number: int
    at: float | None
    stream: str
    text: str


def prefix(at: float, stream: str) -> bytes:
    seconds, milliseconds = divmod(int(at * 1000), 1000)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{stamp}.{milliseconds:03d}Z {stream} ".encode()


def parse(number: int, line: bytes) -> LogLine:
    """A line that somebody else wrote into the file keeps its whole text and has no time."""
    if len(line) >= PREFIX and line[23:25] == b"Z " and line[26:27] == b" " and line[25:26] in (b"o", b"e", b"p"):
        try:
            seconds = timegm(time.strptime(line[:19].decode("ascii"), "%Y-%m-%dT%H:%M:%S"))
            at = seconds + int(line[20:23]) / 1000
        except ValueError:
            return LogLine(number, None, "o", line.decode("utf-8", "replace"))
        return LogLine(number, at, chr(line[25]), line[PREFIX:].decode("utf-8", "replace"))
    return LogLine(number, None, "o", line.decode("utf-8", "replace"))
