"""`podium demo --drift` without its output: a champion that knows January to August serves the flights of September to
December, whose labels come late. Monitors are asked by the replay's calendar, alerts ring at thresholds that come from
the reference, one of them starts a retraining, its candidate is judged on fresh rows and delivered by a canary.

Nothing here decides how it ends. What was measured is told, also an alarm that does not come, a gate that refuses and a
quality that does not recover.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING

from ..domain.demo import DemoEvent, DemoResult, EventKind
from ..domain.monitoring import AlertEvent, LoopEntry, LoopState
from ..domain.runs import RunState
from ..domain.text import format as fmt
from ..domain.verdicts import CheckResult
from ..errors import RunFailed
from .afterwards import compared
from .days import DaysOfTraffic
from .months import Months
from .project import DemoRepository, git, make, possible
from .story import ENVIRONMENT, PIPELINE, POLL_INTERVAL, Demo
from .watch import DAY, Watch, beyond_columns

if TYPE_CHECKING:
    from .facade import Facade

COMMAND = "podium demo --drift"
CONFIGURATION = "podium.drift.yaml"
DAY_SECONDS = 0.5
CHANGE = date(2013, 12, 1)  # from then on twice as many flights are late as in the autumn before
ALARM = "quality-fell"
# An alarm without any change is due once in so many windows: a year, at one a day.
WINDOWS = 365
START_TIMEOUT = 20.0  # seconds in which the agent starts what an alert starts
ANSWER_TIMEOUT = 30.0  # seconds beyond `look_back` until the loop has looked back


class DriftDemo(Demo):
    """The demonstration of monitors, alerts and the feedback loop, with the flights of these months of 2013."""

    def __init__(self, directory: Path, opened: Callable[[Path], Facade], months: tuple[int, int] = (9, 12)) -> None:
        super().__init__(directory, opened)
        self._months = months
        self._days: DaysOfTraffic | None = None
        self._watch: Watch | None = None
        self._told = Months(CHANGE)
        self._loop: LoopEntry | None = None
        self._over = False
        self._retrained: DemoResult | None = None

    @property
    def watch(self) -> Watch:
        if self._watch is None:
            self._watch = Watch(self.cockpit)
        return self._watch

    def play(self) -> Iterator[DemoEvent]:
        began = time.monotonic()
        yield from self._begin()
        yield from self._champion()
        yield from self._threshold()
        yield from self._replay()
        yield from self._afterwards()
        self.results.append(DemoResult("the whole demonstration", "done", time.monotonic() - began))

    def _make(self) -> DemoRepository:
        from ..delivery.proxy.haproxy import binary

        possible(self.directory, COMMAND)
        binary()
        made = make(self.directory, adapt=_adapt)
        made.apply("better")
        return made

    # What the champion knows

    def _champion(self) -> Iterator[DemoEvent]:
        yield DemoEvent(EventKind.CHAPTER, "A champion that knows January to August")
        ended = yield from self._follow(self.cockpit.runs.start(PIPELINE, why="the champion of January to August"))
        self._must_succeed(ended)
        serving = self.cockpit.environments.get(ENVIRONMENT)
        yield DemoEvent(EventKind.DONE, "learned to June, chosen in July, judged on 10,000 flights of August")
        yield DemoEvent(EventKind.DONE, f"version {serving.serving} serves", serving.url)
        self._result("champion to August", f"v{serving.serving} serves", ended)

    def _threshold(self) -> Iterator[DemoEvent]:
        """Sets the alarm of quality to what a window of August itself would hardly ever exceed."""
        rule = self.cockpit.project.config.alerts[ALARM]
        monitor = self.cockpit.project.config.monitors[rule.monitor]
        runs = self.cockpit.runs.list(limit=1, name=PIPELINE)
        check = next(
            each for report in self._reports(runs[0]) for each in report.checks if _is_of(each, monitor.measure)
        )
        rows = monitor.rows or 1
        limit = threshold(check, rows)
        path = self.directory / "podium.yaml"
        text = path.read_text(encoding="utf-8")
        line = f"    above: {limit:.4f}                      # a window of August is beyond it once in {WINDOWS}\n"
        path.write_text(re.sub(r"    above: 0\.65 .*\n", line, text, count=1), encoding="utf-8")
        git(self.directory, "commit", "--quiet", "--all", "--message", "Ring above what August has by chance")
        interval = f"{fmt.number(check.value_low)} … {fmt.number(check.value_high)}"
        yield DemoEvent(EventKind.DONE, f"{monitor.measure} of August: {fmt.number(check.value)} ({interval})")
        words = f"by chance one window in {WINDOWS}, of {rows:,} flights of August, is above {limit:.4f}"
        yield DemoEvent(EventKind.DONE, f"{words}: {ALARM} rings there")

    # Day by day

    def _replay(self) -> Iterator[DemoEvent]:
        yield DemoEvent(EventKind.CHAPTER, "The autumn, day by day")
        yield DemoEvent(EventKind.DONE, "every third flight in its order, six to a request; labels come 3 days later")
        fast = f"{DAY_SECONDS:g} s at least, {DAY / DAY_SECONDS:,.0f} times as fast as it was"
        yield DemoEvent(
            EventKind.DONE, f"a day takes {fast}; the calendar waits while monitors measure and models train"
        )
        daily = [each.name for each in self.watch.monitors if each.every == DAY]
        words = f"{', '.join(daily)} is measured every day of this calendar, the other monitors every week"
        yield DemoEvent(EventKind.DONE, f"{words}; only {ALARM} starts a retraining")
        url = self.cockpit.environments.get(ENVIRONMENT).url
        self._days = DaysOfTraffic(self.directory, url, DAY_SECONDS, self._months)
        while not self._over:
            yield from self._day()
            if not self._over:
                yield from self._monitors()
                yield from self._alarm()
        yield from self._month()
        if self._loop is None:
            yield DemoEvent(EventKind.BAD, f"{ALARM} did not ring: nothing was retrained")

    def _day(self) -> Iterator[DemoEvent]:
        """Sends the next day, and tells of the month before when a new one begins."""
        assert self._days is not None
        upcoming = self._told.next_day(self._months[0])
        yield DemoEvent(EventKind.WAITING, f"the flights of {upcoming}")
        day = self._days.next_day()
        if day is None:
            self._over = True
            return
        if self._told.is_new_month(day):
            yield from self._month()
        self._told.add(day)
        if day.failures:
            reasons = ", ".join(f"{number} {reason}" for reason, number in day.failures.items())
            yield DemoEvent(EventKind.BAD, f"requests of {_said(day.day)} were lost: {reasons}")

    def _monitors(self) -> Iterator[DemoEvent]:
        yield DemoEvent(EventKind.WAITING, f"what monitors measure on {self._told.today}")
        found = self.watch.ask(self._told.days, sent=self._told.flights, labelled=self._told.labels)
        self._told.measured(found)
        for event in self.watch.news():
            yield from self._rang(event)

    def _rang(self, event: AlertEvent) -> Iterator[DemoEvent]:
        measurement = self._told.last.get(event.monitor)
        if event.state == "resolved":
            value = f": {fmt.number(event.value)}" if event.value is not None else ""
            yield DemoEvent(EventKind.DONE, f"{event.name} is over on {self._told.today}{value}")
            return
        first = self._told.rang(event)
        yield DemoEvent(EventKind.BAD, f"{event.name} rings on {self._told.today}, {self._told.since_change()}")
        if measurement is not None:
            yield DemoEvent(EventKind.BAD, f"  {self.watch.words(measurement)}")
            columns = beyond_columns(measurement)
            if columns:
                yield DemoEvent(EventKind.BAD, f"  beyond what chance does: {columns}")
        if first and event.annotations.get("summary"):
            yield DemoEvent(EventKind.DONE, f"  {event.annotations['summary']}")

    def _month(self) -> Iterator[DemoEvent]:
        """Tells of the month that is over: what was sent, and what each monitor measured last."""
        yield DemoEvent(EventKind.DONE, self._told.month_words())
        for monitor in self.watch.monitors:
            measurement = self._told.last.get(monitor.name)
            if measurement is not None:
                kind = EventKind.BAD if self.watch.beyond(measurement) else EventKind.DONE
                yield DemoEvent(kind, f"  {monitor.name}: {self.watch.words(measurement)}")
            if missing := self._told.without_value(monitor.name):
                yield DemoEvent(EventKind.BAD, f"  {monitor.name}: {missing}")
        self.results.append(self._told.month_result())

    # The loop

    def _alarm(self) -> Iterator[DemoEvent]:
        """Follows the retraining when the alarm has rung for the first time."""
        if self._loop is not None or not any(each.name == ALARM and each.firing for each in self.cockpit.alerts.list()):
            return
        yield DemoEvent(EventKind.WAITING, "the agent, to start what the alert starts")
        deadline = time.monotonic() + START_TIMEOUT
        while self._loop is None and time.monotonic() < deadline:
            self._loop = next((each for each in self.cockpit.feedback.list(limit=20) if each.alert == ALARM), None)
            time.sleep(POLL_INTERVAL)
        if self._loop is None:
            raise RunFailed(
                "the agent started nothing", hint=f"read its log: {self.directory / '.podium' / 'agent.log'}"
            )
        if self._loop.run is None:
            yield DemoEvent(EventKind.BAD, f"the loop starts nothing: {self._loop.why or self._loop.state}")
            return
        yield from self._retrain(self._loop.run)

    def _retrain(self, number: int) -> Iterator[DemoEvent]:
        yield DemoEvent(EventKind.CHAPTER, "The loop: rows, a retraining, a gate, a canary")
        yield DemoEvent(EventKind.DONE, f"started by {ALARM}; the calendar waits until the canary needs traffic")
        rang = self._told.days
        ended = yield from self._follow(self.cockpit.runs.get(number).run)
        yield from self._rows(number)
        yield from self._verdicts(ended)
        serving = self.cockpit.environments.get(ENVIRONMENT).serving
        outcome = f"v{serving} serves"
        if ended.state is RunState.SUCCEEDED:
            words = f"version {serving} has all traffic on {self._told.today}"
            yield DemoEvent(
                EventKind.DONE, f"{words}; {fmt.count(self._told.days - rang, 'day')} went by in the canary"
            )
            self._told.labels = 0  # what is measured from here on is measured of the new version
        else:
            yield DemoEvent(EventKind.BAD, f"the retraining ended without a delivery: version {serving} serves on")
            outcome = f"no delivery, {outcome} on"
        seconds = ended.ended - ended.started if ended.ended is not None and ended.started is not None else None
        self._retrained = DemoResult("retraining", outcome, seconds)
        yield DemoEvent(EventKind.CHAPTER, "The days after it")

    def _rows(self, number: int) -> Iterator[DemoEvent]:
        """Tells which rows were learned from, and which ones judged."""
        for step in self.cockpit.runs.steps(number):
            found = step.results
            if "test_rows" in found:
                old, new = found["rows"] - found["requests"], found["requests"]
                yield DemoEvent(
                    EventKind.DONE, f"learned from {old:,} flights to June and {new:,} of the alarm's window"
                )
                words = "newest ones, which it has not seen"
                yield DemoEvent(EventKind.DONE, f"judged on the {found['test_rows']:,} {words}")

    def _meanwhile(self) -> Iterator[DemoEvent]:
        """Lets the days go on while a canary needs traffic."""
        yield from self._canary()
        if self._days is not None and not self._over and self.cockpit.environments.canary(ENVIRONMENT) is not None:
            yield from self._day()

    # What became of it

    def _afterwards(self) -> Iterator[DemoEvent]:
        self.results.extend(self._told.alarm_results(ALARM))
        if self._retrained is not None:
            self.results.append(self._retrained)
        if self._loop is None or self._loop.run is None:
            return
        yield DemoEvent(EventKind.CHAPTER, "Did it help?")
        yield from self._looked_back(self._loop.id)
        status = self.cockpit.environments.get(ENVIRONMENT)
        if self._loop.version is None or status.rollback_to is None:
            yield DemoEvent(EventKind.BAD, "nothing was delivered, so there is nothing to compare")
            return
        words = "the days changed too, so version {} answers the labelled requests since the delivery again"
        yield DemoEvent(EventKind.DONE, words.format(status.rollback_to))
        yield DemoEvent(EventKind.WAITING, f"version {status.rollback_to}, to answer the same requests")
        delivered = self._loop.ended or self._loop.at
        result = yield from compared(self.cockpit, ENVIRONMENT, status.rollback_to, time.time() - delivered)
        if result is not None:
            self.results.append(result)

    def _looked_back(self, number: int) -> Iterator[DemoEvent]:
        """Waits until the loop has judged its delivery, and tells what it says."""
        pipelines = self.cockpit.project.config.pipelines
        patience = max(each.on.alert.look_back for each in pipelines.values() if ALARM in each.on.alert.names)
        deadline = time.monotonic() + patience + ANSWER_TIMEOUT
        while True:
            entry = next(each for each in self.cockpit.feedback.list(limit=20) if each.id == number)
            self._loop = entry
            if entry.state not in (LoopState.RUNNING, LoopState.DELIVERED) or time.monotonic() > deadline:
                break
            yield DemoEvent(EventKind.WAITING, f"the loop, to look back ({fmt.duration(patience)} after the delivery)")
            time.sleep(POLL_INTERVAL * 4)
        kind = EventKind.DONE if entry.state is LoopState.HELPED else EventKind.BAD
        state = "does not know yet" if entry.state is LoopState.DELIVERED else str(entry.state)
        yield DemoEvent(kind, f"the loop says: {state}")
        if entry.why:
            yield DemoEvent(kind, f"  {entry.why}")
        self.results.append(DemoResult("the loop", state))

    def stop(self) -> list[str]:
        days, self._days = self._days, None
        stopped = days.stop() if days is not None else []
        return [*stopped, *super().stop()]


def _adapt(directory: Path) -> None:
    os.replace(directory / CONFIGURATION, directory / "podium.yaml")  # noqa: PTH105


def _is_of(check: CheckResult, metric: str) -> bool:
    return check.name.startswith(f"{metric} ") and check.value_high is not None


def threshold(check: CheckResult, rows: int) -> float:
    """Returns what a window of `rows` of a gate's own data exceeds once in WINDOWS, by chance alone: the mean of so
    many rows is nearly normal, and its spread is that of the gate's interval (95 %), by the root of their numbers."""
    assert check.value is not None and check.value_high is not None and check.rows is not None
    normal = NormalDist()
    spread = (check.value_high - check.value) / normal.inv_cdf(0.975) * (check.rows / rows) ** 0.5
    return check.value + normal.inv_cdf(1 - 1 / WINDOWS) * spread


def _said(day: date | None) -> str:
    return f"{day.day} {day:%B}" if day is not None else "a day after the last one"
