"""Reads a log for the log view, in the pool's threads: windows of lines, filters and searches. Nothing here touches
a widget."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Event

from ...core.cockpit import LogFile, LogLine, written_over
from ...core.domain.frozen import Frozen
from .logs.folding import seen
from .logs.match import MAX_HITS, Chooser, Hits, Match, Wanted

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
    around: frozenset[int] = frozenset()  # of a filter: the numbers of lines that are no hits, but stand around one
    hidden: frozenset[int] = frozenset()  # rows that later ones wrote over

    def row(self, index: int) -> LogLine | None:
        offset = index - self.first
        return self.lines[offset] if 0 <= offset < len(self.lines) else None

    def name(self, index: int) -> str:
        """Whose line row `index` is; empty in the log of one."""
        offset = index - self.first
        return self.names[offset] if 0 <= offset < len(self.names) else ""


class Filtering(ABC):
    """The lines of a log that are wanted, read a piece at a time."""

    wanted: Wanted
    generation: int

    @property
    def text(self) -> str:
        return self.wanted.match.text

    @abstractmethod
    def step(self, stop: Event) -> tuple[Window, bool]:
        """Read on; the matches so far and whether all was read. Raises UsageError for a regular expression that takes
        too long."""

    @abstractmethod
    def close(self) -> None:
        """Ends the step that another thread is in, if any; there are no more."""


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
    def search(self, match: Match | str, start: int, *, backwards: bool, stop: Event) -> int | None:
        """The next line that matches, going round the end once; None when no line does or it was stopped."""

    @abstractmethod
    def hits(self, match: Match, stop: Event) -> Hits:
        """All lines that match, as far as they are counted; of the states of a bar the last."""

    @abstractmethod
    def since(self, at: float) -> int:
        """The row of the first line that was written at `at` or later; the number of lines if none was."""

    @abstractmethod
    def texts(self, first: int, count: int | None) -> Iterable[str]:
        """Lines as they were printed, from row `first` on (`count` None: all that there are now)."""

    @abstractmethod
    def filter(self, wanted: Wanted | str, generation: int) -> Filtering: ...

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
        return Window(self.generation, len(lines), 0, lines, hidden=hidden_rows(0, lines))

    def window(self, top: int | None, count: int) -> Window:
        file = self._open()
        if file is None:
            return Window(self.generation, 0, 0, (), exists=False)
        file.refresh()
        total = file.line_count()
        first = max(0, total - count if top is None else min(top, max(0, total - count)))
        first = max(0, first - MARGIN)
        wanted = count + 2 * MARGIN
        lines = tuple(file.lines(first, min(wanted, total - first)))
        return Window(self.generation, total, first, lines, hidden=hidden_rows(first, lines))

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

    def search(self, match: Match | str, start: int, *, backwards: bool, stop: Event) -> int | None:
        return search(self.path, match, start, backwards=backwards, stop=stop)

    def hits(self, match: Match, stop: Event) -> Hits:
        if not self.path.exists():
            return Hits()
        file = LogFile(self.path)
        found = file.hits(match.text, most=MAX_HITS, regex=match.regex, ignore_case=match.ignore_case, stop=stop)

        def hidden(first: int, last: int) -> frozenset[int]:
            return frozenset() if stop.is_set() else hidden_rows(first, tuple(file.lines(first, last + 1 - first)))

        return Hits(seen(found, hidden), len(found) >= MAX_HITS)

    def since(self, at: float) -> int:
        return LogFile(self.path).line_since(at) if self.path.exists() else 0

    def texts(self, first: int, count: int | None) -> Iterator[str]:
        """Opens the log once: one that another takes the place of meanwhile is read to its end, and what is added is
        not waited for."""
        file = LogFile(self.path)
        end = file.line_count() if count is None else first + count
        while first < end and (lines := file.lines(first, min(_BLOCK_LINES, end - first))):
            first += len(lines)
            yield from (line.text for line in lines)

    def filter(self, wanted: Wanted | str, generation: int) -> Filter:
        return Filter(self.path, wanted, generation)

    def again(self, generation: int) -> Reader:
        return Reader(self.path, generation)

    def _open(self) -> LogFile | None:
        if self._file is None and self.path.exists():
            self._file = LogFile(self.path)
        return self._file


class Filter(Filtering):
    """The wanted lines of a log, newest first to be found, with those around them. Read in blocks, so that a key waits
    for none of it."""

    def __init__(self, path: Path, wanted: Wanted | str, generation: int) -> None:
        self.wanted = as_wanted(wanted)
        self.generation = generation
        self._path = path
        self._chooser = Chooser(self.wanted)
        self._file: LogFile | None = None
        self._replaced = 0
        self._matches: list[LogLine] = []
        self._around: set[int] = set()
        self._low = 0
        self._high = 0
        self._full = False

    def step(self, stop: Event) -> tuple[Window, bool]:
        """Read the new end and one more block backwards."""
        if not self._path.exists():
            return Window(self.generation, 0, 0, (), exists=False), True
        if self._file is None:
            self._file = LogFile(self._path)
            self._low = self._high = self._file.line_count()
        self._file.refresh()
        total = self._file.line_count()
        if self._file.replaced != self._replaced:
            self._replaced = self._file.replaced
            self._matches, self._around, self._full = [], set(), False
            self._low = self._high = total
        while self._high < total and not stop.is_set():
            end = min(total, self._high + _BLOCK_LINES)
            # The last lines are looked at again: what stands around them may have come only now.
            self._add(self._hits(self._file, max(self._low, self._high - self.wanted.context), end, stop))
            self._high = end
        if self._low > 0 and not self._full and not stop.is_set():
            start = max(0, self._low - _BLOCK_LINES)
            self._add(self._hits(self._file, start, self._low, stop))
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
        around = frozenset(self._around)
        return Window(self.generation, len(self._matches), 0, tuple(self._matches), note=note, around=around), done

    def close(self) -> None:
        self._chooser.close()

    def _hits(self, file: LogFile, start: int, end: int, stop: Event) -> list[LogLine]:
        """Returns the hits from line `start` up to `end`, with the lines around each."""
        context = self.wanted.context
        first = max(0, start - context)
        lines = file.lines(first, end + context - first)
        all_hits = self._chooser.places(lines, stop)
        hits = [place for place in all_hits if start <= lines[place].number < end]
        if not context:
            return [lines[place] for place in hits]
        near = sorted({each for place in hits for each in range(max(0, place - context), place + context + 1)})
        kept = [lines[place] for place in near if place < len(lines)]
        here = {lines[place].number for place in all_hits}
        self._around |= {line.number for line in kept} - here
        self._around -= here
        return kept

    def _add(self, lines: list[LogLine]) -> None:
        """Puts lines into their order; those around two hits come once."""
        if not lines:
            return
        if not self.wanted.context and (not self._matches or lines[0].number > self._matches[-1].number):
            self._matches += lines
            return
        if not self.wanted.context and lines[-1].number < self._matches[0].number:
            self._matches[:0] = lines
            return
        both = {line.number: line for line in (*self._matches, *lines)}
        self._matches = [both[number] for number in sorted(both)]


def hidden_rows(first: int, lines: tuple[LogLine, ...], names: tuple[str, ...] = ()) -> frozenset[int]:
    """Returns the rows that later ones wrote over; `lines[0]` is row `first`, and of merged logs `names` says whose
    each is."""
    if not any(line.continues or line.text[:1] == "\r" or "\x1b[" in line.text for line in lines):
        return frozenset()  # as in nearly all logs
    owned = zip(names, lines, strict=True) if names else (("", line) for line in lines)
    return frozenset(first + place for place in written_over(owned))


def as_wanted(wanted: Wanted | str) -> Wanted:
    """Returns a text as what is wanted."""
    return Wanted(Match(wanted)) if isinstance(wanted, str) else wanted


def search(path: Path, match: Match | str, start: int, *, backwards: bool, stop: Event) -> int | None:
    """The next line that matches, going round the end once; None when no line does or it was stopped."""
    if not path.exists():
        return None
    match = Match(match) if isinstance(match, str) else match
    file = LogFile(path)
    total = file.line_count()
    if not total:
        return None
    start = min(max(start, 0), total - 1)
    for begin in (start, total - 1 if backwards else 0):
        found = file.search(
            match.text,
            start=begin,
            backwards=backwards,
            regex=match.regex,
            ignore_case=match.ignore_case,
            stop=stop,
        )
        if found is not None or stop.is_set():
            return found
    return None


def nearest(lines: tuple[LogLine, ...], number: int) -> int:
    """The row of the line with that number, or of the next one."""
    return bisect_left(lines, number, key=lambda line: line.number)
