"""How much may be asked, per account, in windows of an hour."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

NAMES = {
    "github": ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Used", "X-RateLimit-Reset"),
    "gitlab": ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Observed", "RateLimit-Reset"),
}


class Rates:
    """`forge.rates`: a test may set `limit` and `window` (seconds) at any time."""

    def __init__(self, kind: str, now: Callable[[], float]) -> None:
        self.limit = 5000 if kind == "github" else 2000
        self.anonymous_limit = 60 if kind == "github" else 500
        self.window = 3600.0 if kind == "github" else 60.0
        self.names = NAMES.get(kind, ())
        """Of the headers; without them nothing is limited (Gitea)."""
        self.now = now
        self._buckets: dict[str, Bucket] = {}
        self._lock = Lock()

    def bucket(self, login: str) -> Bucket:
        with self._lock:
            return self._buckets.setdefault(login, Bucket(self, not login))

    def used(self, login: str) -> int:
        return self.bucket(login).used

    def reset(self) -> None:
        with self._lock:
            self._buckets.clear()


class Bucket:
    def __init__(self, rates: Rates, anonymous: bool) -> None:
        self._rates = rates
        self._anonymous = anonymous
        self._lock = Lock()
        self._ends = 0.0
        self.used = 0

    @property
    def limit(self) -> int:
        return self._rates.anonymous_limit if self._anonymous else self._rates.limit

    def remaining(self) -> int:
        with self._lock:
            if self._rates.now() >= self._ends:
                self._ends, self.used = self._rates.now() + self._rates.window, 0
        return max(0, self.limit - self.used) if self._rates.names else 1

    def seconds_left(self) -> float:
        return max(0.0, self._ends - self._rates.now())

    def use(self) -> None:
        with self._lock:
            self.used += 1

    def headers(self) -> dict[str, str]:
        values = (self.limit, self.remaining(), self.used, int(self._ends) + 1)
        return {name: str(value) for name, value in zip(self._rates.names, values, strict=False)}
