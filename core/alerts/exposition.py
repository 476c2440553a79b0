"""What the agent shows an existing Prometheus: signals, measurements, alerts and its own health."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from ..domain.frozen import Frozen
from ..domain.project import Project
from ..journal import Journal
from ..version import VERSION
from .sender import sinks
from .standing import statuses

SIGNAL_SECONDS = 10.0
"""A signal is the mean of the samples of this time; without any there is no series."""


class Family(Frozen):
    """The series of one name."""

    name: str
    help: str


# Every series that there is; the dashboard in examples/grafana/ names only these.
_SIGNALS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "requests": ("podium_requests_per_second", {}),
    "error_rate": ("podium_error_ratio", {}),
    "latency_p50": ("podium_latency_seconds", {"percentile": "50"}),
    "latency_p95": ("podium_latency_seconds", {"percentile": "95"}),
    "latency_p99": ("podium_latency_seconds", {"percentile": "99"}),
    "cpu": ("podium_cpu_cores", {}),
    "memory": ("podium_memory_bytes", {}),
}
FAMILIES: tuple[Family, ...] = (
    Family("podium_info", "The version of Podium; always 1."),
    Family("podium_agent_start_time_seconds", "When the agent started, since the epoch."),
    Family("podium_agent_heartbeat_timestamp_seconds", "When the agent's main loop was last seen, since the epoch."),
    Family("podium_agent_troubles", "How many things the agent cannot do at present."),
    Family("podium_serving_version", "The version that an environment should serve."),
    Family("podium_requests_per_second", "Requests that an environment answers."),
    Family("podium_error_ratio", "Share of requests that fail, 0 to 1."),
    Family("podium_latency_seconds", "Time from a request to its answer, by percentile."),
    Family("podium_cpu_cores", "CPU that an environment's replicas use."),
    Family("podium_memory_bytes", "Memory that an environment's replicas use."),
    Family("podium_monitor_value", "What a monitor measured last; absent where that had no value."),
    Family("podium_monitor_low", "Lower bound of the interval of what a monitor measured last."),
    Family("podium_monitor_high", "Upper bound of the interval of what a monitor measured last."),
    Family("podium_monitor_critical", "The value beyond which a monitor's alerts at a stated rate fire."),
    Family("podium_monitor_rows", "How many requests a monitor measured last."),
    Family("podium_monitor_timestamp_seconds", "When a monitor measured last, since the epoch."),
    Family("podium_alerts", "Alerts by name and state; 1 for the state that an alert is in."),
    Family("podium_alert_absent", "1 while there is no data for an alert, whatever its state."),
    Family("podium_sink_waiting", "Messages about alerts that wait for a sink."),
    Family("podium_sink_failed", "Messages about alerts that were given up."),
)

Sample: TypeAlias = tuple[str, Mapping[str, str], float]


def exposition(project: Project, journal: Journal, now: float) -> str:
    """Returns the series in Prometheus' text format; `now` is in seconds since the epoch."""
    found: dict[str, list[str]] = {each.name: [] for each in FAMILIES}
    for name, labels, value in _samples(project, journal, now):
        found[name].append(f"{name}{_labels(labels)} {number(value)}")
    parts = [
        f"# HELP {each.name} {each.help}\n# TYPE {each.name} gauge\n"
        + "".join(f"{line}\n" for line in found[each.name])
        for each in FAMILIES
        if found[each.name]
    ]
    return "".join(parts)


def _samples(project: Project, journal: Journal, now: float) -> Iterator[Sample]:
    yield from _of_agent(project, journal)
    for name in project.environments:
        yield from _of_environment(journal, name, now)
    for name, monitor in project.monitors.items():
        yield from _of_monitor(journal, name, monitor.environment)
    yield from _of_alerts(project, journal, now)
    for sink in sinks(project, journal):
        labels = {"sink": sink.name, "kind": sink.kind}
        yield "podium_sink_waiting", labels, sink.waiting
        yield "podium_sink_failed", labels, sink.failed


def _of_agent(project: Project, journal: Journal) -> Iterator[Sample]:
    agent = journal.agent.status()
    yield "podium_info", {"version": VERSION, "project": project.name}, 1
    if agent.started is not None and agent.heartbeat is not None:
        yield "podium_agent_start_time_seconds", {}, agent.started
        yield "podium_agent_heartbeat_timestamp_seconds", {}, agent.heartbeat
    yield "podium_agent_troubles", {}, len(agent.troubles)


def _of_environment(journal: Journal, name: str, now: float) -> Iterator[Sample]:
    current = journal.ledger.current(name)
    if current is not None:
        yield "podium_serving_version", {"environment": name}, current.to_version
    for signal, (family, labels) in _SIGNALS.items():
        series = journal.samples.series(name, signal, start=now - SIGNAL_SECONDS, end=now, points=int(SIGNAL_SECONDS))
        seen = [each for each in series.values if each is not None]
        if seen:
            yield family, {"environment": name, **labels}, sum(seen) / len(seen)


def _of_monitor(journal: Journal, name: str, environment: str) -> Iterator[Sample]:
    last = journal.measurements.latest(name)
    if last is None:
        return
    labels = {"monitor": name, "environment": environment, "kind": last.kind.value}
    values = {"value": last.value, "low": last.low, "high": last.high, "critical": last.critical}
    for part, value in values.items():
        if value is not None:
            yield f"podium_monitor_{part}", labels, value
    yield "podium_monitor_rows", labels, last.rows
    yield "podium_monitor_timestamp_seconds", labels, last.at


def _of_alerts(project: Project, journal: Journal, now: float) -> Iterator[Sample]:
    for status in statuses(project, journal, now):
        labels = {
            **{f"label_{name}": text for name, text in status.labels.items()},
            "alertname": status.name,
            "environment": status.environment,
            "monitor": status.monitor,
            "severity": status.severity,
        }
        yield "podium_alerts", {**labels, "alertstate": status.state.value}, 1
        yield "podium_alert_absent", {"alertname": status.name, "environment": status.environment}, int(status.absent)


def number(value: float) -> str:
    """Returns a value as the format has it: `NaN` and `+Inf` are values there."""
    if math.isfinite(value):
        return repr(float(value))
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{escaped(text)}"' for name, text in labels.items()) + "}" if labels else ""


def escaped(text: str) -> str:
    """Returns a label's value as the format has it."""
    whole = text.encode("utf-8", "replace").decode()
    return whole.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
