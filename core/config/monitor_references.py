"""Checks of a monitor's keys, and of an alert's threshold or rate, that need more than one of them."""

from __future__ import annotations

from .. import plugins
from ..domain.metrics import FACTS
from ..domain.monitoring import MonitorKind
from ..domain.project import MonitorSpec, Project
from .kinds import unit_of
from .reader import Reader, Record
from .sections import join

_DAY = 86_400.0
# Of all evaluations: what rings more often is no alarm.
_MOST = 0.5
_TIMES = (
    *((MonitorKind.SIGNAL, name) for name in ("latency_p50", "latency_p95", "latency_p99", "no_traffic")),
    *((MonitorKind.FRESHNESS, name) for name in ("model", "data")),
    (MonitorKind.LABELS, "delay"),
)
_SHARES = ((MonitorKind.SIGNAL, "error_rate"), (MonitorKind.LABELS, "share"))
# What measures of drift cannot exceed: of Jensen and Shannon's distance that is the root of ln 2.
_LARGEST = {"js": 0.8326, "ks": 1.0}
_SAYS = {"time": "a length of time", "size": "a size", "share": "a share"}
_WRITE = {"time": "50ms, 5m or 30d", "size": "500MB or 2g", "": "0.01 or 1%"}


def check_monitor(record: Record, project: Project, reader: Reader) -> None:
    """Notes a metric that no gate knows, and predictions where there are none."""
    name = record.get("infra")
    if isinstance(name, str) and name not in project.infra:
        hint = reader.suggest(name, project.infra) or "there is no infrastructure in this file"
        reader.problem(record.at("infra"), join(record.path, "infra"), f"unknown infrastructure `{name}`", hint)
    metric = record.get("quality")
    if isinstance(metric, str) and metric not in FACTS and metric not in plugins.added("metrics"):
        hint = reader.suggest(metric, FACTS) or f"a gate knows {', '.join(FACTS)}"
        reader.problem(record.at("quality"), join(record.path, "quality"), f"unknown metric `{metric}`", hint)
    reference: Record | str | None = record.get("reference")
    if isinstance(reference, Record) and reference.has("gate") and record.get("of") == "predictions":
        words = "a gate's data has no predictions"
        reader.problem(reference.node, join(record.path, "reference"), words, "compare with {first: 1000}")


def check_condition(record: Record, project: Project, reader: Reader) -> None:
    """Notes what makes an alert fire and does not fit its monitor."""
    monitor = project.monitors.get(record.get("monitor", ""))
    if monitor is not None:
        _rate(record, monitor, reader)
        _band(record, monitor, reader)
        _threshold(record, monitor, reader)


def _band(record: Record, monitor: MonitorSpec, reader: Reader) -> None:
    """Notes the name of a band of PSI where something else is measured."""
    band = record.get("above")
    if not isinstance(band, str) or (monitor.kind, monitor.measure) == (MonitorKind.DRIFT, "psi"):
        return
    words = f"`{band}` is a band of psi, and `{monitor.name}` measures {monitor.measure}"
    rate = ", or false_alarms: 1/month instead of above" if monitor.kind is MonitorKind.DRIFT else ""
    reader.problem(record.at("above"), join(record.path, "above"), words, f"say a number{rate}")


def _rate(record: Record, monitor: MonitorSpec, reader: Reader) -> None:
    """Notes a rate of false alarms of what has none, and one that half of all evaluations would keep."""
    rate = record.get("false_alarms")
    if not isinstance(rate, float):
        return
    node, path = record.at("false_alarms"), join(record.path, "false_alarms")
    if monitor.kind is not MonitorKind.DRIFT:
        reader.problem(node, path, "only a monitor of drift finds its own critical value", "say above or below")
    elif rate * monitor.every / _DAY > _MOST:
        words = f"is more often than every second evaluation of `{monitor.name}`"
        reader.problem(node, path, words, "lower the rate, or `every` of the monitor")


def _threshold(record: Record, monitor: MonitorSpec, reader: Reader) -> None:
    """Notes an `above` or `below` in another unit than the monitor's, and one that no value is beyond, such as 5 where
    5% was meant."""
    for word in ("above", "below"):
        value = record.get(word)
        if not isinstance(value, float):
            continue
        node, unit = record.at(word), _unit(monitor)
        text = str(reader.text(node, join(record.path, word)))
        said = unit_of(text)
        if said and said != unit and (unit or said != "share"):
            words = f"`{text}` is {_SAYS[said]}, and `{monitor.name}` measures {monitor.measure}"
            reader.problem(node, join(record.path, word), words, f"write {_WRITE[unit]}")
        elif found := _never(word, value, monitor):
            reader.problem(node, join(record.path, word), f"no value is {word} `{text}`", found)


def _never(word: str, value: float, monitor: MonitorSpec) -> str:
    """Returns why no value is beyond a threshold; empty if one may be."""
    lowest, highest = _range(monitor)
    if word == "above" and highest is not None and value >= highest:
        meant = f": write {value:g}% or {value / 100:g}" if highest == 1 <= value <= 100 else ""
        return f"{monitor.measure} is never above {highest:g}{meant}"
    if word == "below" and lowest is not None and value <= lowest:
        return f"{monitor.measure} is never below {lowest:g}"
    return ""


def _unit(monitor: MonitorSpec) -> str:
    """Returns `time`, `size`, or nothing for numbers and shares."""
    measured = (monitor.kind, monitor.measure)
    return "time" if measured in _TIMES else "size" if measured == (MonitorKind.SIGNAL, "memory") else ""


def _range(monitor: MonitorSpec) -> tuple[float | None, float | None]:
    """Returns the smallest and the largest value that there can be; None where there is none."""
    if monitor.kind in (MonitorKind.QUALITY, MonitorKind.ESTIMATE):
        facts = FACTS.get(monitor.measure)
        return (facts.lowest, facts.highest) if facts is not None else (None, None)
    if monitor.kind is MonitorKind.DATA or (monitor.kind, monitor.measure) in _SHARES:
        return 0.0, 1.0
    return 0.0, _LARGEST.get(monitor.measure) if monitor.kind is MonitorKind.DRIFT else None
