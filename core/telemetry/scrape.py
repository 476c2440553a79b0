"""Scrapes the latency histograms of replicas: all at once, and in bounded time."""

from __future__ import annotations

import time
from collections.abc import Iterable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Protocol

from ..domain.delivery import Replica
from ..errors import PodiumError
from .exposition import parse
from .histograms import Buckets, histogram

LATENCY = "podium_request_seconds"
# Seconds that a replica gets to answer.
TIMEOUT = 1.0
# Seconds for all replicas together, the way to those on another machine included.
DEADLINE = 2.0
MAX_PARALLEL = 16
MAX_BYTES = 1 << 20


class HttpTransport(Protocol):
    """The part of a transport that a scrape needs (core/delivery/proxy/transport.py has the whole)."""

    def http(self, address: str, port: int, method: str, path: str, *, timeout: float) -> tuple[int, bytes]:
        """Returns (status, body). Raises OSError when there is no answer in `timeout` seconds."""
        ...


_Answers = SimpleQueue[tuple[str, Buckets | None]]


def scrape(
    replicas: Iterable[Replica], transport: HttpTransport, *, timeout: float = TIMEOUT, deadline: float = DEADLINE
) -> dict[str, Buckets]:
    """Returns slot -> latency histogram of the replicas that answer in time; the others are left out.

    Waits `deadline` seconds at most. A request that takes longer ends by its own time-out, in its own thread.
    """
    waiting = SimpleQueue[Replica]()
    for replica in replicas:
        waiting.put(replica)
    count = waiting.qsize()
    answers: _Answers = SimpleQueue()
    until = time.monotonic() + deadline
    for _ in range(min(MAX_PARALLEL, count)):
        # Not a pool of threads: the end of a process waits for those.
        Thread(target=_work, args=(waiting, answers, transport, timeout, until), name="scrape", daemon=True).start()
    found: dict[str, Buckets] = {}
    for _ in range(count):
        try:
            slot, buckets = answers.get(timeout=max(0.0, until - time.monotonic()))
        except Empty:
            break
        if buckets is not None:
            found[slot] = buckets
    return found


def _work(
    waiting: SimpleQueue[Replica], answers: _Answers, transport: HttpTransport, timeout: float, until: float
) -> None:
    """Scrapes the waiting replicas one after the other until the deadline."""
    while time.monotonic() < until:
        try:
            replica = waiting.get_nowait()
        except Empty:
            return
        answers.put((replica.slot, _latency(replica, transport, timeout)))


def _latency(replica: Replica, transport: HttpTransport, timeout: float) -> Buckets | None:
    try:
        status, body = transport.http(replica.address, replica.port, "GET", "/metrics", timeout=timeout)
    except (OSError, PodiumError):
        return None
    return histogram(parse(_text(body)), LATENCY) if status == 200 else None


def _text(body: bytes) -> str:
    """Returns the body up to MAX_BYTES, without the last line if that would be cut in two, which would change its
    number."""
    if len(body) > MAX_BYTES:
        body = body[: body.rfind(b"\n", 0, MAX_BYTES) + 1]
    return body.decode("utf-8", "replace")
