"""Writes what monitors measured, in the unit of what was measured."""

from __future__ import annotations

from collections.abc import Sequence

from ..monitoring import Measurement, MonitorKind
from .format import duration, number, signal

_BARS = "▁▂▃▄▅▆▇█"


def value(kind: MonitorKind, measure: str, amount: float | None) -> str:
    """Returns a value of a monitor: a share in per cent, an age as a length of time, a distance as a number."""
    if amount is None:
        return "–"
    if kind is MonitorKind.SIGNAL and measure not in ("restarts", "no_traffic"):
        return signal(measure, amount)
    if kind is MonitorKind.FRESHNESS or measure in ("no_traffic", "delay"):
        return duration(amount)
    if kind in (MonitorKind.DATA, MonitorKind.LABELS):
        return f"{amount * 100:.3g} %"
    return number(amount)


def interval(measurement: Measurement, measure: str) -> str:
    """Returns the 95 % interval of a value; empty if it has none."""
    low, high = measurement.low, measurement.high
    if low is None or high is None:
        return ""
    return f"{value(measurement.kind, measure, low)} … {value(measurement.kind, measure, high)}"


def bars(shares: Sequence[float], most: float = 0.0) -> str:
    """Returns shares as a row of bars; `most` is what a full bar stands for, the largest share by default."""
    top = most or max(shares, default=0.0)
    if top <= 0:
        return _BARS[0] * len(shares)
    return "".join(_BARS[min(len(_BARS) - 1, round(share / top * (len(_BARS) - 1)))] for share in shares)
