"""The traffic of `podium demo --drift`: the example's autumn, a day at a time."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Mapping
from dataclasses import field
from datetime import date
from pathlib import Path

from ..domain.frozen import Frozen
from ..errors import RunFailed
from .traffic import Script

_FIRST_TIMEOUT = 60.0  # reading a year of flights takes seconds, more while the machine trains
_DAY_TIMEOUT = 60.0  # seconds for the requests of a day and its labels


class SentDay(Frozen):
    """What was sent on a day of the replay."""

    day: date | None
    """None for a day after the last one, on which only labels came."""
    flights: int = 0
    requests: int = 0
    failures: Mapping[str, int] = field(default_factory=dict[str, int])
    """Requests that failed, by reason."""
    labels: int = 0
    """Flights whose truth was sent on this day: those of some days before."""
    late: int = 0
    """Of these, how many were late."""
    labelled: date | None = None
    """The day that they are of."""


class DaysOfTraffic:
    """Sends the flights of `months` to `url`, one day for each `next_day`, spread over `seconds`."""

    def __init__(self, directory: Path, url: str, seconds: float, months: tuple[int, int]) -> None:
        first, last = (str(each) for each in months)
        command = ("--url", url, "--day", f"{seconds:g}", "--from", first, "--until", last, "--step")
        self._script = Script(directory, "autumn.py", *command)
        self._days: queue.SimpleQueue[SentDay | None] = queue.SimpleQueue()
        self._timeout = _FIRST_TIMEOUT
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._script.lines():
            self._days.put(sent_day(line))
        self._days.put(None)

    def next_day(self) -> SentDay | None:
        """Has a day's requests sent, and the labels that come on it; None after the last day. Raises RunFailed if the
        script ends before, or takes too long."""
        self._script.tell()
        try:
            found = self._days.get(timeout=self._timeout)
        except queue.Empty:
            raise RunFailed(f"a day of traffic took more than {self._timeout:.0f} s") from None
        self._timeout = _DAY_TIMEOUT
        if found is None and self._script.errors:
            raise self._script.ended()
        return found

    def stop(self) -> list[str]:
        """Stops the traffic; returns what was stopped, in words."""
        return self._script.stop()


def sent_day(line: str) -> SentDay:
    """Returns what a line of the script's output says."""
    found = json.loads(line)
    return SentDay(
        _date(found["day"]),
        int(found["flights"]),
        int(found["requests"]),
        {str(reason): int(number) for reason, number in found["failures"].items()},
        int(found["labels"]),
        int(found["late"]),
        _date(found["labelled"]),
    )


def _date(text: str) -> date | None:
    return date.fromisoformat(text) if text else None
