"""Faults that a test scripts: what should go wrong, where, and how often."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import field
from threading import Lock
from typing import Any

from ...domain.frozen import Frozen

LOGIN_PAGE = (
    b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><form action='/login' method='post'>"
    b"<input name='user'><input name='password' type='password'><button>Sign in</button></form></body></html>\n"
)


class Fault(Frozen):
    """One thing that goes wrong with the requests that fit."""

    method: str = ""
    """Of the requests; all when empty."""
    path: str = ""
    """A regular expression that is searched for in the path (as it was sent, with the query)."""
    status: int = 0
    """What is answered instead."""
    body: Any = None
    """Bytes, text, or what becomes JSON; the dialect's own words for `status` when None."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of the answer, besides or instead of its own."""
    slow: float = 0.0
    """Seconds until the answer begins."""
    cut: bool = False
    """The connection ends in the middle of the answer; what was asked for is carried out."""
    drop: bool = False
    """The connection ends without an answer."""
    login: bool = False
    """A page in HTML, with status 200, that asks for a password."""
    skew: float = 0.0
    """Seconds that the host's clock is ahead, in the header Date."""
    done: bool = False
    """What was asked for is carried out all the same, and only then `status` answered or the connection dropped."""

    @property
    def instead(self) -> bool:
        """Whether another answer is given than the real one."""
        return bool(self.status or self.login or self.drop)


class Scripted:
    """A fault in the script. `left` is how often it still happens; None for always."""

    def __init__(self, fault: Fault, count: int | None, probability: float) -> None:
        self.fault, self.left, self.probability = fault, count, probability
        self.happened = 0
        self._path = re.compile(fault.path)

    def fits(self, method: str, path: str) -> bool:
        return self.left != 0 and self.fault.method in ("", method) and self._path.search(path) is not None


class Faults:
    """The script. Of several faults that fit a request, the first one happens."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._script: list[Scripted] = []
        self._lock = Lock()

    def seed(self, seed: int) -> None:
        """Makes the faults with a probability happen in the same order again."""
        with self._lock:
            self._random.seed(seed)

    def add(
        self, fault: Fault | None = None, *, count: int | None = 1, probability: float = 1.0, **fields: Any
    ) -> Scripted:
        """Adds a fault, given as such or by its fields. `count` is how often it happens; None for always."""
        scripted = Scripted(fault or Fault(**fields), count, probability)
        with self._lock:
            self._script.append(scripted)
        return scripted

    def remove(self, scripted: Scripted) -> None:
        with self._lock:
            self._script = [each for each in self._script if each is not scripted]

    def clear(self) -> None:
        with self._lock:
            self._script.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """Returns what goes wrong with this request, and counts it."""
        with self._lock:
            for scripted in self._script:
                if scripted.fits(method, path) and self._random.random() < scripted.probability:
                    scripted.happened += 1
                    if scripted.left is not None:
                        scripted.left -= 1
                    return scripted.fault
        return None


NO_FAULT = Fault()
