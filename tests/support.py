"""Small helpers that tests of several parts share."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from typing import TypeVar

import psutil
from podium.core.delivery.host.ports import kept_port

from tests.runner.scale import scaled

T = TypeVar("T")
_held: deque[socket.socket] = deque()
_MAX_HELD = 100  # of a test process that has used hundreds; whoever needs an older one has long begun to listen on it


def wait_until(predicate: Callable[[], T], timeout: float = 10.0, *, interval: float = 0.02, what: str = "") -> T:
    """Returns the first true value of `predicate`. Raises AssertionError with `what` when it stays false for `timeout`
    seconds of a quiet machine, which are more on a busy one (`tests/runner/scale.py`)."""
    limit = scaled(timeout)
    deadline = time.monotonic() + limit
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"still not so after {limit:g} s: {what or predicate}")
        time.sleep(interval)


def free_port() -> int:
    """One that nobody else who looks for one finds for long enough: whoever it is for may come and go."""
    port, held = kept_port()
    _held.append(held)
    if len(_held) > _MAX_HELD:
        _held.popleft().close()
    return port


@contextmanager
def as_nobody() -> Iterator[Path]:
    """A directory anyone may enter, and no rights beyond it: root would be allowed everything."""
    directory = Path(tempfile.mkdtemp(prefix="podium-", dir="/tmp"))
    directory.chmod(0o755)
    root = os.geteuid() == 0
    if root:
        os.chown(directory, 65534, 65534)
        os.seteuid(65534)
    try:
        yield directory
    finally:
        if root:
            os.seteuid(0)
        directory.chmod(0o700)
        shutil.rmtree(directory)


@contextmanager
def http_server(handler: type[BaseHTTPRequestHandler]) -> Iterator[ThreadingHTTPServer]:
    """A server of this machine on a port of its own; a request that hangs does not hold up its end."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads, server.block_on_close = True, False
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def calls(work: Callable[[], object]) -> int:
    """Returns how many functions `work` calls in this thread, those of C among them: how much it does, whatever else the
    machine does meanwhile."""
    count = 0

    def counted(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def bytes_read() -> int:
    """Returns how much this process has read so far, from files and whatever else there is."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("rchar:"))


def readable(*files: object, seconds: float | None = None) -> list[int]:
    """The descriptors with something to read, or an end; `select` knows no more than 1,024 of them."""
    return _ready(files, select.POLLIN, seconds)


def writable(*files: object, seconds: float | None = None) -> list[int]:
    """The descriptors that take something."""
    return _ready(files, select.POLLOUT, seconds)


def _ready(files: tuple[object, ...], what: int, seconds: float | None) -> list[int]:
    poll = select.poll()
    for file in files:
        poll.register(file, what)  # type: ignore[arg-type]
    return [number for number, _ in poll.poll(None if seconds is None else seconds * 1000)]


def processes_of(
    home: Path, marked: Callable[[Mapping[str, str]], bool] = lambda environment: False
) -> list[psutil.Process]:
    """Returns everything that runs for a project, whoever started it: by its directory in the command line, or its mark
    in the environment variables."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            belongs = any(str(home) in word for word in process.cmdline()) or marked(process.environ())
            if belongs and process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid():
                found.append(process)
    return found
