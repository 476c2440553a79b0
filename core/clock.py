"""Times that were noted while the clock was wrong."""

from __future__ import annotations

import math

# Clocks of one machine are corrected by less than this while everything is in order.
_CORRECTED_SECONDS = 120.0


def elapsed(since: float, now: float) -> float:
    """Returns the seconds from `since` to `now`, both since the epoch; 0 at least.

    A time that lies further in the future than a clock is ever corrected was noted while it was wrong. Nobody knows
    how long ago that was: infinity, so that nothing waits for a time that came from the future.
    """
    return math.inf if since > now + _CORRECTED_SECONDS else max(0.0, now - since)
