"""Who may send feedback, and how much of it.

A replica is given digests of the tokens, never a token: what it is started with can be seen by whoever may look at
processes or containers. A token is long and random, so its digest tells nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Callable, Mapping

OPEN, CLOSED = "open", "closed"
# The name of whoever sends a token that is nobody's.
STRANGER = "(wrong token)"
# How much of what is allowed may come at once, in seconds of the rate.
BURST_SECONDS = 5.0
_CLIENT = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]{0,62})=([0-9a-f]{64})")


def digest_of(token: str) -> str:
    """Returns what a replica is given instead of a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def read(text: str) -> Mapping[str, str] | None:
    """Returns name -> digest of the clients that may send feedback: nothing for OPEN, which lets everybody, None for
    CLOSED. Raises ValueError for what is neither, nor a list such as `crm=DIGEST,billing=DIGEST`."""
    if text in (OPEN, ""):
        return {}
    if text == CLOSED:
        return None
    clients: dict[str, str] = {}
    for part in text.split(","):
        match = _CLIENT.fullmatch(part)
        if match is None:
            raise ValueError(f"{part[:40]!r} is not NAME=DIGEST")
        clients[match[1]] = match[2]
    return clients


def written(clients: Mapping[str, str]) -> str:
    """Returns what `read` reads."""
    return ",".join(f"{name}={digest}" for name, digest in clients.items())


class Senders:
    """Knows clients by their tokens, and lets each send `rate` labels a second."""

    def __init__(self, setting: str, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clients = read(setting)
        self._rate = rate
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    @property
    def closed(self) -> bool:
        return self._clients is None

    def name(self, authorization: bytes) -> str | None:
        """Returns the client's name by the header `Authorization: Bearer TOKEN`; empty where everybody may send, None
        for a stranger. Takes as long for a wrong token as for a right one."""
        if not self._clients:
            return "" if self._clients is not None else None
        kind, _, token = authorization.partition(b" ")
        shown = hashlib.sha256(token.strip()).hexdigest()
        found: str | None = None
        for name, digest in self._clients.items():
            if hmac.compare_digest(shown, digest):
                found = name
        return found if kind.lower() == b"bearer" else None

    def take(self, name: str, number: int) -> int:
        """Returns how many of `number` labels a client may send now."""
        now, most = self._clock(), max(self._rate * BURST_SECONDS, 1.0)
        left, at = self._left.get(name, (most, now))
        left = min(most, left + (now - at) * self._rate)
        taken = min(number, int(left))
        self._left[name] = (left - taken, now)
        return taken
