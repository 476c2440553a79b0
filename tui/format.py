"""Times, sizes and figures in words that line up in columns."""

from __future__ import annotations

import math
import time


def duration(seconds: float | None) -> str:
    """`0.4s`, `12s`, `3m05s`, `2h10m`, `4d02h`; empty for None."""
    if seconds is None:
        return ""
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"


def ago(at: float | None, now: float) -> str:
    """How long ago, coarsely: it must not change every second on a quiet screen."""
    if at is None:
        return ""
    seconds = max(0, int(now - at))
    if seconds < 60:
        return "now" if seconds < 10 else "<1m"
    if seconds < 3600:
        return f"{seconds // 60}m"
    if seconds < 86400:
        return f"{seconds // 3600}h"
    if seconds < 86400 * 60:
        return f"{seconds // 86400}d"
    return f"{seconds // (86400 * 30)}mo"


def when(at: float | None, now: float | None = None) -> str:
    """Local date and time; only the time on the same day."""
    if at is None:
        return ""
    local = time.localtime(at)
    if now is not None and time.localtime(now)[:3] == local[:3]:
        return time.strftime("%H:%M:%S", local)
    return time.strftime("%Y-%m-%d %H:%M", local)


def number(value: float | None) -> str:
    """Four significant figures at most, without noise."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return "NaN" if value != value else f"{value}"
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    if abs(value) >= 1000:
        return f"{value:,.0f}" if abs(value) < 1e7 else f"{value:.2e}"
    return f"{value:.4f}" if abs(value) < 10 and abs(value) >= 0.001 else f"{value:.4g}"


def signed(value: float) -> str:
    return f"{value:+.4f}" if abs(value) < 100 else f"{value:+,.0f}"


def signal(name: str, value: float | None) -> str:
    """A live signal in the unit that people say it in."""
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
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit in ("B", "kB") or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return ""


def share(value: float) -> str:
    """Of one core, in at most five cells."""
    return f"{value * 100:.1f}%" if value < 0.0995 else f"{value * 100:.0f}%"


def brief(value: float) -> str:
    """Bytes in at most five cells: `0`, `812`, `12k`, `3.4M`, `612M`, `1.2G`."""
    for unit in ("", "k", "M", "G"):
        if value < 999.5 or unit == "G":
            return f"{value:.1f}{unit}" if unit and value < 9.95 else f"{value:.0f}{unit}"
        value /= 1000
    return ""


def count(value: int, noun: str, plural: str = "") -> str:
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"
