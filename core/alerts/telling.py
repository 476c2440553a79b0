"""Who is told of what: changes of alerts become messages of the outbox.

Those of one environment that change within a short time are one message. Which events were told is a value of the
journal for each environment, written in the transaction that adds the messages: an agent that is killed at any moment
leaves each event either told once or still to be told.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..domain.monitoring import AlertEvent, Silence, Standing
from ..domain.project import Project, Sink
from ..domain.text.format import moment
from ..journal import Journal
from .evaluate import RESOLVED
from .standing import silencing

PREFIX = "alert:"
"""What receivers of these messages begin with; the sink's name follows."""
KIND = "alerts"
# Value of the journal, with the environment's name: the event up to which everybody was told.
_TOLD = "alerts told:"
FIRING = "firing"
# Changes in one message; more are further messages.
MAX_CHANGES = 50
# Bytes of the changes in one message, of which the outbox takes twice as many.
MAX_BYTES = 128 << 10


def tell(project: Project, journal: Journal, now: float) -> int:
    """Adds the messages that are due; returns how many. `now` is in seconds since the epoch. Of an environment that
    podium.yaml has no more, the end of what was told is still to be told."""
    gone = (key.removeprefix(_TOLD) for key in journal.values.all(_TOLD))
    names = dict.fromkeys((*project.environments, *gone))
    return sum(_tell(project, journal, name, now) for name in names)


def told_up_to(journal: Journal, environment: str) -> int:
    """Returns the event of an environment's alerts up to which everybody was told; 0 for none."""
    return int(journal.values.get(_TOLD + environment) or 0)


def _tell(project: Project, journal: Journal, environment: str, now: float) -> int:
    events = journal.alerts.after(told_up_to(journal, environment), environment)
    if events and not _due([each for each in events if each.state in (FIRING, RESOLVED)], project.notify.wait, now):
        return 0
    if not events and not _owed(journal, environment, now):
        return 0
    with journal.transaction():
        changes = list(_changes(journal, environment, events, now))
        messages = [each for sink in receivers(project) for each in _messages(project, sink, environment, changes)]
        for sink, body in messages:
            journal.outbox.add(PREFIX + sink, KIND, body)
        if events:
            journal.values.set(_TOLD + environment, str(events[-1].id))
    return len(messages)


def receivers(project: Project) -> list[Sink]:
    """Returns the sinks that messages are sent to; a terminal is not sent anything: the cockpit in it looks."""
    return [each for each in project.notify.sinks.values() if each.kind != "terminal"]


def _due(events: Sequence[AlertEvent], wait: float, now: float) -> bool:
    """Tells whether the first of the events has waited for others for long enough. One from the future was noted by a
    clock that has been put back since."""
    return not events or any(not now - wait < each.at <= now + wait for each in events)


def _owed(journal: Journal, environment: str, now: float) -> list[Standing]:
    """Returns the alerts that fire and that nobody was told of, because they were silenced, and are not any more."""
    held = [each for each in journal.alert_states.all().values() if each.untold and each.status.firing]
    mine = [each for each in held if each.status.environment == environment]
    silences = journal.silences.active(now) if mine else []
    return [each for each in mine if silencing(each.status, silences) is None]


def _changes(
    journal: Journal, environment: str, events: Sequence[AlertEvent], now: float
) -> Iterator[Mapping[str, Any]]:
    """Yields what is to be told, and notes what is not because of a silence. The end of an episode is told where its
    beginning was."""
    states, silences = journal.alert_states.all(), journal.silences.active(now)
    before = {name: each.untold for name, each in states.items()}
    untold = dict(before)
    for event in events:
        if event.state == FIRING:
            untold[event.name] = _silenced(event, silences)
            if not untold[event.name]:
                yield change_of(event)
        elif event.state == RESOLVED:
            if not untold.get(event.name, False):
                yield change_of(event)
            untold[event.name] = False
    for name, standing in states.items():
        kept = untold.get(name, False)
        owed = kept and standing.status.firing and standing.status.environment == environment
        if owed and silencing(standing.status, silences) is None:
            kept = False
            yield _still(standing)
        if kept != before[name]:
            journal.alert_states.put(replace(standing, untold=kept))


def _silenced(event: AlertEvent, silences: Sequence[Silence]) -> bool:
    from .standing import subject_of

    return any(each.subject in (event.name, subject_of(event.environment)) for each in silences)


def change_of(event: AlertEvent) -> dict[str, Any]:
    """Returns a change of an alert as it is told, in JSON."""
    return {
        "alert": event.name,
        "state": event.state,
        "at": moment(event.at),
        "started": moment(event.started),
        "environment": event.environment,
        "monitor": event.monitor,
        "severity": event.severity,
        "value": event.value,
        "shown": event.shown,
        "limit": event.limit,
        "threshold": event.threshold,
        "message": event.message,
        "labels": dict(event.labels),
        "annotations": dict(event.annotations),
        "episode": event.episode,
    }


def _still(standing: Standing) -> dict[str, Any]:
    return {**change_of_standing(standing), "message": "it still fires; its silence is over"}


def change_of_standing(standing: Standing) -> dict[str, Any]:
    """Returns an alert that fires, as it is told."""
    status = standing.status
    return change_of(
        AlertEvent(
            0,
            status.name,
            status.environment,
            status.monitor,
            FIRING,
            status.since,
            status.value,
            status.message,
            severity=status.severity,
            threshold=status.threshold,
            episode=status.episode,
            started=status.since,
            labels=status.labels,
            annotations=status.annotations,
            shown=status.shown,
            limit=status.limit,
        )
    )


def wanted(project: Project, sink: Sink, change: Mapping[str, Any]) -> bool:
    """Tells whether a sink is told of a change."""
    rule = project.alerts.get(change["alert"])
    named = rule is None or not rule.notify or sink.name in rule.notify
    return named and (sink.resolved or change["state"] != RESOLVED)


def _messages(
    project: Project, sink: Sink, environment: str, changes: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for part in _parts([each for each in changes if wanted(project, sink, each)]):
        yield sink.name, body_of(project, environment, part)


def _parts(changes: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Yields changes as they fit into messages, in their order."""
    part: list[Mapping[str, Any]] = []
    size = 0
    for each in changes:
        length = len(json.dumps(each))
        if part and (len(part) == MAX_CHANGES or size + length > MAX_BYTES):
            yield part
            part, size = [], 0
        part.append(each)
        size += length
    if part:
        yield part


def body_of(project: Project, environment: str, changes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns a message about changes of alerts, in JSON. Its status is that of the worst of them."""
    status = FIRING if any(each["state"] == FIRING for each in changes) else RESOLVED
    return {
        "version": 1,
        "project": project.name,
        "environment": environment,
        "status": status,
        "changes": [dict(each) for each in changes],
    }
