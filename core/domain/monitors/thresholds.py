"""What an alert compares its monitor's value with, in words and in the monitor's unit: the same for monitors, for
alerts and for whoever is told."""

from __future__ import annotations

from ..project import AlertRule, MonitorSpec
from ..text import measures


def threshold(rule: AlertRule, monitor: MonitorSpec, critical: float | None = None) -> str:
    """Returns `above 5 %`, `below 3d`, `above 0.31 (false alarms 1/month)`. `critical` is a measurement's own value,
    which a rate of false alarms is judged by; without one the rate alone is told."""
    if rule.false_alarms is not None:
        rate = f"false alarms {rate_words(rule.false_alarms)}"
        return rate if critical is None else f"above {measures.limit(monitor.kind, monitor.measure, critical)} ({rate})"
    if rule.above is not None:
        band = f" ({rule.band})" if rule.band else ""
        return f"above {measures.limit(monitor.kind, monitor.measure, rule.above)}{band}"
    return f"below {measures.limit(monitor.kind, monitor.measure, rule.below)}"


def rate_words(rate: float) -> str:
    """Returns a rate of times a day as `1/month`, `2/week`, `0.5/year`: by the first of them that is a whole number."""
    for days, name in ((1.0, "day"), (7.0, "week"), (30.0, "month"), (365.0, "year")):
        if abs(rate * days - round(rate * days)) < 1e-9 and round(rate * days):
            return f"{round(rate * days)}/{name}"
    return f"{rate * 30:.3g}/month"
