"""The log of what a forge was asked."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from threading import Lock

from ...domain.frozen import Frozen

_KEPT = 20_000


class ForgeCall(Frozen):
    at: float
    server: str
    """api, git, storage (where GitHub's logs are), web."""
    method: str
    path: str
    """As it was sent, with the query."""
    status: int
    """0 when the connection was dropped."""
    token: bool | None
    """Whether the token was a valid one; None when there was none."""
    login: str = ""
    """Whose token it was."""
    fault: bool = False
    """Whether a fault happened."""


class Calls:
    """The last calls, oldest first. More than 20,000 are forgotten, but still counted."""

    def __init__(self) -> None:
        self._calls: deque[ForgeCall] = deque(maxlen=_KEPT)
        self._lock = Lock()
        self.total = 0

    def add(self, call: ForgeCall) -> None:
        with self._lock:
            self._calls.append(call)
            self.total += 1

    def clear(self) -> None:
        with self._lock:
            self._calls.clear()

    def matching(self, method: str = "", path: str = "", server: str = "") -> list[ForgeCall]:
        """Returns the calls of a method whose path contains a regular expression."""
        return [
            call
            for call in self
            if method in ("", call.method) and server in ("", call.server) and re.search(path, call.path)
        ]

    def __iter__(self) -> Iterator[ForgeCall]:
        with self._lock:
            return iter(list(self._calls))

    def __len__(self) -> int:
        return len(self._calls)

    def __getitem__(self, index: int) -> ForgeCall:
        with self._lock:
            return self._calls[index]
