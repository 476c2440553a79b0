"""Writes what monitors measured, in the unit of what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..monitoring import ColumnMeasurement, Measurement, MonitorKind
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
    if kind is MonitorKind.INFRA:
        return f"{amount:.0f}"
    return number(amount)


def interval(measurement: Measurement, measure: str) -> str:
    """Returns the 95 % interval of a value; empty if it has none."""
    low, high = measurement.low, measurement.high
    if low is None or high is None:
        return ""
    return f"{value(measurement.kind, measure, low)} … {value(measurement.kind, measure, high)}"


def by_weight(columns: Iterable[ColumnMeasurement]) -> tuple[ColumnMeasurement, ...]:
    """Returns columns as people look at them: the least likely by chance first, then the farthest away, and last what
    could not be measured."""

    def weight(each: ColumnMeasurement) -> tuple[bool, float, float]:
        return each.value is None, each.p_value if each.p_value is not None else 1.0, -(each.value or 0.0)

    return tuple(sorted(columns, key=weight))


def bars(shares: Sequence[float], most: float = 0.0) -> str:
    """Returns shares as a row of bars; `most` is what a full bar stands for, the largest share by default."""
    top = most or max(shares, default=0.0)
    if top <= 0:
        return _BARS[0] * len(shares)
    return "".join(_BARS[min(len(_BARS) - 1, round(share / top * (len(_BARS) - 1)))] for share in shares)
