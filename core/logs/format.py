"""The record format of every log that Podium keeps: steps, containers, replicas.

A record is `2026-11-23T10:11:12.345Z o text` and a line feed: UTC to the millisecond; `o` standard output, `e` standard
error, `p` a note of Podium's own. A capital letter says that the line continues in the next record of its stream: it
was longer than MAX_TEXT_BYTES, or a part was shown before its end came.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

PREFIX_BYTES = 27  # bytes before a line's text
TIME_BYTES = 23  # bytes of the time, without its Z
MAX_TEXT_BYTES = 64 << 10  # bytes of one record's text
STREAM_LETTERS = "oep"
# What stands between time and text, of a whole line and of one that continues, by the number of an output stream.
MARKS = {1: b"Z o ", 2: b"Z e "}
CONTINUED_MARKS = {1: b"Z O ", 2: b"Z E "}
_NUMBERS = {ord("o"): 1, ord("e"): 2, ord("O"): 1, ord("E"): 2}
_STREAMS = {ord(letter): (letter.lower(), letter.isupper()) for letter in STREAM_LETTERS + STREAM_LETTERS.upper()}


class LogLine(NamedTuple):
    """One line as it was printed, escapes included (`clean` and `parse_sgr` are for showing it). `at` is seconds
    since the epoch and `stream` o, e or p; None and "" for a line that StepLog did not write. `continues`: the line
    goes on in the next record of its stream. (A named tuple and no dataclass: hundreds of thousands a second are
    made.)"""

    number: int
    at: float | None
    stream: str
    text: str
    continues: bool = False


def is_record(data: bytes, begin: int = 0) -> bool:
    """Returns whether the line at `begin` has a record's prefix."""
    return (
        data[begin + 23 : begin + 25] == b"Z "
        and data[begin + 26 : begin + 27] == b" "
        and data[begin + 10 : begin + 11] == b"T"
    )


def parse(number: int, line: bytes) -> LogLine:
    """Returns a line of a log; one without a record's prefix is all text."""
    if is_record(line):
        known = _STREAMS.get(line[25])
        second = _second(line[:19])
        fraction = line[20:23]
        if known is not None and second is not None and fraction.isdigit():
            return LogLine(
                number,
                second + int(fraction) / 1000,
                known[0],
                line[PREFIX_BYTES:].decode("utf-8", "replace"),
                known[1],
            )
    return LogLine(number, None, "", line.decode("utf-8", "replace"))


def output_of(record: bytes) -> tuple[int, bool, bytes]:
    """Returns (1 for standard output or 2 for standard error, else 0; whether the line continues; its text)."""
    letter = record[PREFIX_BYTES - 2] if len(record) >= PREFIX_BYTES else 0
    number = _NUMBERS.get(letter, 0)
    return number, bool(number) and chr(letter).isupper(), record[PREFIX_BYTES:]


class Stamper:
    """Makes prefixes with the present time; of one second it is formatted once."""

    def __init__(self) -> None:
        self._second, self._clock = -1, ""

    def prefix(self, stream: str) -> bytes:
        """Returns the prefix of a line that is written now."""
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second, self._clock = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._clock}.{int((now - second) * 1000):03d}Z {stream} ".encode()


def seconds_of(written: bytes) -> float:
    """Returns seconds since the epoch of a time as it stands in a record."""
    return datetime.fromisoformat(written.decode("ascii")).replace(tzinfo=UTC).timestamp()


def written_time(at: float) -> bytes:
    """Returns a time as it stands in a record."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00").encode("ascii")


@lru_cache(maxsize=64)
def _second(written: bytes) -> float | None:
    try:
        return seconds_of(written)
    except ValueError:
        return None
