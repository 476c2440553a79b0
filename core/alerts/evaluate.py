"""The agent's job: brings every alert up to date with what was measured since.

The alerts, the events of what changed, and the measurement up to which that was done are one transaction: an agent that
is killed at any moment leaves all of them or none, so each measurement counts exactly once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..domain.monitoring import AlertEvent, Measurement, Standing
from ..domain.project import AlertRule, MonitorSpec, Project
from ..journal import Journal
from . import rules

# Value of the journal: the measurement up to which all alerts are judged.
SEEN = "alerts seen"
# Measurements that one look judges at most; the next look comes a second later.
MAX_MEASUREMENTS = 1000
RESOLVED = "resolved"
# The message of an alert that is over because podium.yaml has it no more, or has it of another monitor.
TAKEN_OUT = "podium.yaml has no such alert any more"


def evaluate(project: Project, journal: Journal, now: float) -> list[AlertEvent]:
    """Judges every alert by the measurements that are new, in their order; returns what changed. `now` is in seconds
    since the epoch. Cheap where nothing was measured and no rule has changed."""
    if _up_to_date(project, journal, now):
        return []
    with journal.transaction():
        before = journal.alert_states.all()
        seen = _seen(journal)
        new = journal.measurements.after(seen, MAX_MEASUREMENTS)
        judging = _Judging(journal, {name: each for name, each in before.items() if _kept(project, each)}, now)
        gone = [_over(each) for name, each in before.items() if name not in judging.standing]
        events = [journal.alerts.add(each) for each in gone if each is not None]
        for rule in project.alerts.values():
            judging.begin(rule, project.monitors[rule.monitor], seen)
        by_monitor = _by_monitor(project)
        for number, measured in new:
            for rule in by_monitor.get(measured.monitor, ()):
                judging.judge(rule, project.monitors[rule.monitor], number, measured)
        for rule in project.alerts.values():
            judging.miss(rule, project.monitors[rule.monitor].every)
        for name in before.keys() - judging.standing.keys():
            journal.alert_states.remove(name)
        events += judging.store(before)
        if new or journal.values.get(SEEN) is None:
            journal.values.set(SEEN, str(new[-1][0] if new else seen))
    return events


class _Judging:
    """The alerts while they are judged."""

    def __init__(self, journal: Journal, standing: dict[str, Standing], now: float) -> None:
        self._journal, self._now = journal, now
        self.standing = standing
        self._events: list[AlertEvent] = []

    def begin(self, rule: AlertRule, monitor: MonitorSpec, seen: int) -> None:
        """Brings an alert up to date with its rule. One that is new is judged by what was measured last."""
        known = self.standing.get(rule.name)
        if known is not None:
            self.standing[rule.name] = replace(known, status=rules.described(rule, known.status))
            return
        self.standing[rule.name] = rules.begin(rule, monitor, self._now)
        latest = self._journal.measurements.newest(rule.monitor, up_to=seen)
        if latest is not None:
            self.judge(rule, monitor, *latest)

    def judge(self, rule: AlertRule, monitor: MonitorSpec, number: int, measured: Measurement) -> None:
        """Judges one alert by one measurement. An event is stored at once, so that an alert which fires knows it."""
        before = self.standing[rule.name]
        if measured.environment != before.status.environment:
            return  # what the monitor watched before
        self._go_on(before, rules.step(rule, monitor, before, number, measured))

    def miss(self, rule: AlertRule, every: float) -> None:
        """Notes that the alert's monitor, which measures every so many seconds, does so no more."""
        before = self.standing[rule.name]
        if rules.missed(before, every, self._now):
            self._go_on(before, rules.without(before, self._now))

    def _go_on(self, before: Standing, after: Standing) -> None:
        event = changed(before, after)
        if event is not None:
            stored = self._journal.alerts.add(event)
            self._events.append(stored)
            if after.status.firing:
                after = replace(after, status=replace(after.status, episode=stored.id))
        self.standing[after.status.name] = after

    def store(self, before: Mapping[str, Standing]) -> list[AlertEvent]:
        """Stores the alerts that differ from before; returns the events."""
        for name, each in self.standing.items():
            if before.get(name) != each:
                self._journal.alert_states.put(each)
        return self._events


def changed(before: Standing, after: Standing) -> AlertEvent | None:
    """Returns the event of a change of state, with an id of 0; None if the state is the same."""
    old, new = before.status, after.status
    if old.state is new.state:
        return None
    if old.firing:
        return _event(after, RESOLVED, new.since, old.episode, old.since, before)
    return _event(after, str(new.state), new.since, 0, new.since if new.firing else None, after)


def _event(
    standing: Standing, state: str, at: float, episode: int, started: float | None, told: Standing
) -> AlertEvent:
    """Returns an event; `told` has the annotations that people were told of."""
    status = standing.status
    return AlertEvent(
        0,
        status.name,
        status.environment,
        status.monitor,
        state,
        at,
        status.value,
        status.message,
        severity=told.status.severity,
        threshold=status.threshold,
        episode=episode,
        started=started,
        labels=told.status.labels,
        annotations=told.status.annotations,
        shown=status.shown,
        limit=status.limit,
    )


def _over(standing: Standing) -> AlertEvent | None:
    """Returns the event of an alert that podium.yaml has no more; None if it did not fire."""
    status = standing.status
    if not status.firing:
        return None
    gone = replace(standing, status=replace(status, message=TAKEN_OUT))
    return _event(gone, RESOLVED, status.measured or status.since, status.episode, status.since, standing)


def _up_to_date(project: Project, journal: Journal, now: float) -> bool:
    """Tells, without a lock, that there is nothing to do."""
    if not project.alerts and not journal.alert_states.any():
        return True
    if journal.measurements.newest_id() > _seen(journal) or journal.values.get(SEEN) is None:
        return False
    known = journal.alert_states.all()
    return known.keys() == project.alerts.keys() and all(
        _agrees(project, each) and not rules.missed(each, project.monitors[each.status.monitor].every, now)
        for each in known.values()
    )


def _agrees(project: Project, standing: Standing) -> bool:
    """Tells whether what is kept of an alert is what podium.yaml says of it now."""
    return _kept(project, standing) and standing.status == rules.described(
        project.alerts[standing.status.name], standing.status
    )


def _kept(project: Project, standing: Standing) -> bool:
    """Tells whether podium.yaml still has the alert, on the same monitor of the same environment."""
    status = standing.status
    rule = project.alerts.get(status.name)
    return rule is not None and (rule.monitor, _environment(project, rule)) == (status.monitor, status.environment)


def _environment(project: Project, rule: AlertRule) -> str:
    return project.monitors[rule.monitor].environment


def _by_monitor(project: Project) -> Mapping[str, list[AlertRule]]:
    found: dict[str, list[AlertRule]] = {}
    for rule in project.alerts.values():
        found.setdefault(rule.monitor, []).append(rule)
    return found


def _seen(journal: Journal) -> int:
    """Returns the measurement up to which the alerts are judged: for a project that never had any, the newest."""
    kept = journal.values.get(SEEN)
    return int(kept) if kept is not None else journal.measurements.newest_id()
