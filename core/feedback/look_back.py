"""After a delivery the loop looks back: did the alert end, did quality rise?

Only what was measured after the delivery counts. No data says nothing: without any, the answer waits.
"""

from __future__ import annotations

from dataclasses import replace

from ..alerts.evaluate import RESOLVED, TAKEN_OUT
from ..domain.metrics import FACTS, MAXIMIZE
from ..domain.monitoring import AlertEvent, LoopEntry, LoopState, Measurement, MonitorKind
from ..domain.project import OnAlert, Project
from ..domain.text import measures
from ..domain.text.format import duration
from ..journal import Journal

# Measurements before a delivery that are looked at for the one that it is compared with, in seconds.
_BEFORE_SECONDS = 30 * 86_400.0


def judged(project: Project, journal: Journal, entry: LoopEntry, now: float) -> LoopEntry:
    """Returns an entry that has delivered with what is known of it at `now`, in seconds since the epoch; the same one
    while nothing is."""
    delivered = entry.ended or entry.at
    end = _end_of_alert(journal, entry)
    if end is not None and end.message == TAKEN_OUT:
        return _said(entry, LoopState.ENDED, "the alert was taken out of podium.yaml: nobody knows whether it helped")
    ended = end.at if end is not None else None
    replaced = _replaced(journal, entry, ended)
    if replaced:
        return _said(entry, LoopState.DID_NOT_HELP, replaced)
    if ended is not None and ended <= delivered:
        return _said(entry, LoopState.ENDED, "the alert had ended before the delivery: it is no proof of anything")
    if ended is not None:
        return _said(entry, LoopState.HELPED, f"the alert ended {duration(ended - delivered)} after the delivery")
    risen = _quality_rose(project, journal, entry, delivered, now)
    if risen:
        return _said(entry, LoopState.HELPED, risen)
    pipeline = project.pipelines.get(entry.pipeline)
    patience = (pipeline.on.alert if pipeline is not None else OnAlert()).look_back
    if now - delivered < patience:
        return entry
    if _measured(journal, entry, delivered):
        after = duration(now - delivered)
        return _said(entry, LoopState.DID_NOT_HELP, f"{after} after the delivery the alert still fires")
    waits = "nothing was measured since the delivery, so nobody knows"
    return entry if entry.why == waits else replace(entry, why=waits)


def _said(entry: LoopEntry, state: LoopState, why: str) -> LoopEntry:
    return replace(entry, state=state, why=why)


def _end_of_alert(journal: Journal, entry: LoopEntry) -> AlertEvent | None:
    """Returns the event that ended the alert; None if it still fires."""
    events = journal.alerts.recent(1000, name=entry.alert)
    return next((each for each in events if each.episode == entry.episode and each.state == RESOLVED), None)


def _replaced(journal: Journal, entry: LoopEntry, ended: float | None) -> str:
    """Returns in words that the version does not serve any more; empty if it does, or if the alert had `ended` before
    another one was deployed, such as while no agent ran."""
    current = journal.ledger.current(entry.environment)
    if current is not None and (current.to_version == entry.version or (ended is not None and ended <= current.at)):
        return ""
    instead = f", version {current.to_version} serves" if current is not None else ""
    return f"version {entry.version} does not serve any more{instead}"


def _measured(journal: Journal, entry: LoopEntry, delivered: float) -> bool:
    standing = journal.alert_states.get(entry.alert)
    if standing is None:
        return False
    last = standing.status.measured
    return last is not None and last > delivered and not standing.status.absent


def _quality_rose(project: Project, journal: Journal, entry: LoopEntry, delivered: float, now: float) -> str:
    """Returns in words that a quality has risen since the delivery, by more than its interval; empty if none has."""
    for name, monitor in project.monitors.items():
        if monitor.environment != entry.environment or monitor.kind is not MonitorKind.QUALITY:
            continue
        # First what there is little of: this is asked every few seconds.
        after = _last(journal, name, delivered, now)
        if after is None or after.version != entry.version:
            continue
        before = _last(journal, name, delivered - _BEFORE_SECONDS, delivered)
        if before is not None and _better(monitor.measure, before, after):
            was, came, low, high = (
                measures.value(monitor.kind, monitor.measure, each)
                for each in (before.value, after.value, after.low, after.high)
            )
            return f"{name} went from {was} to {came} (between {low} and {high})"
    return ""


def _last(journal: Journal, name: str, start: float, end: float) -> Measurement | None:
    """Returns the last measurement of a quality in (start, end] that has a value."""
    found = [
        each
        for each in journal.measurements.series(name, start, end)
        if each.kind is MonitorKind.QUALITY and each.value is not None and start < each.at
    ]
    return found[-1] if found else None


def _better(metric: str, before: Measurement, after: Measurement) -> bool:
    """Tells whether the whole interval after the delivery is on the better side of the value before it."""
    goal = FACTS[metric].goal if metric in FACTS else ""
    if not goal or before.value is None or after.low is None or after.high is None:
        return False
    return after.low > before.value if goal == MAXIMIZE else after.high < before.value
