"""Writes sampled requests with their predictions, and feedback, as lines of JSON in files of bounded size.

The event loop only appends to a queue; a separate thread writes. When the queue is full, captures are dropped and
counted: serving comes first.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import sys
import threading
from collections import deque
from collections.abc import Mapping
from io import FileIO
from pathlib import Path
from typing import Any

MAX_FILES = 4  # the current one and three older ones
MAX_PENDING = 2_000  # records
MAX_PENDING_BYTES = 16 * 1024 * 1024
WRITE_INTERVAL = 0.25  # seconds between writes


class Rotated:
    """`name.jsonl`, and `name.1.jsonl` (newer) to `name.3.jsonl` (older), together at most `limit` bytes and one
    record."""

    def __init__(self, directory: Path, name: str, limit: int) -> None:
        self.directory, self.name, self.limit = directory, name, max(limit // MAX_FILES, 1)

    def path(self, age: int) -> Path:
        return self.directory / (f"{self.name}.{age}.jsonl" if age else f"{self.name}.jsonl")

    def write(self, lines: list[bytes]) -> None:
        """Writes lines, each completely or not at all. Raises OSError if one does not fit on the disk; its written
        part is removed."""
        rest = deque(lines)
        while rest:
            with open(self.path(0), "ab+", buffering=0, opener=_private) as file:
                size = _end_torn_line(file)
                while rest and (not size or size + len(rest[0]) <= self.limit):
                    size += _append(file, size, rest[0])
                    rest.popleft()
            if rest:
                self.rotate()

    def rotate(self) -> None:
        for age in range(MAX_FILES - 2, -1, -1):
            if self.path(age).exists():
                self.path(age).replace(self.path(age + 1))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _by_descriptor(directory: Path) -> Path:
    """Returns a path that stays the directory's when that is moved while this process runs, where the system has
    one."""
    link = Path("/proc/self/fd")
    return link / str(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) if link.is_dir() else directory


def _end_torn_line(file: FileIO) -> int:
    """Ends a line that a killed replica left unfinished, so that the next one stays readable. Returns the file's
    size."""
    size = file.seek(0, os.SEEK_END)
    if size and os.pread(file.fileno(), 1, size - 1) != b"\n":
        size += file.write(b"\n")
    return size


def _append(file: FileIO, size: int, line: bytes) -> int:
    written = 0
    try:
        while written < len(line):
            written += file.write(line[written:])
    except OSError:
        with contextlib.suppress(OSError):
            file.truncate(size)
        raise
    return written


class Recorder:
    """Queues captures and feedback. `wanted()` tells whether a request is in the sample. A capture without room is
    dropped and counted; feedback without room is refused."""

    def __init__(self, directory: Path, *, name: str, rate: float, limit: int) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory = _by_descriptor(directory)
        self.rate = rate
        self.counts = {"captured": 0, "capture_dropped": 0, "feedback": 0}
        self._files = {kind: Rotated(directory, f"{kind}-{name}", limit) for kind in ("capture", "feedback")}
        self._queue: deque[tuple[str, Mapping[str, Any], int]] = deque()
        self._bytes = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._failed = ""
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def wanted(self) -> bool:
        return self.rate > 0.0 and random.random() < self.rate

    def capture(self, record: Mapping[str, Any], size: int) -> None:
        """Queues a capture. `size` is roughly the bytes that the record keeps in memory. A record that would fill a
        file by itself is dropped, because four of them would displace everything else."""
        if size <= self._files["capture"].limit and self._put("capture", record, size):
            self.counts["captured"] += 1
        else:
            self.drop()

    def drop(self) -> None:
        """Counts a capture that was wanted and cannot be kept. Called by both threads."""
        with self._lock:
            self.counts["capture_dropped"] += 1

    def feedback(self, record: Mapping[str, Any], size: int) -> bool:
        """Queues feedback; False if there is no room, so that the caller can send it again."""
        taken = self._put("feedback", record, size)
        self.counts["feedback"] += taken
        return taken

    def _put(self, kind: str, record: Mapping[str, Any], size: int) -> bool:
        with self._lock:
            if len(self._queue) >= MAX_PENDING or (self._queue and self._bytes + size > MAX_PENDING_BYTES):
                return False
            self._queue.append((kind, record, size))
            self._bytes += size
            return True

    def _run(self) -> None:
        while not self._stop.wait(WRITE_INTERVAL):
            self.flush()

    def flush(self) -> None:
        with self._lock:
            batch, self._queue, self._bytes = self._queue, deque(), 0
        lines: dict[str, list[bytes]] = {}
        for kind, record, _ in batch:
            line = json.dumps(record).encode() + b"\n"
            if kind == "capture" and len(line) > self._files[kind].limit:  # by its escapes alone; else it was not taken
                self.drop()
            else:
                lines.setdefault(kind, []).append(line)
        for kind, encoded in lines.items():
            try:
                self._files[kind].write(encoded)
                self._failed = ""
            except OSError as error:
                self._complain(f"{kind}: {len(encoded)} records lost: {error}")

    def _complain(self, message: str) -> None:
        """Logs each kind of trouble once, not four times a second while the disk is full."""
        if message.partition(":")[2] != self._failed:
            self._failed = message.partition(":")[2]
            print(f"serving: {message}", file=sys.stderr, flush=True)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=5.0)
        self.flush()
