"""Checks of a monitor's keys, and of an alert's rate, that need more than one of them."""

from __future__ import annotations

from .. import plugins
from ..domain.metrics import FACTS
from ..domain.monitoring import MonitorKind
from ..domain.project import MonitorSpec, Project
from .reader import Reader, Record
from .sections import join

_DAY = 86_400.0
# Of all evaluations: what rings more often is no alarm.
_MOST = 0.5


def check_monitor(record: Record, project: Project, reader: Reader) -> None:
    """Notes a metric that no gate knows, and predictions where there are none."""
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
