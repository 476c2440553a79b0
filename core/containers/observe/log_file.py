"""The file of a container's log: the format of step logs with the engine's times, rotated at a fixed size. The
process that holds its lock is its only writer. After a broken connection or a crash the times of the file's last
lines show where to continue."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections import deque
from pathlib import Path

from ...closing import Closing
from ...domain.frozen import Frozen
from ...logs.format import CONTINUED_MARKS, MARKS, TIME_BYTES, seconds_of, written_time
from ...logs.masking import Masker

# At this size the file is renamed to `<name>.1`, which replaces the older one.
MAX_BYTES = 64 << 20
_BLOCK_BYTES = 64 << 10
_MAX_TAIL_BYTES = 8 << 20
_OVERLAP_SECONDS = 0.1  # seconds
_RECORD = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})Z ([oeOE]) ", re.ASCII)
# The engine's header of a frame (stream, 0, 0, 0, size) and its time (`2026-11-25T13:27:17.123456789Z `), of which
# milliseconds are kept.
_HEADER_BYTES = 8
_ENGINE_TIME_BYTES = 31


class LogPosition(Frozen):
    """How far a log was read: `since` is a time shortly before the newest line, and `times` holds the times of all
    lines from then on in their order. A container's two streams may be slightly out of order; the engine returns the
    lines since a given time in the same order again."""

    since: bytes = b""
    times: tuple[bytes, ...] = ()

    @property
    def newest(self) -> float:
        """Returns the time of the newest line in seconds since the epoch."""
        return seconds_of(max(self.times)) if self.times else 0.0


class Parser:
    """Turns the engine's answer piece by piece into records of a log file. `place` says which lines the file already
    has. `tty` is for a container with a terminal, whose output has no frames. Holds at most one unfinished frame or
    line."""

    def __init__(self, place: LogPosition, secrets: tuple[bytes, ...] = (), *, tty: bool = False) -> None:
        self._known = deque(place.times)
        self._rest = b""
        self._tty = tty
        self._secrets = secrets
        self._maskers = {stream: Masker(secrets) for stream in (1, 2)}

    def feed(self, data: bytes) -> bytes:
        """Returns whole records, ready to be written."""
        if self._rest:
            data = self._rest + data
        return self._lines(data) if self._tty else self._frames(data)

    def _frames(self, data: bytes) -> bytes:
        records: list[bytes] = []
        add = records.append
        at, size = 0, len(data)
        newline = 10
        careful = bool(self._known or self._secrets)
        while size - at >= _HEADER_BYTES:
            end = at + _HEADER_BYTES + (data[at + 4] << 24 | data[at + 5] << 16 | data[at + 6] << 8 | data[at + 7])
            if end > size:
                break
            stream = 2 if data[at] == 2 else 1
            begin = at + _HEADER_BYTES
            if careful:
                add(self._one(stream, data[begin:end]))
                careful = bool(self._known or self._secrets)
            elif data[end - 1] == newline:
                add(data[begin : begin + TIME_BYTES])
                add(MARKS[stream])
                add(data[begin + _ENGINE_TIME_BYTES : end])
            else:
                add(
                    data[begin : begin + TIME_BYTES]
                    + CONTINUED_MARKS[stream]
                    + data[begin + _ENGINE_TIME_BYTES : end]
                    + b"\n"
                )
            at = end
        self._rest = data[at:]
        return b"".join(records)

    def _lines(self, data: bytes) -> bytes:
        whole, newline, self._rest = data.rpartition(b"\n")
        if not newline:
            return b""
        return b"".join(self._one(1, line.rstrip(b"\r") + b"\n") for line in whole.split(b"\n"))

    def _one(self, stream: int, frame: bytes) -> bytes:
        """Returns the record of one frame; empty if the file already has it."""
        at, text = frame[:TIME_BYTES], frame[_ENGINE_TIME_BYTES:]
        if self._known:
            if at == self._known[0]:
                self._known.popleft()
                return b""
            self._known.clear()  # the engine does not have them any more
        whole = text.endswith(b"\n")
        if self._secrets:
            text = self._maskers[stream].feed(text[:-1] if whole else text)
            text += (self._maskers[stream].close() + b"\n") if whole else b""
        return at + MARKS[stream] + text if whole else at + CONTINUED_MARKS[stream] + text + b"\n"


class LogStore(Closing):
    """The log file, locked for writing while this object is open. Raises BlockingIOError if another process writes
    it, OSError if it cannot be written."""

    def __init__(self, path: Path, *, cap: int = MAX_BYTES) -> None:
        self.path = path
        self._cap = cap
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._fd = self._open()
        with contextlib.suppress(OSError):
            self._mend()

    def _open(self) -> int:
        while True:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # The previous owner of the lock may have rotated the file in the meantime.
                if os.path.samestat(os.fstat(handle), self.path.stat()):
                    return handle
            except FileNotFoundError:
                pass
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)

    def _mend(self) -> None:
        """Removes the half line that a killed writer may have left; the engine returns it again."""
        size = os.fstat(self._fd).st_size
        if size and os.pread(self._fd, 1, size - 1) != b"\n":
            tail = os.pread(self._fd, _BLOCK_BYTES, max(0, size - _BLOCK_BYTES))
            cut = tail.rfind(b"\n") + 1
            if cut or size <= _BLOCK_BYTES:
                os.ftruncate(self._fd, size - len(tail) + cut)

    def place(self) -> LogPosition:
        """Returns where the file (or, if it is new, the one before it) ends."""
        found = _end_of(self._fd)
        if found.times:
            return found
        try:
            before = os.open(f"{self.path}.1", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return found
        try:
            return _end_of(before)
        finally:
            os.close(before)

    def write(self, records: bytes) -> None:
        """Writes whole records. Raises OSError if they do not fit on the disk; none of them is then half written."""
        if not records:
            return
        if os.fstat(self._fd).st_size >= self._cap:
            self._turn()
        written = 0
        try:
            while written < len(records):
                written += os.write(self._fd, records[written:] if written else records)
        except OSError:
            whole = records.rfind(b"\n", 0, written) + 1
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, os.fstat(self._fd).st_size - (written - whole))
            raise

    def _turn(self) -> None:
        self.path.replace(f"{self.path}.1")
        old, self._fd = self._fd, self._open()
        os.close(old)

    def close(self) -> None:
        handle, self._fd = self._fd, -1
        if handle >= 0:
            os.close(handle)


def _end_of(handle: int) -> LogPosition:
    size = os.fstat(handle).st_size
    length = _BLOCK_BYTES
    while True:
        start = max(0, size - length)
        lines = os.pread(handle, size - start, start).split(b"\n")[:-1]
        if start:
            del lines[:1]  # most likely the end of a line only
        times = [match[1] for line in lines if (match := _RECORD.match(line))]
        if not times:
            return LogPosition()
        since = written_time(seconds_of(max(times)) - _OVERLAP_SECONDS)
        if times[0] < since or not start or length >= _MAX_TAIL_BYTES:
            return LogPosition(since, tuple(at for at in times if at >= since))
        length *= 4
