"""Times as hosts write them."""

from __future__ import annotations

from datetime import UTC, datetime


def iso(at: float) -> str | None:
    """Returns `2026-11-28T20:50:49Z`; None for a time that is not known (0)."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def iso_milliseconds(at: float) -> str | None:
    """Returns `2026-11-28T20:50:49.123Z`; None for a time that is not known (0)."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z" if at else None


def seconds(text: str) -> float:
    """Reads such a time; 0.0 if it is none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
