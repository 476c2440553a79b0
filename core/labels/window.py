"""The window of a dataset: since when, until when, the last how many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..domain.frozen import Frozen
from ..domain.text.durations import parse_moment
from ..errors import UsageError


class Window(Frozen):
    """Requests answered in (after, until], in seconds since the epoch; None for no bound. Of their rows the newest
    `last`."""

    after: float | None = None
    until: float | None = None
    last: int | None = None


def window_of(options: Mapping[str, Any], now: float) -> Window:
    """Returns the window of a step's options `since`, `until` and `last`; `now` is in seconds since the epoch.
    Raises UsageError if one cannot be read, or if it is empty by what it says."""
    after, until = (_moment(name, options.get(name), now) for name in ("since", "until"))
    if after is not None and until is not None and after >= until:
        raise UsageError("`since` is not before `until`: the window is empty", hint="set one of them to another time")
    last = options.get("last")
    return Window(after, until, int(last) if last is not None else None)


def _moment(name: str, given: Any, now: float) -> float | None:
    text = str(given).strip() if given is not None else ""
    found = parse_moment(text, now) if text else None
    if text and found is None:
        raise UsageError(
            f"`{name}: {text[:60]}` is no time", hint="write a time ago such as 30d, or a date such as 2013-09-01"
        )
    return found
