"""The events of the demonstration, and the measurements at its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from .frozen import Frozen


class EventKind(StrEnum):
    """The kind of an event: CHAPTER begins one of the parts, DOING names what is awaited beside what is awaited
    already, WAITING what is awaited now in place of the WAITING before it, DONE its result."""

    CHAPTER = "chapter"
    DOING = "doing"
    WAITING = "waiting"
    DONE = "done"
    BAD = "bad"


class DemoEvent(Frozen):
    """One event of the demonstration. `seconds` is how long it took, if that is of interest."""

    kind: EventKind
    text: str
    detail: str = ""
    seconds: float | None = None


class DemoResult(Frozen):
    """One line of the summary."""

    what: str
    outcome: str
    seconds: float | None = None
    requests: int | None = None
    """Requests that were sent meanwhile; None without traffic."""
    lost: int | None = None
    """Those of them that had no answer but an error; None without traffic."""
    reasons: Mapping[str, int] = field(default_factory=dict[str, int])
    """The lost ones by what went wrong."""
    numbers: Mapping[str, float] = field(default_factory=dict[str, float])
    """What else was measured, by name."""


class DemoImages(Frozen):
    """The images of the demonstration in Docker: `base` has a Python with pip, `proxy` has HAProxy."""

    base: str = "python:3.11-slim"
    proxy: str = "haproxy:2.8"
