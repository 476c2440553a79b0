"""The events of the demonstration, and the measurements at its end."""

from __future__ import annotations

from enum import StrEnum

from .frozen import Frozen


class EventKind(StrEnum):
    """The kind of an event: CHAPTER begins one of the five parts, DOING names what is awaited, DONE its result."""

    CHAPTER = "chapter"
    DOING = "doing"
    DONE = "done"
    BAD = "bad"


class DemoEvent(Frozen):
    """One event of the demonstration. `seconds` is how long it took, if that is of interest."""

    kind: EventKind
    text: str
    detail: str = ""
    seconds: float | None = None


class DemoResult(Frozen):
    """One line of the summary. `requests` is how many were answered meanwhile and `lost` how many were not, if
    traffic was running."""

    what: str
    outcome: str
    seconds: float | None = None
    requests: int | None = None
    lost: int | None = None


class DemoImages(Frozen):
    """The images of the demonstration in Docker: `base` has a Python with pip, `proxy` has HAProxy."""

    base: str = "python:3.11-slim"
    proxy: str = "haproxy:2.8"
