"""How monitors are, for people: what each measures, its last measurement, when the next one comes."""

from __future__ import annotations

from collections.abc import Sequence

from ..domain.monitoring import WORST_FIRST, AlertState, MonitorKind, MonitorStatus
from ..domain.monitors.thresholds import threshold
from ..domain.project import AlertRule, MonitorSpec, Project
from ..domain.text.format import exact_duration
from ..journal import Journal
from .evaluate import next_time


def status(project: Project, journal: Journal, monitor: MonitorSpec, *, watched: bool) -> MonitorStatus:
    """Returns how a monitor is; `watched` says whether an agent runs that will evaluate it again."""
    rules = [each for each in project.alerts.values() if each.monitor == monitor.name]
    return MonitorStatus(
        name=monitor.name,
        environment=monitor.environment,
        kind=monitor.kind,
        what=what(monitor),
        measure=monitor.measure,
        last=journal.measurements.latest(monitor.name),
        next=next_time(journal, monitor) if watched else None,
        thresholds=tuple(threshold(rule, monitor) for rule in rules),
        alerts=tuple(each.name for each in rules),
        state=_state(journal, rules),
    )


def _state(journal: Journal, rules: Sequence[AlertRule]) -> AlertState | None:
    """Returns the worst state of alerts, as they were judged last; None without alerts."""
    if not rules:
        return None
    standing = [journal.alert_states.get(each.name) for each in rules]
    states = [each.status.state for each in standing if each is not None]
    return min(states, key=WORST_FIRST.index, default=AlertState.NO_DATA)


def what(monitor: MonitorSpec) -> str:
    """Returns in words what a monitor measures."""
    if monitor.kind is MonitorKind.SIGNAL:
        return f"{monitor.measure} over {exact_duration(monitor.window or 0.0)}"
    if monitor.kind is MonitorKind.DRIFT:
        return f"{monitor.measure} of {monitor.of} from {reference(monitor)}"
    if monitor.kind is MonitorKind.DATA:
        kind = "any violation" if monitor.measure == "any" else monitor.measure
        return f"{kind} beside {reference(monitor)}"
    if monitor.kind is MonitorKind.QUALITY:
        return f"{monitor.measure} on labelled requests"
    if monitor.kind is MonitorKind.ESTIMATE:
        return f"{monitor.measure}, estimated"
    if monitor.kind is MonitorKind.LABELS:
        told = "share of requests with a label" if monitor.measure == "share" else "time from a request to its label"
        return f"{told}, over {exact_duration(monitor.window or 0.0)}"
    if monitor.kind is MonitorKind.INFRA:
        return f"drift of {monitor.measure}"
    if monitor.kind is MonitorKind.FRESHNESS:
        return "age of the model" if monitor.measure == "model" else f"age of {monitor.path}"
    return monitor.measure


def reference(monitor: MonitorSpec) -> str:
    """Returns in words what a monitor compares with."""
    wanted = monitor.reference
    if wanted.first:
        return f"the first {wanted.first:,} requests"
    if wanted.same:
        return f"the same {wanted.same}"
    return f"gate {wanted.gate}" if wanted.gate else wanted.file
