"""Several logs that grow, as one in time order: for the command line, which prints each line once, and for the
screen, which keeps the newest ones.

A line that one log writes late still comes in its place. A line without a time stays behind the one before it. At most
MAX_LINES are held, whatever the number of logs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from operator import itemgetter
from pathlib import Path

from .format import LogLine
from .reader import LogFile

MAX_LINES = 50_000  # of all logs together
HOLD_BACK_SECONDS = 0.3  # seconds that a line waits for earlier lines of other logs
_MIN_TAIL = 500  # lines read of each log at first by `update`, however many logs there are
_MAX_BATCH = 4000  # lines read of one log at a time by `read`

Named = tuple[str, LogLine]
# (time, whose, line, when it was read)
Entry = tuple[float, str, LogLine, float]
_TIME = itemgetter(0)


class Merged:
    """Reads several logs as one, by one thread at a time; `entries` may be read by any. Use either `read` or
    `update`: the first hands each line out once, the second keeps the newest. `tail` is how many of the newest lines
    of each log `read` begins with, None for all."""

    def __init__(self, *, tail: int | None = None, hold_back: float = HOLD_BACK_SECONDS) -> None:
        self._tail, self._hold_back = tail, hold_back
        self._logs: dict[str, _Tail] = {}
        self._entries: Sequence[Entry] = ()

    @property
    def entries(self) -> Sequence[Entry]:
        """Lines in time order. Never changed in place: another list takes its place."""
        return self._entries

    @property
    def full(self) -> bool:
        """Whether earlier lines may have been left out by `update`."""
        return len(self._entries) >= MAX_LINES

    def read(self, files: Mapping[str, Path], *, all: bool = False) -> list[Named]:
        """Returns the lines whose turn has come: no log can have an earlier one, and they were there for
        HOLD_BACK_SECONDS (`all`: without that wait). `files` may differ from one call to the next."""
        now = time.monotonic()
        logs = self._current(files)
        if len(self._entries) < MAX_LINES:
            for log in logs:
                log.begin(self._tail)
            batch = min(_MAX_BATCH, MAX_LINES // max(1, len(logs)) + 1)
            self._add([entry for log in logs for entry in log.read(batch, now)])
        horizon = min((log.at for log in logs if log.behind), default=math.inf)
        turn = now if all else now - self._hold_back
        over, ready = len(self._entries) - MAX_LINES, 0
        for at, _, _, when in self._entries:
            if ready > over and (when > turn or at > horizon):
                break
            ready += 1
        taken, self._entries = self._entries[:ready], self._entries[ready:]
        return [(name, line) for _, name, line, _ in taken]

    def update(self, files: Mapping[str, Path]) -> Sequence[Entry]:
        """Reads all that is new and returns the newest MAX_LINES lines."""
        now = time.monotonic()
        logs = self._current(files)
        share = max(_MIN_TAIL, MAX_LINES // max(1, len(logs)))
        for log in logs:
            log.begin(share)
            log.skip_to(MAX_LINES)
        self._add([entry for log in logs for entry in log.read(MAX_LINES, now)])
        if len(self._entries) > MAX_LINES:
            self._entries = self._entries[-MAX_LINES:]
        return self._entries

    def changed(self, files: Mapping[str, Path]) -> bool:
        """Returns whether any of the files differs from when this was last asked: one stat a file."""
        seen = [log.changed() for log in self._current(files)]  # each notes what it saw
        return any(seen)

    def _current(self, files: Mapping[str, Path]) -> list[_Tail]:
        for name, path in files.items():
            if name not in self._logs or self._logs[name].path != path:
                self._logs[name] = _Tail(name, path)
        return [self._logs[name] for name in files]

    def _add(self, fresh: list[Entry]) -> None:
        if fresh:
            # Each part is in order and most of it comes last: nearly sorted, so this costs next to nothing.
            fresh.sort(key=_TIME)
            entries = [*self._entries, *fresh]
            entries.sort(key=_TIME)
            self._entries = entries


class _Tail:
    """How far one log was read."""

    def __init__(self, name: str, path: Path) -> None:
        self.name, self.path = name, path
        self.at = 0.0  # the time of the last line that was read
        self.behind = False  # whether there is more to read
        self._file: LogFile | None = None
        self._next = -1
        self._inode = 0
        self._seen: tuple[int, int] | None = None

    def changed(self) -> bool:
        seen, self._seen = self._seen, self._stat()
        return seen != self._seen

    def begin(self, newest: int | None) -> None:
        """Looks at the file; the first time reading begins `newest` lines before its end (None: at its start)."""
        if self._file is None:
            if not self.path.exists():
                return
            self._file = LogFile(self.path)
        self._file.refresh()
        total = self._file.line_count()
        inode = (self._stat() or (0, 0))[1]
        if self._next > total or inode != self._inode != 0:
            self._next = 0  # another file has taken its place
        elif self._next < 0:
            self._next = 0 if newest is None else max(0, total - newest)
        self._inode = inode

    def skip_to(self, newest: int) -> None:
        """Leaves out what is further than `newest` lines from the end."""
        if self._file is not None:
            self._next = max(self._next, self._file.line_count() - newest)

    def read(self, count: int, now: float) -> list[Entry]:
        """Returns at most `count` lines from where the last call ended."""
        if self._file is None:
            return []
        found: list[Entry] = []
        for line in self._file.lines(self._next, count):
            self.at = max(self.at, line.at or self.at)
            found.append((self.at, self.name, line, now))
        self._next += len(found)
        self.behind = len(found) == count
        return found

    def _stat(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_size, status.st_ino
