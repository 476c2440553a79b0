"""Reads a log of any size: an entry per 64 KiB says how many lines come before, so that a jump reads one block,
whatever the size.

Lines count from 0. A file that does not exist yet reads as empty.
"""

from __future__ import annotations

import os
import threading
import time
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

from .format import MAX_TEXT_BYTES, PREFIX_BYTES, LogLine, parse

BLOCK_BYTES = 64 << 10
_CHUNK_BYTES = 16 * BLOCK_BYTES
MAX_LINE_BYTES = PREFIX_BYTES + MAX_TEXT_BYTES
# An end without a line feed is a line once nothing has been added for so many seconds; until then the writer may be in
# the middle of it.
_SETTLED_SECONDS = 1.0
_POLL_INTERVAL = 0.03
_TIMELESS = 64  # lines without a time that may follow on each other


class LogFile:
    """A log for reading. Safe to use from several threads; each method looks at the file as of the last `refresh()`."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._lock = threading.RLock()
        self._fd = -1
        self._identity: tuple[int, int] | None = None
        self._size = self._end = 0
        self.replaced = 0
        """How often another file has taken its place, or it was cut."""
        self._forget()
        self.refresh()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        fd, self._fd = getattr(self, "_fd", -1), -1
        if fd >= 0:
            os.close(fd)

    def refresh(self) -> bool:
        """Looks at the file again; whether it changed. A file that was replaced or cut is read anew."""
        with self._lock:
            try:
                status = self.path.stat()
            except OSError:
                return self._lose()
            before = (self._identity, self._end)
            if self._identity != (status.st_dev, status.st_ino) or status.st_size < self._size:
                self._lose()
                try:
                    self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
                except OSError:
                    return before[0] is not None
                status = os.fstat(self._fd)
                self._identity = (status.st_dev, status.st_ino)
            if status.st_size != self._size or self._end != self._size:
                self._size = status.st_size
                self._end = self._settled_end(status.st_mtime)
            return (self._identity, self._end) != before

    @property
    def size(self) -> int:
        """Bytes, as of the last refresh."""
        return self._size

    @property
    def indexed(self) -> bool:
        """Whether `line_count` and every jump are quick now."""
        return self._known >= self._end

    def index(self, stop: threading.Event | None = None) -> bool:
        """Indexes what is not yet; False when it was stopped before its end. For a background thread, after the end
        is on the screen."""
        while not self.indexed:
            if stop is not None and stop.is_set():
                return False
            self._advance()
        return True

    def line_count(self) -> int:
        self.index()
        with self._lock:
            return self._newlines + (1 if self._end > self._last_break else 0)

    def lines(self, start: int, count: int) -> list[LogLine]:
        """At most `count` lines from line `start` on. Indexes no further than it must."""
        if count <= 0:
            return []
        start = max(0, start)
        offset = self.offset_of(start)
        found: list[LogLine] = []
        while offset is not None and offset < self._end and len(found) < count:
            raw, offset = self._records(offset, min(count - len(found), 4096))
            found += [parse(start + len(found) + index, line) for index, line in enumerate(raw)]
        return found

    def tail(self, count: int) -> list[LogLine]:
        """The last lines, without reading what comes before. Until the file is indexed they are numbered from the
        end: -1 is the last."""
        if count <= 0 or not self._end:
            return []
        begin, pieces, breaks = self._end, list[bytes](), 0
        final = 1 if self._read(self._end - 1, 1) == b"\n" else 0
        # One line feed more than lines are wanted: the one before the first of them.
        while begin > 0 and breaks < count + final:
            low = max(0, begin - BLOCK_BYTES)
            piece = self._read(low, begin - low)
            if not piece:
                break
            breaks += piece.count(b"\n")
            pieces.append(piece)
            begin = low
        data = b"".join(reversed(pieces))
        raw = (data[:-1] if final else data).split(b"\n")[-count:]
        first = self.line_count() - len(raw) if self.indexed else -len(raw)
        return [parse(first + index, line[:MAX_LINE_BYTES]) for index, line in enumerate(raw)]

    def search(
        self,
        pattern: str,
        *,
        start: int | None = None,
        backwards: bool = False,
        regex: bool = False,
        ignore_case: bool = False,
        stop: threading.Event | None = None,
    ) -> int | None:
        """The first line at or after `start` whose text has the pattern (backwards: the last one at or before it);
        None when there is none, or `stop` was set. UsageError for a regular expression that is none."""
        from .search import search

        return search(self, pattern, start=start, backwards=backwards, regex=regex, ignore_case=ignore_case, stop=stop)

    def hits(
        self,
        pattern: str,
        *,
        most: int,
        regex: bool = False,
        ignore_case: bool = False,
        stop: threading.Event | None = None,
    ) -> list[int]:
        """The numbers of the lines that have the pattern, at most `most`; those found so far if `stop` was set.
        UsageError as for `search`."""
        from .search import hits

        return hits(self, pattern, regex=regex, ignore_case=ignore_case, most=most, stop=stop)

    def line_since(self, at: float) -> int:
        """The first line that was written at `at` or later; the number of lines if none was. Lines without a time
        count as those before them."""
        low, high = 0, self.line_count()
        while low < high:
            middle = (low + high) // 2
            first = max(0, middle - _TIMELESS)
            times = [line.at for line in self.lines(first, middle - first + 1) if line.at is not None]
            if not times or times[-1] < at:
                low = middle + 1
            else:
                high = middle
        return low

    def follow(self, stop: threading.Event, *, start: int = 0) -> Iterator[LogLine]:
        """Lines from `start` on as they come. Once `stop` is set: what is there by then, and the end."""
        offset = self.offset_of(start) or 0
        number, identity = start, self._identity
        while True:
            ending = stop.is_set()
            self.refresh()
            if self._identity != identity or offset > self._size:
                number, offset, identity = (
                    (start, self.offset_of(start) or 0, self._identity) if identity is None else (0, 0, self._identity)
                )
            if ending:
                self._end = self._size
            while offset < self._end:
                raw, offset = self._records(offset, 4096)
                for line in raw:
                    yield parse(number, line)
                    number += 1
            if ending:
                return
            stop.wait(_POLL_INTERVAL)

    def offset_of(self, line: int) -> int | None:
        """Where a line begins; None when there is no such line."""
        if line <= 0:
            return 0 if self._end else None
        while self._newlines < line and not self.indexed:
            self._advance()
        with self._lock:
            if line > self._newlines:
                return None
            # The block in which the line feed before this line stands.
            block = bisect_right(self._before, line - 1) - 1
            missing = line - self._before[block]
            data, base = (
                self._read(block * BLOCK_BYTES, min(BLOCK_BYTES, self._end - block * BLOCK_BYTES)),
                block * BLOCK_BYTES,
            )
        at = -1
        for _ in range(missing):
            at = data.find(b"\n", at + 1)
            if at < 0:
                return None
        return base + at + 1 if base + at + 1 < self._end else None

    def line_at(self, offset: int) -> int:
        """The number of the line in which the byte at `offset` stands."""
        while self._known <= offset and not self.indexed:
            self._advance()
        block = min(offset // BLOCK_BYTES, len(self._before) - 1)
        return self._before[block] + self._read(block * BLOCK_BYTES, offset - block * BLOCK_BYTES).count(b"\n")

    @property
    def end(self) -> int:
        """Bytes that make whole lines."""
        return self._end

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the file, none after its last whole line."""
        return self._read(offset, max(0, min(size, self._end - offset)))

    def _records(self, offset: int, count: int) -> tuple[list[bytes], int]:
        """At most `count` lines from `offset` on, and where the next one begins. Of a line that is too long only its
        beginning."""
        data = self._read(offset, min(self._end - offset, 4 * BLOCK_BYTES))
        cut = data.rfind(b"\n") + 1
        if not cut and offset + len(data) < self._end:
            return [data[:MAX_LINE_BYTES]], self._next_break(offset + len(data))
        if not data:
            # The file was cut since the last refresh.
            return [], self._end
        if not cut or offset + len(data) >= self._end:
            cut = len(data)
        body = data[:cut]
        raw = (body[:-1] if body.endswith(b"\n") else body).split(b"\n", count)
        if len(raw) > count:
            rest = len(raw.pop())
            cut -= rest + (1 if body.endswith(b"\n") else 0)
        return [line if len(line) <= MAX_LINE_BYTES else line[:MAX_LINE_BYTES] for line in raw], offset + cut

    def _next_break(self, offset: int) -> int:
        while offset < self._end:
            data = self._read(offset, min(_CHUNK_BYTES, self._end - offset))
            at = data.find(b"\n")
            if at >= 0:
                return offset + at + 1
            if not data:
                break
            offset += len(data)
        return self._end

    def _advance(self) -> None:
        """Indexes the next chunk: how many line feeds stand before each block."""
        with self._lock:
            if self._known >= self._end:
                return
            # The last block may have been counted before it was full: begin with it again.
            block = self._known // BLOCK_BYTES
            base = block * BLOCK_BYTES
            data = self._read(base, min(_CHUNK_BYTES, self._end - base))
            if not data:
                self._end = self._size = self._known
                return
            del self._before[block + 1 :]
            total = self._before[block]
            for low in range(0, len(data), BLOCK_BYTES):
                total += data.count(b"\n", low, low + BLOCK_BYTES)
                if low + BLOCK_BYTES <= len(data):
                    self._before.append(total)
            self._newlines = total
            self._known = base + len(data)
            last = data.rfind(b"\n")
            if last >= 0:
                self._last_break = base + last + 1

    def _settled_end(self, changed: float) -> int:
        if not self._size or time.time() - changed > _SETTLED_SECONDS or self._read(self._size - 1, 1) == b"\n":
            return self._size
        low = self._size
        while low > 0:
            begin = max(0, low - BLOCK_BYTES)
            at = self._read(begin, low - begin).rfind(b"\n")
            if at >= 0:
                return begin + at + 1
            low = begin
        return 0

    def _lose(self) -> bool:
        had = self._identity is not None
        self.replaced += had
        self.close()
        self._identity, self._size, self._end = None, 0, 0
        self._forget()
        return had

    def _forget(self) -> None:
        self._before = array("Q", [0])
        self._known = self._newlines = self._last_break = 0

    def _read(self, offset: int, size: int) -> bytes:
        if self._fd < 0 or size <= 0:
            return b""
        data = os.pread(self._fd, size, offset)
        if len(data) == size or not data:
            return data
        pieces = [data]
        done = len(data)
        while done < size and (data := os.pread(self._fd, size - done, offset + done)):
            pieces.append(data)
            done += len(data)
        return b"".join(pieces)
