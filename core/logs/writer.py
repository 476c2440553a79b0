"""Writes a step's log: each line with its time and its stream, secrets masked, bounded in size, on disk as soon as
it is whole. format.py says what a line looks like.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from .format import MAX_TEXT_BYTES, STREAM_LETTERS, Stamper
from .masking import Masker, encoded

MAX_BYTES = 256 << 20
TAIL_BYTES = 4 << 20  # bytes of the end that are kept once the cap is reached
_RETRY_INTERVAL = 1.0
_FULL_NOTE = (
    b"This step has printed more than its log may hold: from here on only the end is kept, and added when it is over.\n"
)


class StepLog:
    """The log of one step. Safe to use from several threads. Never raises for a disk that is full: `problem` says
    so, and so does the log."""

    def __init__(
        self, path: Path, secrets: Iterable[str] = (), *, cap: int = MAX_BYTES, tail: int = TAIL_BYTES
    ) -> None:
        self.path = Path(path)
        self.problem = ""
        self._lock = threading.RLock()
        known = encoded(secrets)
        self._maskers = {stream: Masker(known) for stream in STREAM_LETTERS} if known else {}
        self._parts: dict[str, bytes] = {}
        self.pieces = 0
        """How many pieces of lines without an end were shown since the last whole line."""
        self._prefix = Stamper().prefix
        self._kept: deque[bytes] = deque()
        self._kept_bytes = self._dropped_lines = self._dropped_bytes = 0
        self._tail, self._retry_at, self._closed = tail, 0.0, False
        self._fd = _open(self.path)
        size = os.fstat(self._fd).st_size
        self._left = max(0, cap - size)
        # A worker that was killed, or a disk that was full, may have left half a line.
        self._torn = size > 0 and os.pread(self._fd, 1, size - 1) != b"\n"
        self._full = False

    def feed(self, stream: str, data: bytes) -> None:
        """Takes bytes as they were read. Whole lines are in the file when this returns; the rest waits for its end,
        `flush` or `close`."""
        with self._lock:
            masker = self._maskers.get(stream)
            self._take(stream, masker.feed(data) if masker is not None else data)

    def note(self, text: str) -> None:
        """A line, or several, of Podium's own."""
        with self._lock:
            self.feed("p", text.encode("utf-8", "replace") + b"\n")
            masker = self._maskers.get("p")
            if masker is not None:
                self._take("p", masker.close())

    def flush(self, stream: str | None = None) -> None:
        """Puts what there is of unfinished lines (a prompt, a progress bar) into the file. Call it when a step has
        been silent for a while. What may be the beginning of a secret stays back."""
        with self._lock:
            for one in (stream,) if stream else tuple(self._parts):
                part = self._parts.get(one)
                if part:
                    self._parts[one] = b""
                    self._cut(one, part)
                    self.pieces += 1

    @property
    def unfinished(self) -> bool:
        """Whether a line has begun that `flush` would show."""
        return any(self._parts.values())

    def close(self) -> None:
        """Ends the log: unfinished lines, and what of the end was kept back by the cap."""
        with self._lock:
            if self._closed:
                return
            for stream, masker in self._maskers.items():
                held = masker.close()
                if held:
                    self._parts[stream] = self._parts.get(stream, b"") + held
            for stream, part in self._parts.items():
                if part:
                    self._lines(stream, part + b"\n", len(part) + 1)
            self._parts = {}
            self._give_tail()
            self._closed = True
            os.close(self._fd)

    def __enter__(self) -> StepLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self, stream: str, data: bytes) -> None:
        """Bytes after masking."""
        part = self._parts.get(stream)
        if part:
            data = part + data
        end = data.rfind(b"\n") + 1
        self._parts[stream] = rest = data[end:] if end else data
        if end:
            self.pieces = 0
            self._lines(stream, data[:end] if rest else data, end)
        if len(rest) >= MAX_TEXT_BYTES:
            whole = len(rest) // MAX_TEXT_BYTES * MAX_TEXT_BYTES
            self._cut(stream, rest[:whole])
            self._parts[stream] = rest[whole:]

    def _lines(self, stream: str, data: bytes, size: int) -> None:
        """Whole lines: `data` ends with a line feed."""
        prefix = self._prefix(stream)
        # Replacing in one go is what makes this fast; only a block with a very long line is taken apart.
        if size > MAX_TEXT_BYTES and max(map(len, data.split(b"\n"))) > MAX_TEXT_BYTES:
            data = self._split_long(stream, data)
            self._write(data)
        else:
            self._write(prefix + data[:-1].replace(b"\n", b"\n" + prefix) + b"\n")

    def _split_long(self, stream: str, data: bytes) -> bytes:
        prefix, going_on = self._prefix(stream), self._prefix(stream.upper())
        records: list[bytes] = []
        for line in data[:-1].split(b"\n"):
            cut = max(0, (len(line) - 1) // MAX_TEXT_BYTES * MAX_TEXT_BYTES)
            records += [going_on + line[at : at + MAX_TEXT_BYTES] for at in range(0, cut, MAX_TEXT_BYTES)]
            records.append(prefix + line[cut:])
        return b"\n".join(records) + b"\n"

    def _cut(self, stream: str, part: bytes) -> None:
        """Parts of a line that goes on."""
        prefix = self._prefix(stream.upper())
        self._write(
            b"".join(prefix + part[at : at + MAX_TEXT_BYTES] + b"\n" for at in range(0, len(part), MAX_TEXT_BYTES))
        )

    def _write(self, data: bytes) -> None:
        if self._closed:
            return
        if self.problem and time.monotonic() >= self._retry_at:
            self._recover()
        if self.problem or self._full:
            self._keep(data)
            return
        if len(data) > self._left:
            cut = data.rfind(b"\n", 0, self._left) + 1
            head, data = data[:cut], data[cut:]
            self._put(head)
            self._full = True
            self._put(self._prefix("p") + _FULL_NOTE)
            self._keep(data)
        else:
            self._left -= len(data)
            self._put(data)

    def _put(self, data: bytes) -> None:
        rest = self._append(data)
        if rest:
            self._keep(rest)

    def _append(self, data: bytes) -> bytes:
        """Writes whole lines; what did not fit, from the first line that is not whole on. `problem` says why."""
        if self._torn:
            data = b"\n" + data
        written = 0
        try:
            while written < len(data):
                written += os.write(self._fd, data[written:] if written else data)
            self._torn = False
            return b""
        except OSError as error:
            self.problem = f"the log {self.path} is incomplete: {error.strerror}"
            self._retry_at = time.monotonic() + _RETRY_INTERVAL
            whole = data.rfind(b"\n", 0, written) + 1
            if written > whole:
                # Only this object writes to the file: the half line at its end is ours to take back.
                with contextlib.suppress(OSError):
                    os.ftruncate(self._fd, os.fstat(self._fd).st_size - (written - whole))
            self._torn = self._torn and not whole
            return data[whole:].removeprefix(b"\n") if not whole and data[:1] == b"\n" else data[whole:]

    def _keep(self, data: bytes) -> None:
        """Into the memory of the end, from which the oldest falls out."""
        if len(data) > self._tail:
            cut = data.find(b"\n", len(data) - self._tail - 1) + 1
            self._drop(data[:cut])
            data = data[cut:]
        self._kept.append(data)
        self._kept_bytes += len(data)
        while self._kept_bytes > self._tail:
            gone = self._kept.popleft()
            self._kept_bytes -= len(gone)
            self._drop(gone)

    def _drop(self, data: bytes) -> None:
        self._dropped_lines += data.count(b"\n")
        self._dropped_bytes += len(data)

    def _recover(self) -> None:
        """Tries the disk again; what was lost meanwhile is said in the log."""
        self.problem = ""
        if self._full:
            # The cap was reached as well: the end stays in memory until the step is over.
            return
        if self._dropped_lines:
            note = (
                f"{self._dropped_lines:,} lines ({self._dropped_bytes:,} bytes) are missing here: the log could not be"
                " written.\n"
            )
            if self._append(self._prefix("p") + note.encode()):
                return
            self._dropped_lines = self._dropped_bytes = 0
        self._put(self._taken())

    def _taken(self) -> bytes:
        kept = b"".join(self._kept)
        self._kept.clear()
        self._kept_bytes = 0
        return kept

    def _give_tail(self) -> None:
        if self.problem:
            self._recover()
        if self._full and not self.problem:
            if self._dropped_lines:
                self._put(
                    self._prefix("p")
                    + f"{self._dropped_lines:,} lines ({self._dropped_bytes:,} bytes) are missing here.\n".encode()
                )
            self._put(self._taken())


def _open(path: Path) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
