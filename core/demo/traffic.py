"""The demonstration's traffic: the example's own replay script as a child process, and its counts so far."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from ..domain.frozen import Frozen
from ..errors import RunFailed

_FIRST_ANSWER_TIMEOUT = 40.0  # reading a month of flights takes a few seconds, more while the machine trains
_LAST_WORDS_TIMEOUT = 5.0  # for errors that are read only after the output has ended
_COUNT_INTERVAL = 0.25  # seconds between two counts
_REQUEST_TIMEOUT = 30.0  # a slow answer is for the canary to judge, it is not a lost one
_MAX_SECONDS = 3600  # seconds after which the traffic ends by itself, should everything else have been killed


class TrafficCount(Frozen):
    """The number of requests sent and of those that failed, by reason."""

    sent: int = 0
    failures: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def failed(self) -> int:
        return sum(self.failures.values())

    def __sub__(self, other: TrafficCount) -> TrafficCount:
        since = {reason: number - other.failures.get(reason, 0) for reason, number in self.failures.items()}
        return TrafficCount(self.sent - other.sent, {reason: number for reason, number in since.items() if number})

    def __str__(self) -> str:
        reasons = (
            f" ({', '.join(f'{number} {reason}' for reason, number in self.failures.items())})" if self.failed else ""
        )
        return f"{self.sent} requests meanwhile, {self.failed} lost{reasons}"


class Script:
    """A script of the example as a child process: its lines of output one by one, and its last errors."""

    def __init__(self, directory: Path, *command: str) -> None:
        self._process = subprocess.Popen(  # in a session of its own: a Ctrl-C is for us to deal with
            [sys.executable, *command],
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._errors = ""
        self._reading_errors = threading.Thread(target=self._read_errors, daemon=True)
        self._reading_errors.start()

    def _read_errors(self) -> None:
        for line in self._process.stderr or ():
            self._errors = (self._errors + line)[-2000:]

    def lines(self) -> Iterator[str]:
        """Yields its output until it ends."""
        yield from self._process.stdout or ()
        self._reading_errors.join(_LAST_WORDS_TIMEOUT)  # they say why it ended

    def tell(self) -> None:
        """Gives it a line of input; one that has ended does not mind."""
        with contextlib.suppress(OSError, ValueError):
            assert self._process.stdin is not None
            print(file=self._process.stdin, flush=True)

    @property
    def errors(self) -> str:
        return self._errors

    def ended(self) -> RunFailed:
        """Returns that it has ended, with its last words."""
        last = self._errors.strip().splitlines()
        name = self._process.args[1] if isinstance(self._process.args, list) else ""
        return RunFailed(
            f"the traffic ended: {last[-1] if last else 'no output'}",
            hint=f"run examples/flights/{name} by itself to see why",
        )

    def stop(self) -> list[str]:
        """Stops it; returns what was stopped, in words."""
        self._process.terminate()
        try:
            self._process.wait(timeout=12.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        return ["the traffic"]


class DemoTraffic:
    """Sends requests at an even rate to `url`, until `stop()`."""

    def __init__(self, directory: Path, url: str, rate: float) -> None:
        self._script = Script(
            directory,
            "replay.py",
            "--url",
            url,
            "--rate",
            f"{rate:g}",
            "--seconds",
            str(_MAX_SECONDS),
            "--timeout",
            f"{_REQUEST_TIMEOUT:g}",
            "--progress",
            str(_COUNT_INTERVAL),
        )
        self._told = threading.Condition()
        self._count = TrafficCount()
        self._lines = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._script.lines():
            with contextlib.suppress(ValueError, KeyError, AttributeError):
                found: dict[str, Any] = json.loads(line)
                with self._told:
                    self._count = TrafficCount(
                        int(found["sent"]), {str(reason): int(number) for reason, number in found["failures"].items()}
                    )
                    self._lines += 1
                    self._told.notify_all()
        with self._told:
            self._lines = -1
            self._told.notify_all()

    def count(self) -> TrafficCount:
        with self._told:
            return self._count

    def wait_until_flowing(self) -> None:
        """Waits for the first answer. Raises RunFailed if none arrives in time."""
        deadline = time.monotonic() + _FIRST_ANSWER_TIMEOUT
        while self.count().sent == 0:
            self._next_line(deadline)

    def settled(self) -> TrafficCount:
        """Returns the count after the next two reports, which includes every request that was running at the call
        and answered promptly."""
        deadline = time.monotonic() + _FIRST_ANSWER_TIMEOUT
        for _ in range(2):
            self._next_line(deadline)
        return self.count()

    def _next_line(self, deadline: float) -> None:
        with self._told:
            seen = self._lines
            while self._lines == seen and self._lines >= 0:
                if not self._told.wait(max(0.0, deadline - time.monotonic())) and time.monotonic() >= deadline:
                    raise RunFailed("the traffic does not start", hint=self._script.errors)
            if self._lines < 0:
                raise self._script.ended()

    def stop(self) -> list[str]:
        """Stops the traffic; returns what was stopped, in words."""
        return self._script.stop()
