"""Under which IP address the hosts of an environment reach each other."""

from __future__ import annotations

import socket
import threading
import time
from typing import Final

from ....errors import UsageError

# How long an address is believed: a name may get another one while the agent lives.
_SECONDS = 60.0


class Addresses:
    """The addresses that this process has found, for all its threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[str, float]] = {}

    def of(self, name: str) -> str:
        """Returns the IP address of a host, as this machine knows it; the last one where the name cannot be looked up
        for a moment. Raises UsageError if it has none that other hosts can use."""
        now = time.monotonic()
        with self._lock:
            known, asked = self._known.get(name, ("", 0.0))
        if known and now - asked < _SECONDS:
            return known
        every = _look_up(name) or ([known] if known else [])
        if not every:
            raise UsageError(
                f"the other hosts cannot reach {name}: this machine knows no address of it",
                hint="give it one: hosts: [{engine: ssh://…, address: 10.0.0.1}]",
            )
        found = known if known in every else every[0]  # a name with several addresses keeps the one that it has
        with self._lock:
            self._known[name] = found, now
        return found


addresses: Final = Addresses()


def _look_up(name: str) -> list[str]:
    """Returns the addresses that a name has for others than this machine."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    every = [str(each[4][0]) for each in found]
    return [each for each in every if not each.startswith("127.") and each != "::1"]
