"""The moments that a person names in a log: `5m` (ago), `14:05`, `2026-11-23 14:05:30`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from ....core.domain.text.durations import parse_duration

HINT = "say it as 5m (ago), 14:05 or 2026-11-23 14:05"
_CLOCK = re.compile(r"(?:(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ]+|$))?(?:(\d{1,2}):(\d{2})(?::(\d{2}))?)?")


def moment_of(text: str, now: float) -> float | None:
    """Returns the time in seconds since the epoch, in the local time zone; None for a text that names none. A clock
    time without a date is the last one that was."""
    text = text.strip().removesuffix(" ago")
    found = _CLOCK.fullmatch(text)
    if not text or found is None:
        seconds = parse_duration(text) if text else None
        return now - seconds if seconds else None
    year, month, day, hour, minute, second = (int(part) if part else None for part in found.groups())
    today = datetime.fromtimestamp(now)
    try:
        found_day = today if year is None else datetime(year, month or 0, day or 0)
        at = found_day.replace(hour=hour or 0, minute=minute or 0, second=second or 0, microsecond=0)
        # By the calendar: where the clock is changed a day has another length.
        return (at - timedelta(days=1) if year is None and at > today else at).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
