"""Writes what monitors measured, in the unit of what was measured."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ..monitoring import ColumnMeasurement, Measurement, MonitorKind
from .format import duration, exact_duration, exact_size, figures, number, signal

# Figures of a threshold, and of a value that reads the same as its threshold with fewer of them.
_FIGURES, _MORE_FIGURES = 4, (4, 6, 9, 17)
_BARS = "▁▂▃▄▅▆▇█"


def value(kind: MonitorKind, measure: str, amount: float | None) -> str:
    """Returns a value of a monitor: a share in per cent, an age as a length of time, a distance as a number."""
    if amount is None or not math.isfinite(amount):
        return number(amount)
    if kind is MonitorKind.SIGNAL and measure not in ("restarts", "no_traffic"):
        return signal(measure, amount)
    if _is_time(kind, measure):
        return duration(amount)
    if kind in (MonitorKind.DATA, MonitorKind.LABELS):
        return f"{amount * 100:.3g} %"
    if kind is MonitorKind.INFRA:
        return f"{amount:.0f}"
    return number(amount)


def limit(kind: MonitorKind, measure: str, amount: float | None, digits: int = _FIGURES) -> str:
    """Returns what a value is compared with, in its unit and as podium.yaml would say it: `5 %`, `500 ms`, `3d`. Unlike
    a value it is not rounded to what is read at a glance: 0.05 % is not 0.1 %."""
    if amount is None or not math.isfinite(amount):
        return number(amount)
    if _is_time(kind, measure):
        return exact_duration(amount, digits)
    if kind in (MonitorKind.DATA, MonitorKind.LABELS) or measure in ("error_rate", "cpu"):
        return f"{figures(amount * 100, digits)} %"
    if kind is not MonitorKind.SIGNAL:
        return figures(amount, digits)
    if measure == "memory":
        return exact_size(amount, digits)
    if measure.startswith("latency"):
        return f"{figures(amount * 1000, digits)} ms" if amount < 1 else f"{figures(amount, digits)} s"
    return f"{figures(amount, digits)}{'/s' if measure == 'requests' else ''}"


def beside(kind: MonitorKind, measure: str, amount: float | None, threshold: float | None) -> str:
    """Returns a value that is told with its threshold: with as many figures as it takes to read otherwise than that, so
    that no `5 %` is above `5 %`."""
    found = value(kind, measure, amount)
    if threshold is None or amount == threshold or found != value(kind, measure, threshold):
        return found
    told = limit(kind, measure, threshold)
    exact = (limit(kind, measure, amount, digits) for digits in _MORE_FIGURES)
    return next((each for each in exact if each != told), found)


def _is_time(kind: MonitorKind, measure: str) -> bool:
    return kind is MonitorKind.FRESHNESS or measure in ("no_traffic", "delay")


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
