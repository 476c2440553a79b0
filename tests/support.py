"""Small helpers that tests of several parts share."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import TypeVar

from podium.core.delivery.host.ports import kept_port

T = TypeVar("T")
_held: list[socket.socket] = []


def wait_until(predicate: Callable[[], T], timeout: float = 10.0, *, interval: float = 0.02, what: str = "") -> T:
    """The first true value of `predicate`; AssertionError with `what` when it stays false for `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"still not so after {timeout} s: {what or predicate}")
        time.sleep(interval)


def free_port() -> int:
    """One that nobody else who looks for one finds until this process ends: whoever it is for may come and go."""
    port, held = kept_port()
    _held.append(held)
    return port
