"""What `podium demo --drift` has sent and measured so far, by month, and how long after the change an alarm came."""

from __future__ import annotations

import calendar
from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta

from ..domain.demo import DemoResult
from ..domain.monitoring import AlertEvent, Measurement
from ..domain.text.format import count
from .days import SentDay


class Months:
    """Counts days, flights, requests and labels; `change` is the day from which on alarms are counted."""

    def __init__(self, change: date) -> None:
        self.days = 0
        self.flights = 0
        self.labels = 0
        """Flights whose label has been sent, since the version that serves was delivered."""
        self.last: dict[str, Measurement] = {}
        """What each monitor measured last."""
        self._evaluations: dict[tuple[int, str], list[Measurement]] = {}
        """What each monitor measured in each month."""
        self._change = change
        self._day: date | None = None
        self._since_change = [0, 0]
        self._requests: Counter[int] = Counter()
        self._flights: Counter[int] = Counter()
        self._lost: Counter[int] = Counter()
        self._reasons: dict[int, Counter[str]] = {}
        self._truth: dict[int, list[int]] = {}
        self._rang: dict[int, list[str]] = {}
        self._alarms: list[tuple[AlertEvent, date | None, int, int]] = []

    def next_day(self, first_month: int) -> str:
        """Returns the name of the day that comes next."""
        upcoming = self._day + timedelta(days=1) if self._day else date(self._change.year, first_month, 1)
        return _said(upcoming)

    @property
    def today(self) -> str:
        return _said(self._day) if self._day is not None else ""

    def is_new_month(self, day: SentDay) -> bool:
        return day.day is not None and self._day is not None and day.day.month != self._day.month

    def add(self, day: SentDay) -> None:
        """Counts a day. One after the last, on which only labels come, is a day of the calendar too."""
        self._day = day.day or (self._day + timedelta(days=1) if self._day else None)
        self.days += 1
        self.flights += day.flights
        self.labels += day.labels
        if day.labelled is not None:
            late = self._truth.setdefault(day.labelled.month, [0, 0])
            late[0] += day.late
            late[1] += day.labels
        if day.day is None:
            return
        month = day.day.month
        self._flights[month] += day.flights
        self._requests[month] += day.requests
        self._lost[month] += sum(day.failures.values())
        self._reasons.setdefault(month, Counter()).update(day.failures)
        if day.day >= self._change:
            self._since_change[0] += day.flights
            self._since_change[1] += day.requests

    def measured(self, found: Sequence[Measurement]) -> None:
        self.last.update({each.monitor: each for each in found})
        for each in found:
            self._evaluations.setdefault((self._month, each.monitor), []).append(each)

    def without_value(self, monitor: str) -> str:
        """Returns in words how often a monitor could not be measured this month, and why; empty if its last value is
        missing, which is said by itself, or none is."""
        found = self._evaluations.get((self._month, monitor), [])
        missing = [each for each in found if each.value is None]
        if not missing or found[-1].value is None:
            return ""
        return f"no value {len(missing)} of {count(len(found), 'time')}: {missing[-1].message}"

    def rang(self, event: AlertEvent) -> bool:
        """Notes that an alert began to fire today; tells whether it is the first time."""
        first = all(each[0].name != event.name for each in self._alarms)
        if self._day is not None:
            self._rang.setdefault(self._month, []).append(event.monitor)
        self._alarms.append((event, self._day, self._since_change[0], self._since_change[1]))
        return first

    def since_change(self) -> str:
        """Returns how much was sent since the change, or before it, in words."""
        flights, requests = self._since_change
        if not flights:
            return f"after {self.flights:,} flights"
        return f"{flights:,} flights ({requests:,} requests) into {calendar.month_name[self._change.month]}"

    @property
    def _month(self) -> int:
        """The month of the last flights."""
        return max(self._flights, default=self._change.month)

    def month_words(self) -> str:
        """Returns what was sent in the month of the last flights, and the share of late ones as far as it is known."""
        month = self._month
        lost = f"{self._lost[month]} lost" if self._lost[month] else "none lost"
        sent = f"{self._flights[month]:,} flights, {self._requests[month]:,} requests, {lost}"
        share = self._share(month)
        return f"{calendar.month_name[month]}: {sent}" + (f"; {share:.1%} late" if share is not None else "")

    def _share(self, month: int) -> float | None:
        late, labels = self._truth.get(month, [0, 0])
        return late / labels if labels else None

    def month_result(self) -> DemoResult:
        """Returns the month's line of the summary."""
        month = self._month
        rang = self._rang.get(month, [])
        numbers = {"flights": float(self._flights[month])}
        numbers |= {name: each.value for name, each in self.last.items() if each.value is not None}
        share = self._share(month)
        return DemoResult(
            calendar.month_name[month],
            f"{', '.join(dict.fromkeys(rang))} rang" if rang else "no alarm",
            None,
            self._requests[month],
            self._lost[month],
            dict(self._reasons.get(month, {})),
            numbers | ({"late": share} if share is not None else {}),
        )

    def alarm_results(self, name: str) -> list[DemoResult]:
        """Returns the summary's line of the alarm that the change should ring: when it came, or that it did not."""
        found = [each for each in self._alarms if each[0].name == name]
        if not found:
            return [DemoResult(name, "did not ring")]
        lines: list[DemoResult] = []
        for event, day, flights, requests in found:
            month = calendar.month_name[self._change.month]
            after = f"after {flights:,} flights of {month}" if flights else f"on {_said(day)}"
            numbers = {"flights_after_change": float(flights), "requests_after_change": float(requests)}
            value = {"value": event.value} if event.value is not None else {}
            lines.append(DemoResult(name, after, numbers=numbers | value))
        return lines


def _said(day: date | None) -> str:
    return f"{day.day} {calendar.month_name[day.month]}" if day is not None else ""
