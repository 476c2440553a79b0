"""Progress bars in a log: states that a later one has written over, which a reader sees once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from .format import LogLine

# How bars below each other are drawn: each is a line, after which the cursor goes back to the row above it.
_UP = re.compile(r"\x1b\[(\d{0,3})A")
_ROWS = 32  # that can still be gone back to
_MAX_HELD = 10_000


class _Screen:
    """What one stream has drawn: the row that the cursor is in, and which record stands in each of the last rows."""

    def __init__(self) -> None:
        self._row = 0
        self._bottom = -1
        self._within = False  # the last record goes on, so that the cursor is not at the beginning of its row
        self._bar = False  # the last record began as the state of a bar does
        self._owner: dict[int, int] = {}
        self._rows: dict[int, int] = {}  # of each record: how many rows still show it

    @property
    def settled(self) -> bool:
        """Whether nothing that was drawn is likely to be written over: the cursor is below all, and the last was no
        bar."""
        return not self._within and not self._bar and self._row > self._bottom

    def draw(self, number: int, line: LogLine) -> list[int]:
        """Returns the records that nothing is seen of any more, now that this one is drawn."""
        gone: list[int] = []
        pieces = _UP.split(line.text)
        for place in range(0, len(pieces), 2):
            text = pieces[place]
            if place or not self._within or text.startswith("\r"):
                written = text.strip("\r") != "" or (line.continues and place == 0)
                gone += self._write(number, text) if written else []
            else:
                self._take(number)
            up = pieces[place + 1] if place + 1 < len(pieces) else "0"
            self._row -= int(up or 1)
        self._within, self._bar = line.continues, line.text.startswith("\r")
        self._row += not line.continues
        for row in [row for row in self._owner if row < self._row - _ROWS]:
            del self._owner[row]
        return gone

    def _write(self, number: int, text: str) -> list[int]:
        self._bottom = max(self._bottom, self._row)
        before = self._owner.pop(self._row, number)
        if text.strip() or not text:
            self._take(number)
        if before == number:
            return []
        self._rows[before] -= 1
        return [before] if not self._rows.pop(before) else []

    def _take(self, number: int) -> None:
        self._bottom = max(self._bottom, self._row)
        if self._owner.get(self._row) != number:
            self._owner[self._row] = number
            self._rows[number] = self._rows.get(number, 0) + 1


def without_redraws(lines: Iterable[LogLine]) -> Iterator[LogLine]:
    """Yields the lines in their order, without those that later ones of their stream wrote over: with a carriage return
    in the same row, or after the cursor went back up to it. Those that a later one went on from are kept."""
    held: dict[int, LogLine] = {}
    screens: dict[str, _Screen] = {}
    for number, line in enumerate(lines):
        if not (held or line.continues or line.text.startswith("\r") or "\x1b[" in line.text):
            yield line  # as nearly all are, and nothing is above it that could be written over
            continue
        held[number] = line
        for gone in screens.setdefault(line.stream, _Screen()).draw(number, line):
            held.pop(gone, None)
        if len(held) > _MAX_HELD or all(screen.settled for screen in screens.values()):
            yield from held.values()
            held = {}
    yield from held.values()


def written_over(lines: Iterable[tuple[str, LogLine]]) -> frozenset[int]:
    """Returns the places, among lines with the name of their log, of those that nothing is seen of any more: later ones
    of their stream wrote over them."""
    screens: dict[tuple[str, str], _Screen] = {}
    gone: set[int] = set()
    for place, (name, line) in enumerate(lines):
        gone.update(screens.setdefault((name, line.stream), _Screen()).draw(place, line))
    return frozenset(gone)
