"""Reads lengths of time (`50ms`, `20m`, `1h30m`), moments and shares (`20%`), in podium.yaml as on the command line."""

from __future__ import annotations

import re
from datetime import datetime

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d|w)", re.ASCII)
_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?%", re.ASCII)
MAX_SECONDS = 3660 * 86400.0


def parse_duration(text: str) -> float | None:
    """Returns the seconds, or None if the text is not a duration. The unit is required, because `60` alone is
    ambiguous; `0` is the exception."""
    if text == "0":
        return 0.0
    position, seconds = 0, 0.0
    while position < len(text):
        match = _PART.match(text, position)
        if match is None:
            return None
        seconds += float(match[1]) * _UNITS[match[2]]
        position = match.end()
    return seconds if text and seconds <= MAX_SECONDS else None


def parse_percent(text: str) -> float | None:
    """Returns the share (`20%` is 0.2), or None if the text is not a percentage."""
    match = _PERCENT.fullmatch(text)
    return float(match[1]) / 100 if match else None


def parse_moment(text: str, now: float) -> float | None:
    """Returns the time (seconds since the epoch) of `2h` (before `now`), `2026-11-23` or `2026-11-23T10:11`, which are
    local unless they end with `Z` or an offset; None if the text is none of these."""
    before = parse_duration(text)
    if before is not None:
        return now - before
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
