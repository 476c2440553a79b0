"""Formats numbers, durations, sizes, ages and times for people. These are pure functions that both front ends use.
Machines read JSON, where times are formatted by `moment` and everything else is a plain number."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime

# The times of the years 1 to 9999, a day less at either end: a zone may add to them.
_FIRST, _LAST = -62_135_510_400.0, 253_402_214_399.0
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def duration(seconds: float | None) -> str:
    """Returns `0.4s`, `12s`, `3m05s`, `2h10m`, `4d02h`; empty for None. Below 100 days it takes at most six cells."""
    if seconds is None:
        return ""
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02d}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02d}m"
    return f"{whole // _DAY}d{whole % _DAY // _HOUR:02d}h"


def exact_duration(seconds: float, digits: int = 4) -> str:
    """Returns `3d`, `1h30m`, `0.5s`: nothing is rounded but the seconds, to so many figures and to milliseconds."""
    seconds = max(0.0, round(seconds, 3))
    whole, found = int(seconds // _MINUTE), ""
    for unit, size in (("d", _DAY), ("h", _HOUR), ("m", _MINUTE)):
        found += f"{whole * _MINUTE // size}{unit}" if whole * _MINUTE >= size else ""
        whole = whole * _MINUTE % size // _MINUTE
    rest = seconds % _MINUTE
    return f"{found}{figures(rest, digits)}s" if rest or not found else found


def _of_calendar(at: float) -> float:
    """Returns the nearest time that a calendar has: others write any number."""
    return min(max(at, _FIRST), _LAST) if at == at else 0.0  # not a number is no time


def ago(at: float | None, now: float | None = None) -> str:
    """Returns `12s ago`, `3h ago`; the date (UTC) from 30 days on; empty for None."""
    if at is None:
        return ""
    seconds = max(0.0, (time.time() if now is None else now) - at)
    for limit, unit, size in ((_MINUTE, "s", 1), (_HOUR, "m", _MINUTE), (_DAY, "h", _HOUR), (30 * _DAY, "d", _DAY)):
        if seconds < limit:
            return f"{int(seconds / size)}{unit} ago"
    return datetime.fromtimestamp(_of_calendar(at), UTC).strftime("%Y-%m-%d")


def age(at: float | None, now: float) -> str:
    """Returns `now`, `<1m`, `3m`, `2h`, `9d`, `4mo`: coarse, so that a quiet screen does not change every second."""
    if at is None:
        return ""
    seconds = max(0, int(now - at))
    if seconds < _MINUTE:
        return "now" if seconds < 10 else "<1m"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE}m"
    if seconds < _DAY:
        return f"{seconds // _HOUR}h"
    if seconds < _DAY * 60:
        return f"{seconds // _DAY}d"
    return f"{seconds // (_DAY * 30)}mo"


def when(at: float | None, now: float | None = None) -> str:
    """Returns the local date and time; only the time on the same day."""
    if at is None:
        return ""
    local = time.localtime(_of_calendar(at))
    if now is not None and time.localtime(now)[:3] == local[:3]:
        return time.strftime("%H:%M:%S", local)
    return time.strftime("%Y-%m-%d %H:%M", local)


def local(at: float | None) -> str:
    """Returns the local date and time to the minute, with the name of the zone; empty for None."""
    return "" if at is None else time.strftime("%Y-%m-%d %H:%M %Z", time.localtime(_of_calendar(at))).rstrip()


def until(at: float, now: float) -> str:
    """Returns `in 12s`, `in 3h`, `in 9d`."""
    seconds = max(0.0, at - now)
    for limit, unit, size in ((_MINUTE, "s", 1), (_HOUR, "m", _MINUTE), (_DAY, "h", _HOUR)):
        if seconds < limit:
            return f"in {int(seconds / size)}{unit}"
    return f"in {int(seconds / _DAY)}d"


def moment(at: float | None) -> str | None:
    """Returns the time as every JSON field has it: ISO 8601 in UTC with milliseconds."""
    if at is None:
        return None
    return datetime.fromtimestamp(_of_calendar(at), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def number(value: float | None) -> str:
    """Returns at most four significant figures, without trailing noise; a dash for None."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return "NaN" if value != value else f"{value}"
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    if abs(value) >= 1000:
        return f"{value:,.0f}" if abs(value) < 1e7 else f"{value:.2e}"
    return f"{value:.4f}" if abs(value) < 10 and abs(value) >= 0.001 else f"{value:.4g}"


def figures(value: float, digits: int) -> str:
    """Returns a number with at most so many figures and no noise: `5`, `0.05`, `1,234,567`."""
    return f"{value:,.0f}" if 10**digits - 0.5 <= abs(value) < 1e15 else f"{value:.{digits}g}"


def milliseconds(seconds: float) -> str:
    """Returns a time as `0.8 ms`, `55.9 ms`, `1,000 ms`: three significant figures, and all before the point."""
    value = seconds * 1000
    return f"{value:.3g} ms" if value < 999.5 else f"{value:,.0f} ms"


def figure(value: object) -> str:
    """Returns a metric or parameter of any type: a float as `number` formats it, empty for None."""
    if value is None:
        return ""
    return number(value) if isinstance(value, float) else str(value)


def signed(value: float) -> str:
    """Returns a difference with its sign, in four figures."""
    return f"{'-' if value < 0 else '+'}{number(abs(value))}"


def signal(name: str, value: float | None) -> str:
    """Returns a live signal in its unit."""
    if value is None:
        return "–"
    if name == "requests":
        return f"{value:.0f}/s" if value >= 10 else f"{value:.1f}/s"
    if name in ("error_rate", "cpu"):
        return f"{value * 100:.1f} %" if value < 0.1 or name == "error_rate" else f"{value * 100:.0f} %"
    if name.startswith("latency"):
        return f"{value * 1000:.1f} ms" if value < 0.1 else f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"
    if name == "memory":
        return size(value)
    return number(value)


def size(value: float) -> str:
    """Returns bytes as `812 B`, `12 kB`, `3.4 MB`, `1.2 GB`: powers of 1000, as engines and registries count."""
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit in ("B", "kB") or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return ""


def exact_size(value: float, digits: int) -> str:
    """Returns bytes as `812 B`, `1.25 GB`, and beside it what was written in powers of 1024: `524.3 MB (500 MiB)`."""
    amount, unit = value, "B"
    for larger in ("kB", "MB", "GB"):
        if amount >= 1000:
            amount, unit = amount / 1000, larger
    found = f"{figures(amount, digits)} {unit}"
    for size, name in ((1 << 30, "GiB"), (1 << 20, "MiB")):
        if value and value % size == 0:
            return f"{found} ({int(value // size):,} {name})"
    return found


def narrow_size(value: float) -> str:
    """Returns bytes in at most five cells: `0`, `812`, `12k`, `3.4M`, `612M`, `1.2G`."""
    for unit in ("", "k", "M", "G"):
        if value < 999.5 or unit == "G":
            return f"{value:.1f}{unit}" if unit and value < 9.95 else f"{value:.0f}{unit}"
        value /= 1000
    return ""


def narrow_share(value: float) -> str:
    """Returns a share of one core in at most five cells."""
    return f"{value * 100:.1f}%" if value < 0.0995 else f"{value * 100:.0f}%"


def count(value: int, noun: str, plural: str = "") -> str:
    """Returns `1 run`, `1,204 runs`."""
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"


def short_commit(commit: str, *, dirty: bool = False) -> str:
    """Returns nine characters of a commit, with a `+` if the work tree had changes."""
    return commit[:9] + ("+" if dirty and commit else "")
