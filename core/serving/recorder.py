"""Writes sampled requests with their predictions, and feedback, as lines of JSON in files of bounded size; and one
line for every request (requests.py).

The event loop only appends to a queue; a separate thread writes. When the queue is full, captures are dropped and
counted: serving comes first.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .requests import RequestLog
from .rotated import Rotated

MAX_PENDING = 2_000  # records
MAX_PENDING_BYTES = 16 * 1024 * 1024
WRITE_INTERVAL = 0.25  # seconds between writes


def _by_descriptor(directory: Path) -> Path:
    """Returns a path that stays the directory's when that is moved while this process runs, where the system has
    one."""
    link = Path("/proc/self/fd")
    return link / str(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) if link.is_dir() else directory


class Recorder:
    """Queues captures and feedback. `wanted()` tells whether a request is in the sample. A capture without room is
    dropped and counted; feedback without room is refused."""

    def __init__(
        self, directory: Path, *, name: str, rate: float, limit: int, requests: bool = False, version: str = ""
    ) -> None:
        """Begins to write into `directory`, made if it is missing. `rate` is the share of requests to capture, `limit`
        the most bytes of each kind of file; with `requests` every request of `version` gets a line."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory = _by_descriptor(directory)
        self.rate = rate
        self.counts = {"captured": 0, "capture_dropped": 0, "feedback": 0, "feedback_refused": 0}
        self._refused: Counter[str] = Counter()
        self._files = {kind: Rotated(directory, f"{kind}-{name}", limit) for kind in ("capture", "feedback")}
        files = Rotated(directory, f"requests-{name}", limit, "tsv")
        self.requests = RequestLog(files, version, self.counts) if requests else None
        self._queue: deque[tuple[str, Mapping[str, Any], int]] = deque()
        self._bytes = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._failed: dict[str, str] = {}
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

    def refuse(self, client: str, number: int) -> None:
        """Counts labels of a client that were not taken; their number is written beside its feedback."""
        with self._lock:
            self._refused[client] += number
            self.counts["feedback_refused"] += number

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
        """Writes what is queued: requests first, so that who reads a capture finds its request."""
        with self._lock:
            batch, self._queue, self._bytes = self._queue, deque(), 0
            refused, self._refused = self._refused, Counter()
        self._flush_requests()
        lines: dict[str, list[bytes]] = {}
        for kind, record, _ in batch:
            line = json.dumps(record).encode() + b"\n"
            if kind == "capture" and len(line) > self._files[kind].limit:  # by its escapes alone; else it was not taken
                self.drop()
            else:
                lines.setdefault(kind, []).append(line)
        for client, number in refused.items():
            record = {"received": round(time.time(), 3), "client": client, "refused": number}
            lines.setdefault("feedback", []).append(json.dumps(record).encode() + b"\n")
        for kind, encoded in lines.items():
            try:
                self._files[kind].write(encoded)
                self._failed.pop(kind, None)
            except OSError as error:
                self._complain(kind, f"{len(encoded)} records lost", error)

    def _flush_requests(self) -> None:
        if self.requests is not None:
            try:
                if self.requests.flush():
                    self._failed.pop("requests", None)
            except OSError as error:
                self._complain("requests", "lost", error)

    def _complain(self, kind: str, what: str, error: OSError) -> None:
        """Logs each trouble of a kind of file once, not four times a second while the disk is full."""
        if self._failed.get(kind) != str(error):
            self._failed[kind] = str(error)
            print(f"serving: {kind}: {what}: {error}", file=sys.stderr, flush=True)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=5.0)
        self.flush()
