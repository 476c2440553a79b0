"""Reads moments of the past as people say them: `14:05`, `yesterday 14:05`, `last tuesday 14:05`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from .durations import parse_moment

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SPOKEN = re.compile(
    r"(?:(?P<day>today|yesterday|(?:last )?[a-z]{3,9})(?: at)?)?\s*(?P<time>\d{1,2}:\d{2}(?::\d{2})?)?"
)


def spoken_moment(text: str, now: float) -> float | None:
    """Returns the time (seconds since the epoch) of `14:05` (today), `yesterday 14:05`, `tuesday 14:05` (the latest one
    before now), `last tuesday 14:05` (that of last week), or of whatever `parse_moment` reads, all in local time; None
    for anything else. A day without a time is its midnight."""
    wanted = " ".join(text.lower().split())
    match = _SPOKEN.fullmatch(wanted)
    if not wanted or match is None or (match["day"] is None and match["time"] is None):
        return parse_moment(text.strip(), now)
    here = datetime.fromtimestamp(now)
    ago = _days_ago(match["day"] or "today", here)
    if ago is None:
        return parse_moment(text.strip(), now)
    parts = [int(each) for each in (match["time"] or "0:00").split(":")]
    try:
        clock = dict(zip(("hour", "minute", "second"), [*parts, 0], strict=False))
        moment = (here - timedelta(days=ago)).replace(**clock, microsecond=0)
    except ValueError:
        return None
    if moment > here and ago == 0 and match["day"] not in (None, "today"):
        moment -= timedelta(days=7)
    return moment.timestamp()


def _days_ago(day: str, here: datetime) -> int | None:
    """Returns how many days before today a day was; None for a word that is no day."""
    if day in ("today", "yesterday"):
        return int(day == "yesterday")
    name = day.removeprefix("last ")
    known = [number for number, each in enumerate(_DAYS) if len(name) > 2 and each.startswith(name)]
    if not known:
        return None
    ago = (here.weekday() - known[0]) % 7
    this_week = ago <= here.weekday()
    return ago + 7 if day.startswith("last ") and this_week else ago
