"""The addresses that answers contain, and the short-lived ones of logs."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from threading import Lock
from urllib.parse import quote

_LOG_SECONDS = 60.0
_MAX_TICKETS = 1000


class Links:
    def __init__(self) -> None:
        self.web = ""
        """Where the forge is, without a slash at the end."""
        self.api = ""
        self.storage = ""
        """Where logs are: another origin, as at GitHub."""
        self._tickets: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._lock = Lock()

    def repo(self, full_name: str) -> str:
        return f"{self.web}/{full_name}"

    def clone(self, full_name: str) -> str:
        return f"{self.web}/{full_name}.git"

    def ticket(self, content: bytes) -> str:
        """Returns an address from which `content` can be had for a minute, without a token."""
        name = secrets.token_urlsafe(24)
        with self._lock:
            self._tickets[name] = (time.time() + _LOG_SECONDS, content)
            while len(self._tickets) > _MAX_TICKETS:
                self._tickets.popitem(last=False)
        return f"{self.storage}/logs/job.txt?sig={quote(name)}"

    def redeem(self, name: str) -> bytes | None:
        with self._lock:
            until, content = self._tickets.get(name, (0.0, b""))
        return content if time.time() < until else None
