"""Shows the logs of several replicas as one, in time order: the newest lines of all; a single log has them all.

Used by one pool thread at a time for reading; searches read an immutable copy beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Event

from ...core.cockpit import Entry, Merged
from ...core.domain.frozen import Frozen
from .log_reader import MARGIN, MAX_MATCHES, Filtering, Reading, Window


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
        return Window(
            self.generation,
            total,
            first,
            tuple(line._replace(number=first + index) for index, (_, _, line, _) in enumerate(part)),
            exists=bool(self.source.files),
            note=f"the newest {total:,} lines" if self._merged.full else "",
            names=tuple(name for _, name, _, _ in part),
        )

    def changed(self) -> bool:
        return self._merged.changed(dict(self.source.files))

    def search(self, text: str, start: int, *, backwards: bool, stop: Event) -> int | None:
        lines = self._merged.entries
        if not lines:
            return None
        ignore = text.lower() == text
        step = -1 if backwards else 1
        for offset in range(len(lines)):
            index = (start + step * offset) % len(lines)
            line = lines[index][2].text
            if text in (line.lower() if ignore else line):
                return index
            if offset % 4096 == 0 and stop.is_set():
                return None
        return None

    def filter(self, text: str, generation: int) -> MergedFilter:
        return MergedFilter(self, text, generation)

    def read(self) -> Sequence[Entry]:
        """Returns the lines as they are now, in time order."""
        return self._merged.update(dict(self.source.files))


class MergedFilter(Filtering):
    """Lines that have the text, or whose replica's name has it."""

    def __init__(self, reader: MergedReader, text: str, generation: int) -> None:
        self.text = text
        self.generation = generation
        self._reader = reader
        self._needle = text.lower()

    def step(self, stop: Event) -> tuple[Window, bool]:
        needle = self._needle
        hits = [
            (name, line._replace(number=index))
            for index, (_, name, line, _) in enumerate(self._reader.read())
            if needle in line.text.lower() or needle in name.lower()
        ]
        note = f"the newest {MAX_MATCHES:,} matches" if len(hits) > MAX_MATCHES else ""
        hits = hits[-MAX_MATCHES:]
        lines, names = tuple(line for _, line in hits), tuple(name for name, _ in hits)
        return Window(self.generation, len(hits), 0, lines, note=note, names=names), True
