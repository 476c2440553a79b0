"""What the demonstration tells while it goes on, and what it has measured at its end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Told(StrEnum):
    """CHAPTER begins one of the five parts, DOING says what is waited for, DONE what has come of it."""

    CHAPTER = "chapter"
    DOING = "doing"
    DONE = "done"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class DemoEvent:
    """`seconds` is how long it took, where that is worth saying."""

    told: Told
    text: str
    detail: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class DemoResult:
    """One line of the summary. `requests` is how many were answered meanwhile and `lost` how many were not, where
    traffic ran."""

    what: str
    outcome: str
    seconds: float | None = None
    requests: int | None = None
    lost: int | None = None


@dataclass(frozen=True, slots=True)
class DemoImages:
    """What the demonstration in Docker is made of: `base` has a Python with pip, `proxy` has HAProxy."""

    base: str = "python:3.11-slim"
    proxy: str = "haproxy:2.8"
