"""What the monitors of `podium demo --drift` say: asked by the replay's calendar, not by the clock of the machine.

The agent would evaluate a monitor of `every: 1d` tomorrow. Here a day is over in half a second, so the monitors whose
day has come are asked as `podium drift` asks them. What becomes of their answers is the agent's business as always: it
judges alerts and starts pipelines.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from ..alerts.rules import is_beyond, limit
from ..domain.monitoring import AlertEvent, Measurement, MonitorKind
from ..domain.project import AlertRule, MonitorSpec
from ..domain.text import format as fmt

if TYPE_CHECKING:
    from .facade import Facade

DAY = 86_400.0
JUDGED_TIMEOUT = 30.0
POLL_INTERVAL = 0.1
_AT_A_TIME = 2
_TOLD = ("firing", "resolved")
_SHOWN_COLUMNS = 3
# Monitors that are asked by the calendar; the agent measures signals itself.
_ASKED = (MonitorKind.DRIFT, MonitorKind.QUALITY)


class Watch:
    """Asks the monitors of a project when their day has come, and tells what became of the alerts."""

    def __init__(self, cockpit: Facade) -> None:
        self._cockpit = cockpit
        self._due: dict[str, int] = {}
        self._seen = max((each.id for each in cockpit.alerts.history(limit=1)), default=0)

    @property
    def monitors(self) -> list[MonitorSpec]:
        return [each for each in self._cockpit.project.config.monitors.values() if each.kind in _ASKED]

    def rules(self, monitor: str) -> list[AlertRule]:
        """Returns the alerts of a monitor."""
        return [each for each in self._cockpit.project.config.alerts.values() if each.monitor == monitor]

    def ask(self, day: int, *, sent: int, labelled: int) -> list[Measurement]:
        """Evaluates the monitors whose time has come on day `day` of the replay, and that have a window of the rows
        that were `sent` or `labelled`; waits until the agent has judged what rings or rang."""
        due: list[str] = []
        for monitor in self.monitors:
            rows = labelled if monitor.kind is MonitorKind.QUALITY else sent
            if rows >= monitor.at_least and day >= self._due.get(monitor.name, day):
                self._due[monitor.name] = day + max(1, round(monitor.every / DAY))
                due.append(monitor.name)
        return self.evaluate(due)

    def evaluate(self, names: Sequence[str]) -> list[Measurement]:
        """Evaluates these monitors now."""
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            found = [each for part in pool.map(self._cockpit.monitors.evaluate_now, names) for each in part]
        self._wait_until_judged(found)
        return found

    def beyond(self, measurement: Measurement) -> bool:
        """Tells whether an alert's threshold is exceeded."""
        return any(is_beyond(rule, measurement) for rule in self.rules(measurement.monitor))

    def to_be_judged(self, found: Sequence[Measurement]) -> dict[str, float]:
        """Returns monitor -> time of the measurements that begin or end an alert; one without a value does neither."""
        firing = {each.monitor for each in self._cockpit.alerts.list() if each.firing}
        judged = (each for each in found if each.value is not None)
        return {each.monitor: each.at for each in judged if self.beyond(each) or each.monitor in firing}

    def _wait_until_judged(self, found: Sequence[Measurement]) -> None:
        waited = self.to_be_judged(found)
        deadline = time.monotonic() + JUDGED_TIMEOUT
        while waited and time.monotonic() < deadline:
            for alert in self._cockpit.alerts.list():
                if alert.measured is not None and alert.measured >= waited.get(alert.monitor, alert.measured + 1):
                    del waited[alert.monitor]
            if waited:
                time.sleep(POLL_INTERVAL)

    def news(self) -> list[AlertEvent]:
        """Returns the alerts that began to fire or ended since the last call, oldest first."""
        found = [each for each in self._cockpit.alerts.history(limit=100) if each.id > self._seen]
        self._seen = max((each.id for each in found), default=self._seen)
        return [each for each in reversed(found) if each.state in _TOLD]

    def words(self, measurement: Measurement) -> str:
        """Returns a measurement in a line: `log_loss 0.4177 (0.4051 … 0.4302), rings above 0.5357`."""
        monitor = self._cockpit.project.config.monitors[measurement.monitor]
        if measurement.value is None:
            return f"no value: {measurement.message}"
        said = f"{monitor.measure} {fmt.number(measurement.value)}"
        if measurement.low is not None and measurement.high is not None:
            said += f" ({fmt.number(measurement.low)} … {fmt.number(measurement.high)})"
        of = next((each.column for each in measurement.columns if each.value == measurement.value), "")
        said += f" of {of}" if of else ""
        limits = [limit(rule, measurement.critical) for rule in self.rules(monitor.name)]
        return said + "".join(f", rings above {fmt.number(each)}" for each in limits if each is not None)


def beyond_columns(measurement: Measurement) -> str:
    """Returns the columns that are beyond their critical values, the farthest first."""
    found = [
        each
        for each in measurement.columns
        if each.value is not None and each.critical is not None and each.value > each.critical
    ]
    names = [each.column for each in sorted(found, key=lambda each: -(each.value or 0.0))]
    rest = len(names) - _SHOWN_COLUMNS
    return ", ".join(names[:_SHOWN_COLUMNS]) + (f" and {rest} more" if rest > 0 else "")
