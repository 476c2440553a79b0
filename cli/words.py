"""How times, durations, commits and figures are written for people. Pure functions."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def moment(at: float | None) -> str | None:
    """Seconds since the epoch as ISO 8601 in UTC with milliseconds, as every JSON field has it."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ago(at: float | None, now: float | None = None) -> str:
    """`12s ago`, `3h ago`; the date from a month on."""
    if at is None:
        return ""
    seconds = max(0.0, (time.time() if now is None else now) - at)
    for limit, unit, size in ((60, "s", 1), (3600, "m", 60), (86400, "h", 3600), (30 * 86400, "d", 86400)):
        if seconds < limit:
            return f"{int(seconds / size)}{unit} ago"
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def duration(seconds: float | None) -> str:
    """`0.31 s`, `12.4 s`, `3m 05s`, `2h 11m`."""
    if seconds is None:
        return ""
    seconds = max(0.0, seconds)
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02}s"
    return f"{minutes // 60}h {minutes % 60:02}m"


def short(commit: str, *, dirty: bool = False) -> str:
    return commit[:9] + ("+" if dirty and commit else "")


def figure(value: object) -> str:
    """A metric or parameter as a person reads it: four significant decimals, no noise."""
    if value is None:
        return ""
    if isinstance(value, float):
        if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        return f"{value:.4f}" if 0.0001 <= abs(value) < 100_000 else f"{value:.4g}"
    return str(value)


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def plural(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
