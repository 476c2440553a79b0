"""Several logs that grow, as one in the order of time. What one log says late still comes in its place, as long as
that is within a short window."""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from .reader import LogFile, LogLine

WINDOW = 0.3  # seconds
_MOST = 4000  # lines read of one log at a time
_PENDING = 40_000  # lines held back at most: beyond that the window is shorter

Named = tuple[str, LogLine]


class Merged:
    """`tail` is how many of the newest lines of each log come first, None for all. Holds at most some forty thousand
    lines."""

    def __init__(self, *, tail: int | None = None, window: float = WINDOW) -> None:
        self._tail, self._window = tail, window
        self._logs: dict[str, _Log] = {}
        # (time, order of reading, when it was read, whose, line)
        self._heap: list[tuple[float, int, float, str, LogLine]] = []
        self._count = 0

    def read(self, files: Mapping[str, Path], *, all: bool = False) -> list[Named]:
        """Lines whose turn has come: they were there a window ago, or (`all`) whatever there is. `files` may differ
        from one call to the next."""
        now = time.monotonic()
        for name, path in files.items():
            log = self._logs.get(name)
            if log is None or log.path != path:
                log = self._logs[name] = _Log(path, self._tail)
            if len(self._heap) < _PENDING:
                for at, line in log.read():
                    self._count += 1
                    heapq.heappush(self._heap, (at, self._count, now, name, line))
        ready: deque[Named] = deque()
        while self._heap and (all or self._heap[0][2] <= now - self._window or len(self._heap) >= _PENDING):
            _, _, _, name, line = heapq.heappop(self._heap)
            ready.append((name, line))
        return list(ready)


class _Log:
    def __init__(self, path: Path, tail: int | None) -> None:
        self.path = path
        self._tail = tail
        self._file = LogFile(path)
        self._next = -1
        self._at = 0.0

    def read(self) -> list[tuple[float, LogLine]]:
        self._file.refresh()
        if self._next < 0:
            if not self.path.exists():
                return []
            self._next = 0 if self._tail is None else max(0, self._file.line_count() - self._tail)
        elif self._next and self._next > self._file.line_count():
            self._next = 0  # it began anew
        lines = self._file.lines(self._next, _MOST)
        self._next += len(lines)
        found: list[tuple[float, LogLine]] = []
        for line in lines:
            # A line without a time stays behind the one before it.
            self._at = max(self._at, line.at or self._at)
            found.append((self._at, line))
        return found
