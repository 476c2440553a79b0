"""Shows the logs of several replicas as one, in time order: the newest lines of all; a single log has them all.

Used by one pool thread at a time for reading; searches read an immutable copy beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from threading import Event

from ...core.cockpit import Entry, Merged
from ...core.domain.frozen import Frozen
from .log_reader import MARGIN, MAX_MATCHES, Filtering, Reading, Window, as_wanted, hidden_rows
from .logs.folding import seen
from .logs.match import MAX_HITS, Chooser, Hits, Match, Wanted

_AT_ONCE = 4_096  # lines that are looked at between two looks at whether it was stopped


class MergedLog(Frozen):
    """`key` says whose logs these are: with the same key, other files are the same view with replicas come or gone.
    `files` are (name, path)."""

    key: str
    files: tuple[tuple[str, Path], ...]


class MergedReader(Reading):
    def __init__(self, log: MergedLog, generation: int, merged: Merged | None = None) -> None:
        self.source: MergedLog = log
        self.generation = generation
        self._merged = merged or Merged()

    def again(self, generation: int) -> MergedReader:
        return MergedReader(self.source, generation, self._merged)

    def tail(self, count: int) -> Window:
        return self.window(None, count)

    def window(self, top: int | None, count: int) -> Window:
        lines = self.read()
        total = len(lines)
        first = max(0, total - count if top is None else min(top, max(0, total - count)))
        first = max(0, first - MARGIN)
        part = lines[first : first + count + 2 * MARGIN]
        shown = tuple(line._replace(number=first + index) for index, (_, _, line, _) in enumerate(part))
        names = tuple(name for _, name, _, _ in part)
        return Window(
            self.generation,
            total,
            first,
            shown,
            exists=bool(self.source.files),
            note=f"the newest {total:,} lines" if self._merged.full else "",
            names=names,
            hidden=hidden_rows(first, shown, names),
        )

    def changed(self) -> bool:
        return self._merged.changed(dict(self.source.files))

    def search(self, match: Match | str, start: int, *, backwards: bool, stop: Event) -> int | None:
        lines = self._merged.entries
        step = -1 if backwards else 1
        wanted = as_wanted(match if isinstance(match, str) else Wanted(match))
        order = [(start + step * offset) % len(lines) for offset in range(len(lines))]
        return next(_chosen(lines, order, wanted, stop), None)

    def hits(self, match: Match, stop: Event) -> Hits:
        lines = self._merged.entries
        found = list(islice(_chosen(lines, range(len(lines)), Wanted(match), stop), MAX_HITS + 1))

        def hidden(first: int, last: int) -> frozenset[int]:
            part = lines[first : last + 1]
            return hidden_rows(first, tuple(each[2] for each in part), tuple(each[1] for each in part))

        return Hits(seen(found[:MAX_HITS], hidden), len(found) > MAX_HITS)

    def since(self, at: float) -> int:
        lines = self._merged.entries
        return next((index for index, entry in enumerate(lines) if entry[0] >= at), len(lines))

    def texts(self, first: int, count: int | None) -> list[str]:
        end = None if count is None else first + count
        return [f"{name}  {line.text}" for _, name, line, _ in self._merged.entries[first:end]]

    def filter(self, wanted: Wanted | str, generation: int) -> MergedFilter:
        return MergedFilter(self, wanted, generation)

    def read(self) -> Sequence[Entry]:
        """Returns the lines as they are now, in time order."""
        return self._merged.update(dict(self.source.files))


def _chosen(entries: Sequence[Entry], order: Sequence[int], wanted: Wanted, stop: Event) -> Iterator[int]:
    """Yields the places of the lines that are wanted, in an order, until it is stopped."""
    chooser = Chooser(wanted)
    try:
        for low in range(0, len(order), _AT_ONCE):
            if stop.is_set():
                return
            part = order[low : low + _AT_ONCE]
            yield from (part[place] for place in chooser.places([entries[index][2] for index in part], stop))
    finally:
        chooser.close()


class MergedFilter(Filtering):
    """The wanted lines with those around them; a text may also be a replica's name."""

    def __init__(self, reader: MergedReader, wanted: Wanted | str, generation: int) -> None:
        self.wanted = as_wanted(wanted)
        self.generation = generation
        self._reader = reader
        self._chooser = Chooser(self.wanted)
        self._of_named = Chooser(replace(self.wanted, match=Match("")))

    def close(self) -> None:
        self._chooser.close()

    def step(self, stop: Event) -> tuple[Window, bool]:
        needle, context = self.text.lower(), self.wanted.context
        entries = self._reader.read()
        found = set(self._chooser.places([line for _, _, line, _ in entries], stop))
        if needle:
            named = [index for index, (_, name, _, _) in enumerate(entries) if needle in name.lower()]
            found |= {named[place] for place in self._of_named.places([entries[index][2] for index in named])}
        hits = sorted(found)
        note = f"the newest {MAX_MATCHES:,} matches" if len(hits) > MAX_MATCHES else ""
        hits = hits[-MAX_MATCHES:]
        near = sorted({each for hit in hits for each in range(hit - context, hit + context + 1)}) if context else hits
        shown = [index for index in near if 0 <= index < len(entries)]
        lines = tuple(entries[index][2]._replace(number=index) for index in shown)
        names = tuple(entries[index][1] for index in shown)
        around = frozenset(shown) - frozenset(hits)
        return Window(self.generation, len(lines), 0, lines, note=note, names=names, around=around), True
