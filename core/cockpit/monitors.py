"""`cockpit.monitors`: what is measured of what serves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import NotFound
from .opened import OpenProject

if TYPE_CHECKING:
    from ..domain.monitoring import Measurement, MonitorStatus
    from ..domain.monitors.courses import Course
    from ..domain.project import MonitorSpec

# What a page shows of what was measured before.
COURSE_SECONDS = 30 * 86_400.0


class Monitors:
    """Reads what monitors measured, from the journal, and evaluates them."""

    def __init__(self, opened: OpenProject) -> None:
        self._opened = opened

    def list(self) -> Sequence[MonitorStatus]:
        """Returns every monitor of podium.yaml with its last measurement, in the file's order."""
        return [self._status(each) for each in self._opened.config.monitors.values()]

    def get(self, name: str) -> MonitorStatus:
        """Returns one monitor. Raises NotFound if podium.yaml has none of that name."""
        return self._status(self._named(name))

    def series(self, name: str, start: float, end: float) -> Sequence[Measurement]:
        """Returns what a monitor measured in [start, end] (seconds since the epoch), oldest first; beyond a week one
        measurement of each hour is kept. Raises NotFound if podium.yaml has no such monitor."""
        return self._opened.journal.measurements.series(self._named(name).name, start, end)

    def course(self, name: str, start: float, end: float, *, points: int = 500) -> Course:
        """Returns what a monitor measured in [start, end] (seconds since the epoch) in at most `points` measurements,
        and the versions that began to serve meanwhile. Raises NotFound if podium.yaml has no such monitor."""
        from ..domain.monitors.courses import course

        monitor, journal = self._named(name), self._opened.journal
        past = journal.measurements.series(monitor.name, start, end)
        return course(past, journal.ledger.between(monitor.environment, start, end), points)

    def evaluate_now(self, *names: str) -> Sequence[Measurement]:
        """Evaluates monitors now, all of podium.yaml without a name, and returns what was measured; it is stored as the
        agent's measurements are. What reads rows runs in a child process, for minutes at most. Raises NotFound for a
        name that podium.yaml does not have."""
        from ..monitoring.evaluate import evaluate

        self._opened.require_own()
        wanted = [self._named(name) for name in names] or [*self._opened.config.monitors.values()]
        return evaluate(self._opened.config, self._opened.journal, wanted)

    def page(self, measurement: Measurement) -> str:
        """Returns a measurement as a page of HTML that needs nothing else, with its monitor's course of the last
        30 days. Raises NotFound if podium.yaml has its monitor no more."""
        from ..monitoring.report.page import page

        course = self.course(measurement.monitor, measurement.at - COURSE_SECONDS, measurement.at)
        return page(self._opened.config.name, self.get(measurement.monitor), measurement, course)

    def _status(self, monitor: MonitorSpec) -> MonitorStatus:
        from ..monitoring.status import status

        journal = self._opened.journal
        return status(self._opened.config, journal, monitor, watched=journal.agent.status().alive)

    def _named(self, name: str) -> MonitorSpec:
        monitors = self._opened.config.monitors
        if name not in monitors:
            names = ", ".join(monitors) or "none"
            raise NotFound(f"there is no monitor {name!r}", hint=f"podium.yaml has: {names}")
        return monitors[name]
