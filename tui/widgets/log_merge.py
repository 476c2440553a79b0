"""The logs of several replicas as one, in the order of time. Bounded: the newest lines of each; a single log has
them all.

Used by one pool thread at a time for reading; searches and filters read an immutable copy beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from threading import Event, Lock

from ...core.cockpit import LogFile, LogLine
from .log_reader import FILTER_LIMIT, MARGIN, Filtering, Reading, Window

LIMIT = 50_000  # lines kept of all logs together
_LEAST = 500  # lines read of each log at first, however many there are

_Entry = tuple[float, str, LogLine]
_AT = itemgetter(0)


@dataclass(frozen=True, slots=True)
class MergedLog:
    """`key` says whose logs these are: with the same key, other files are the same view with replicas come or gone.
    `files` are (name, path)."""

    key: str
    files: tuple[tuple[str, Path], ...]


class _Tail:
    """What of one log was read so far."""

    def __init__(self, name: str, path: Path) -> None:
        self.name, self.path = name, path
        self.seen: tuple[int, int] | None = None
        self._file: LogFile | None = None
        self._next = -1
        self._inode = 0
        self._at = 0.0

    def stat(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_size, status.st_ino

    def read(self, most: int) -> list[_Entry]:
        """What is new since the last call; at first the last `most` lines. A line without a time stays behind the
        one before it."""
        if self._file is None:
            if not self.path.exists():
                return []
            self._file = LogFile(self.path)
        file = self._file
        file.refresh()
        total = file.line_count()
        now = self.stat()
        if self._next > total or (now is not None and self._inode not in (0, now[1])):  # it was begun anew
            self._next = 0
        self._inode = now[1] if now is not None else 0
        start = max(0, total - most) if self._next < 0 else max(self._next, total - LIMIT)
        found: list[_Entry] = []
        for line in file.lines(start, total - start):
            self._at = max(self._at, line.at or self._at)
            found.append((self._at, self.name, line))
        self._next = start + len(found)
        return found


class MergedReader(Reading):
    def __init__(
        self, log: MergedLog, generation: int, tails: dict[str, _Tail] | None = None, lines: list[_Entry] | None = None
    ) -> None:
        self.source: MergedLog = log
        self.generation = generation
        self._tails = tails if tails is not None else {}
        self._lines = lines if lines is not None else []
        self._lock = Lock()

    def again(self, generation: int) -> MergedReader:
        with self._lock:
            return MergedReader(self.source, generation, self._tails, self._lines)

    def tail(self, count: int) -> Window:
        return self.window(None, count)

    def window(self, top: int | None, count: int) -> Window:
        lines = self._read()
        total = len(lines)
        first = max(0, total - count if top is None else min(top, max(0, total - count)))
        first = max(0, first - MARGIN)
        part = lines[first : first + count + 2 * MARGIN]
        return Window(
            self.generation,
            total,
            first,
            tuple(line._replace(number=first + index) for index, (_, _, line) in enumerate(part)),
            exists=bool(self._tails),
            note=f"the newest {LIMIT:,} lines" if total >= LIMIT else "",
            names=tuple(name for _, name, _ in part),
        )

    def changed(self) -> bool:
        """Whether any of the files differs from when this was last asked."""
        changed = False
        for tail in self._current():
            seen = tail.stat()
            changed |= seen != tail.seen
            tail.seen = seen
        return changed

    def search(self, text: str, start: int, *, backwards: bool, stop: Event) -> int | None:
        lines = self.snapshot()
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

    def snapshot(self) -> list[_Entry]:
        """The lines as they are now. Never changed in place: another list takes its place."""
        with self._lock:
            return self._lines

    def _current(self) -> list[_Tail]:
        for name, path in self.source.files:
            if name not in self._tails or self._tails[name].path != path:
                self._tails[name] = _Tail(name, path)
        return [self._tails[name] for name, _ in self.source.files]

    def _read(self) -> list[_Entry]:
        tails = self._current()
        share = max(_LEAST, LIMIT // max(1, len(tails)))
        fresh = [entry for tail in tails for entry in tail.read(share)]
        if fresh:
            lines = [*self.snapshot(), *sorted(fresh, key=_AT)]
            # What one replica said may come after what another said later: nearly sorted, so this costs next to
            # nothing.
            lines.sort(key=_AT)
            with self._lock:
                self._lines = lines[-LIMIT:]
        return self.snapshot()


class MergedFilter(Filtering):
    """Lines that have the text, or whose replica's name has it."""

    def __init__(self, reader: MergedReader, text: str, generation: int) -> None:
        self.text = text
        self.generation = generation
        self._reader = reader
        self._needle = text.lower()

    def step(self, stop: Event) -> tuple[Window, bool]:
        needle = self._needle
        if self._reader.changed():
            self._reader._read()
        hits = [
            (name, line._replace(number=index))
            for index, (_, name, line) in enumerate(self._reader.snapshot())
            if needle in line.text.lower() or needle in name.lower()
        ]
        note = f"the newest {FILTER_LIMIT:,} matches" if len(hits) > FILTER_LIMIT else ""
        hits = hits[-FILTER_LIMIT:]
        lines, names = tuple(line for _, line in hits), tuple(name for name, _ in hits)
        return Window(self.generation, len(hits), 0, lines, note=note, names=names), True
