"""Reads a log for the log view, in the pool's threads: windows of lines, filters and searches. Nothing here touches
a widget."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from pathlib import Path
from threading import Event

from ...core.cockpit import LogFile, LogLine
from ...core.domain.frozen import Frozen

MARGIN = 200  # lines read beyond either end of what is asked for, so that a scrolled line is there before the next read
MAX_MATCHES = 10_000  # matching lines kept; the newest ones win
_BLOCK_LINES = 2_000


class Window(Frozen):
    """Part of a log: `lines[0]` is row `first` of `total`. `generation` says for which request; `note` is what a
    person must know."""

    generation: int
    total: int
    first: int
    lines: tuple[LogLine, ...]
    exists: bool = True
    note: str = ""
    names: tuple[str, ...] = ()  # of merged logs: whose line each is

    def row(self, index: int) -> LogLine | None:
        offset = index - self.first
        return self.lines[offset] if 0 <= offset < len(self.lines) else None

    def name(self, index: int) -> str:
        """Whose line row `index` is; empty in the log of one."""
        offset = index - self.first
        return self.names[offset] if 0 <= offset < len(self.names) else ""


class Filtering(ABC):
    """The lines of a log that hold `text`, read a piece at a time."""

    text: str
    generation: int

    @abstractmethod
    def step(self, stop: Event) -> tuple[Window, bool]:
        """Read on; the matches so far and whether all was read."""


class Reading(ABC):
    """One opened log, or several as one. Its methods are called by one job at a time (the pool sees to that), except
    for `search`."""

    source: object
    generation: int

    @abstractmethod
    def tail(self, count: int) -> Window:
        """The end, as soon as can be."""

    @abstractmethod
    def window(self, top: int | None, count: int) -> Window:
        """`count` lines from `top` on (None: the last ones) and a margin round them."""

    @abstractmethod
    def changed(self) -> bool:
        """Whether there may be more than when this was last asked."""

    @abstractmethod
    def search(self, text: str, start: int, *, backwards: bool, stop: Event) -> int | None:
        """The next line with `text`, going round the end once; None when no line has it or it was stopped."""

    @abstractmethod
    def filter(self, text: str, generation: int) -> Filtering: ...

    @abstractmethod
    def again(self, generation: int) -> Reading:
        """The same log for another request."""


class Reader(Reading):
    """The log at a path."""

    def __init__(self, path: Path, generation: int) -> None:
        self.path = self.source = path
        self.generation = generation
        self._file: LogFile | None = None
        self._seen: tuple[int, int] | None = None

    def tail(self, count: int) -> Window:
        """The end at once, before anything is indexed; numbered from 0 until the index knows better."""
        if not self.path.exists():
            return Window(self.generation, 0, 0, (), exists=False)
        lines = tuple(LogFile(self.path).tail(count))
        return Window(self.generation, len(lines), 0, lines)

    def window(self, top: int | None, count: int) -> Window:
        file = self._open()
        if file is None:
            return Window(self.generation, 0, 0, (), exists=False)
        file.refresh()
        total = file.line_count()
        first = max(0, total - count if top is None else min(top, max(0, total - count)))
        first = max(0, first - MARGIN)
        wanted = count + 2 * MARGIN
        return Window(self.generation, total, first, tuple(file.lines(first, min(wanted, total - first))))

    def changed(self) -> bool:
        """Whether the file differs from when this was last asked: one stat, whatever the rate of lines."""
        try:
            status = self.path.stat()
        except OSError:
            return self._seen is not None
        seen = (status.st_size, status.st_ino)
        changed = seen != self._seen
        self._seen = seen
        # A last line without an end counts once nothing was added for a while: then the file is the same and yet there
        # is more to show.
        return changed or (self._file is not None and self._file.end < self._file.size)

    def search(self, text: str, start: int, *, backwards: bool, stop: Event) -> int | None:
        return search(self.path, text, start, backwards=backwards, stop=stop)

    def filter(self, text: str, generation: int) -> Filter:
        return Filter(self.path, text, generation)

    def again(self, generation: int) -> Reader:
        return Reader(self.path, generation)

    def _open(self) -> LogFile | None:
        if self._file is None and self.path.exists():
            self._file = LogFile(self.path)
        return self._file


class Filter(Filtering):
    """The lines of a log that hold a text, newest first to be found. Read in blocks, so that a key waits for none of
    it."""

    def __init__(self, path: Path, text: str, generation: int) -> None:
        self.text = text
        self.generation = generation
        self._path = path
        self._needle = text.lower()
        self._file: LogFile | None = None
        self._matches: list[LogLine] = []
        self._low = 0
        self._high = 0
        self._full = False

    def step(self, stop: Event) -> tuple[Window, bool]:
        """Read the new end and one more block backwards."""
        if not self._path.exists():
            return Window(self.generation, 0, 0, (), exists=False), True
        if self._file is None:
            self._file = LogFile(self._path)
            self._file.refresh()
            self._low = self._high = self._file.line_count()
        self._file.refresh()
        total = self._file.line_count()
        if total < self._high:  # the file was replaced by a shorter one
            self._matches, self._low, self._high = [], total, total
        while self._high < total and not stop.is_set():
            lines = self._file.lines(self._high, _BLOCK_LINES)
            if not lines:
                break
            self._matches += self._hits(lines)
            self._high += len(lines)
        if self._low > 0 and not self._full and not stop.is_set():
            start = max(0, self._low - _BLOCK_LINES)
            self._matches[:0] = self._hits(self._file.lines(start, self._low - start))
            self._low = start
        if len(self._matches) > MAX_MATCHES:
            self._full = True
            del self._matches[: len(self._matches) - MAX_MATCHES]
        done = self._low == 0 or self._full
        note = (
            f"the newest {MAX_MATCHES:,} matches"
            if self._full
            else ""
            if done
            else f"{self._low:,} lines still to read"
        )
        return Window(self.generation, len(self._matches), 0, tuple(self._matches), note=note), done

    def _hits(self, lines: list[LogLine]) -> list[LogLine]:
        needle = self._needle
        return [line for line in lines if needle in line.text.lower()]


def search(path: Path, text: str, start: int, *, backwards: bool, stop: Event) -> int | None:
    """The next line with `text`, going round the end once; None when no line has it or it was stopped."""
    if not path.exists():
        return None
    file = LogFile(path)
    total = file.line_count()
    if not total:
        return None
    start = min(max(start, 0), total - 1)
    ignore_case = text.lower() == text
    found = file.search(text, start=start, backwards=backwards, regex=False, ignore_case=ignore_case, stop=stop)
    if found is None and not stop.is_set():
        found = file.search(
            text,
            start=total - 1 if backwards else 0,
            backwards=backwards,
            regex=False,
            ignore_case=ignore_case,
            stop=stop,
        )
    return found


def nearest(lines: tuple[LogLine, ...], number: int) -> int:
    """The row of the line with that number, or of the next one."""
    return bisect_left(lines, number, key=lambda line: line.number)
