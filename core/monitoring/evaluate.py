"""Evaluates monitors: which are due, where each is measured, and what is stored.

What needs the journal alone is measured here, in the agent. What reads rows is measured in a child process (apart.py),
which has time and memory of its own. Whatever goes wrong is a measurement without a value that says so: an alert must
be able to tell that nothing is known.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from ..domain.monitoring import Measurement, MonitorKind
from ..domain.project import MonitorSpec, Project
from ..journal import Journal
from . import freshness, labels, live
from .apart import measure_apart
from .moment import Moment, measured

Say = Callable[[str], None]

_LIGHT: Mapping[MonitorKind, Callable[[Moment], Measurement]] = {
    MonitorKind.SIGNAL: live.measure,
    MonitorKind.FRESHNESS: freshness.measure,
    MonitorKind.LABELS: labels.measure,
}


def is_light(monitor: MonitorSpec) -> bool:
    """Tells whether a monitor is measured in this process, at once: it reads no rows."""
    return monitor.kind in _LIGHT and not monitor.column


def evaluate_due(project: Project, journal: Journal, say: Say, *, light: bool, infra: bool = False) -> None:
    """Evaluates the monitors whose time has come, those that read no rows (`light`), those of infrastructure (`infra`)
    or the others, and stores what was measured. `say` is told of a monitor that has no value any more, and when it has
    one again."""
    now = time.time()
    for monitor in project.monitors.values():
        outside = monitor.kind is MonitorKind.INFRA
        if outside is infra and (outside or is_light(monitor) is light) and is_due(journal, monitor, now):
            before = journal.measurements.latest(monitor.name)
            for found in evaluate(project, journal, (monitor,)):
                _tell(found, before, say)


def is_due(journal: Journal, monitor: MonitorSpec, now: float) -> bool:
    """Tells whether a monitor's time has come. A clock that went back makes it come at once."""
    last = journal.measurements.latest_time(monitor.name)
    return last is None or now >= last + monitor.every or now < last


def next_time(journal: Journal, monitor: MonitorSpec) -> float:
    """Returns when a monitor is evaluated next, in seconds since the epoch; 0 if it never was."""
    last = journal.measurements.latest_time(monitor.name)
    return 0.0 if last is None else last + monitor.every


def evaluate(project: Project, journal: Journal, monitors: Sequence[MonitorSpec]) -> list[Measurement]:
    """Evaluates monitors now, in their order, stores what was measured and returns it."""
    found: list[Measurement] = []
    for monitor in monitors:
        if is_light(monitor):
            measurement = measured(Moment(project, journal, monitor), _LIGHT[monitor.kind])
            journal.measurements.add(measurement)
        else:
            measurement = measure_apart(project, journal, monitor)
        found.append(measurement)
    return found


def _tell(found: Measurement, before: Measurement | None, say: Say) -> None:
    had = before is not None and before.value is not None
    if found.value is None and (before is None or had or before.message != found.message):
        say(f"{found.monitor}: no value: {found.message}")
    elif found.value is not None and before is not None and not had:
        say(f"{found.monitor}: measured again")
