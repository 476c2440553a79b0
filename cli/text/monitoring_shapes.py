"""The JSON that commands print of monitors, alerts, the feedback loop and labels; shapes.py has all other kinds, and
what holds for both."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ...core.domain.text.format import moment

if TYPE_CHECKING:
    from ...core.domain.labels import AddedLabels, Dispute, KeptRequest, LabelStatus
    from ...core.domain.monitoring import (
        AlertEvent,
        AlertStatus,
        ColumnMeasurement,
        LoopEntry,
        Measurement,
        MonitorStatus,
        Silence,
        SinkStatus,
    )
    from ...core.domain.monitors.badges import AlertBadge
    from ...core.domain.monitors.courses import Course


def badge(found: AlertBadge | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "worst": str(found.worst),
        "counts": {str(kind): number for kind, number in found.counts.items()},
        "absent": found.absent,
        "names": list(found.names),
        "words": found.words,
    }


def monitor(status: MonitorStatus) -> dict[str, Any]:
    last = status.last
    return {
        "name": status.name,
        "environment": status.environment,
        "kind": status.kind.value,
        "measure": status.measure,
        "what": status.what,
        "value": last.value if last is not None else None,
        "low": last.low if last is not None else None,
        "high": last.high if last is not None else None,
        "critical": last.critical if last is not None else None,
        "message": last.message if last is not None else "",
        "at": moment(last.at) if last is not None else None,
        "next": moment(status.next),
        "thresholds": list(status.thresholds),
        "alerts": list(status.alerts),
        "state": status.state.value if status.state is not None else None,
    }


def measurement(found: Measurement) -> dict[str, Any]:
    return {
        "monitor": found.monitor,
        "environment": found.environment,
        "kind": found.kind.value,
        "at": moment(found.at),
        "value": found.value,
        "start": moment(found.start),
        "end": moment(found.end),
        "rows": found.rows,
        "low": found.low,
        "high": found.high,
        "critical": found.critical,
        "p_value": found.p_value,
        "baseline": found.baseline,
        "version": found.version,
        "columns": [measured_column(each) for each in found.columns],
        "warnings": list(found.warnings),
        "message": found.message,
    }


def measured_column(column: ColumnMeasurement) -> dict[str, Any]:
    drawn = column.histogram
    return {
        "column": column.column,
        "value": column.value,
        "critical": column.critical,
        "p_value": column.p_value,
        "message": column.message,
        "histogram": None
        if drawn is None
        else {
            "reference": list(drawn.reference),
            "current": list(drawn.current),
            "edges": list(drawn.edges),
            "names": list(drawn.names),
        },
    }


def course_of(found: Course) -> dict[str, Any]:
    """What a monitor measured before, without columns, and the versions that began to serve meanwhile."""
    kept = ("at", "value", "low", "high", "critical", "baseline", "version", "rows")
    return {
        "course": [{name: each for name, each in measurement(one).items() if name in kept} for one in found.past],
        "deployments": [
            {"at": moment(each.at), "how": each.how.value, "version": each.version} for each in found.marks
        ],
    }


def alert(status: AlertStatus) -> dict[str, Any]:
    return {
        "name": status.name,
        "environment": status.environment,
        "monitor": status.monitor,
        "state": status.state.value,
        "since": moment(status.since),
        "severity": status.severity,
        "value": status.value,
        "shown": status.shown,
        "limit": status.limit,
        "threshold": status.threshold,
        "measured": moment(status.measured),
        "absent": status.absent,
        "episode": status.episode or None,
        "acknowledged": status.acknowledged,
        "silenced": status.silenced,
        "muted_until": moment(status.muted_until),
        "labels": dict(status.labels),
        "annotations": dict(status.annotations),
        "message": status.message,
    }


def alert_event(event: AlertEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        "name": event.name,
        "environment": event.environment,
        "monitor": event.monitor,
        "state": event.state,
        "at": moment(event.at),
        "value": event.value,
        "shown": event.shown,
        "limit": event.limit,
        "threshold": event.threshold,
        "severity": event.severity,
        "episode": event.episode or None,
        "started": moment(event.started),
        "labels": dict(event.labels),
        "annotations": dict(event.annotations),
        "message": event.message,
    }


def silence(one: Silence) -> dict[str, Any]:
    return {
        "id": one.id,
        "subject": one.subject,
        "who": one.who,
        "why": one.why,
        "at": moment(one.at),
        "until": moment(one.until),
        "ended": moment(one.ended),
    }


def sink(status: SinkStatus) -> dict[str, Any]:
    return {
        "name": status.name,
        "kind": status.kind,
        "waiting": status.waiting,
        "failed": status.failed,
        "oldest": moment(status.oldest),
        "attempts": status.attempts,
        "error": status.error,
        "last": moment(status.last),
    }


def loop(entry: LoopEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "alert": entry.alert,
        "environment": entry.environment,
        "pipeline": entry.pipeline,
        "episode": entry.episode,
        "at": moment(entry.at),
        "state": entry.state.value,
        "mode": entry.mode,
        "run": entry.run,
        "version": entry.version,
        "why": entry.why,
        "ended": moment(entry.ended),
    }


def label_status(status: LabelStatus) -> dict[str, Any]:
    return {
        "environment": status.environment,
        **asdict(status.counts),
        "proved": status.proved,
        "taken": status.taken,
        "clients": [{"name": each.name, **asdict(each.added), "last": moment(each.last)} for each in status.clients],
    }


def added_labels(added: AddedLabels) -> dict[str, int]:
    return asdict(added)


def kept_request(request: KeptRequest) -> dict[str, Any]:
    inputs = [dict(zip(request.columns, row, strict=True)) for row in request.inputs]
    return {
        "id": request.id,
        "at": moment(request.at),
        "version": request.version,
        "status": request.status,
        "predictions": _finite(list(request.predictions)),
        "labels": list(request.labels),
        "inputs": _finite(inputs) or None,
    }


def dispute(dispute: Dispute) -> dict[str, Any]:
    return {**asdict(dispute), "at": moment(dispute.at)}


def _finite(value: Any) -> Any:
    """Returns the value without numbers that JSON has not, which models answer all the same."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return {name: _finite(each) for name, each in value.items()} if isinstance(value, dict) else value
