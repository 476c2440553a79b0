"""At which chance one evaluation may exceed its critical value, so that a monitor rings no more often than was said."""

from __future__ import annotations

from ..domain.project import MonitorSpec, Project

_DAY = 86_400.0
# A chance that is no longer rare is none: half of all evaluations would ring.
MAX_CHANCE = 0.5


def rate(project: Project, monitor: MonitorSpec) -> float | None:
    """Returns the strictest rate of false alarms that an alert of the monitor states, in times a day; None where none
    states one."""
    rates = [
        each.false_alarms
        for each in project.alerts.values()
        if each.monitor == monitor.name and each.false_alarms is not None
    ]
    return min(rates, default=None)


def chance(project: Project, monitor: MonitorSpec) -> float | None:
    """Returns the chance at which one evaluation may ring without any change, 0..1: the rate by the number of
    evaluations a day. Evaluations that share rows ring together: then there are fewer alarms, never more."""
    stated = rate(project, monitor)
    return None if stated is None else min(MAX_CHANCE, stated * monitor.every / _DAY)
