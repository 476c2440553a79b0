"""Times as an engine writes them."""

from __future__ import annotations

import re
from datetime import datetime


def moment(written: object) -> float | None:
    """Returns the engine's `2026-11-25T13:27:17.123456789Z` in seconds since the epoch; None for its zero time and
    for anything that is not a time."""
    text = str(written or "")
    if not text or text.startswith("0001-"):
        return None
    try:
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", text).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None
