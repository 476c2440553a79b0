"""Numbers that others have written."""

from __future__ import annotations

import math

_LAST_TIME = 1e11  # seconds since the epoch


def finite(value: object) -> float | None:
    """Returns a number of a document as a float; None for what is none, or is infinite or too large for one (JSON has
    numbers of any length)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return found if math.isfinite(found := float(value)) else None
    except OverflowError:
        return None


def time_of(value: object) -> float | None:
    """Returns a moment of a document in seconds since the epoch; None for what cannot be one, as milliseconds."""
    found = finite(value)
    return found if found is not None and 0 <= found < _LAST_TIME else None
