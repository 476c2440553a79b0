"""One attempt at a step, from the started command to its last line: reads what it prints, ends it when it must end,
and what it left behind.

A step is over when its command has ended. Processes that it left running are told to end (TERM), then ended (KILL):
a step that could leave something running would not be a step.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..logs.writer import StepLog
from .executors import Execution

GRACE = 5.0
# After KILL only a process that is stuck in the kernel is still there; nobody waits for it longer than this.
_GIVE_UP = 3.0
_CHUNK = 1 << 18
_TAIL = 8192
_POLL = 0.05
# A line without an end (a prompt, a progress bar) is shown when nothing has come for so long. Less would tear lines on
# a busy machine.
_SILENCE = 1.0


@dataclass(slots=True)
class Ending:
    """How an attempt ended. `reason` is empty when the command ended by itself, else why it was ended. `last` is its
    last words on stderr, secrets and all."""

    code: int
    reason: str = ""
    last: str = ""

    @property
    def good(self) -> bool:
        return self.code == 0 and not self.reason

    def describe(self) -> str:
        if self.reason:
            return self.reason
        if self.code < 0:
            return f"ended by signal {-self.code} ({_signal_name(-self.code)})"
        return f"exit code {self.code}"


class Attempt:
    def __init__(
        self,
        execution: Execution,
        log: StepLog,
        *,
        timeout: float | None,
        unwatch: Callable[[int], object],
        grace: float = GRACE,
    ) -> None:
        self._execution = execution
        self._log = log
        self._streams = {execution.stdout: "o", execution.stderr: "e"}
        self._unwatch = unwatch
        self._grace = grace
        self._timeout = timeout
        self._timeout_at = None if timeout is None else time.monotonic() + timeout
        self._kill_at: float | None = None
        self._give_up_at: float | None = None
        self._reason = ""
        self._tail = b""
        self._heard_at = 0.0
        self.code: int | None = None
        for descriptor in self._streams:
            os.set_blocking(descriptor, False)

    @property
    def descriptors(self) -> list[int]:
        return list(self._streams)

    def read(self, descriptor: int) -> bool:
        """Take over what is there, at most a chunk. False when there is nothing (more) to read now."""
        stream = self._streams.get(descriptor)
        if stream is None:
            return False
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._close(descriptor)
            return False
        if stream == "e":
            self._tail = (self._tail + data)[-_TAIL:]
        self._log.feed(stream, data)
        self._heard_at = time.monotonic()
        return True

    def stop(self, reason: str) -> None:
        """Have it end: TERM now, KILL after the grace period. A second call does not start the grace period again."""
        if self._kill_at is None:
            self._reason = self._reason or reason
            self._kill_at = time.monotonic() + self._grace
            self._execution.terminate()

    def advance(self) -> Ending | None:
        """To be called after a child has ended and whenever `next_look` says so; the ending, once everything is
        over."""
        now = time.monotonic()
        if self._log.unfinished and now >= self._heard_at + _SILENCE:
            self._log.flush()
        if self.code is None:
            self.code = self._execution.poll()
        if self.code is None:
            if self._timeout_at is not None and now >= self._timeout_at:
                self._timeout_at = None
                self._log.note(f"timed out after {_seconds(self._timeout or 0)}: told to end")
                self.stop(f"timed out after {_seconds(self._timeout or 0)}")
            self._kill_if_due(now)
            return None
        if self._still_left(now):
            return None
        return self._finish()

    def next_look(self) -> float | None:
        """When `advance` has something to do even if nothing happens, on the monotonic clock."""
        if self.code is not None or (self._kill_at is not None and self._give_up_at is not None):
            return time.monotonic() + _POLL
        silence = self._heard_at + _SILENCE if self._log.unfinished else None
        return min((at for at in (self._timeout_at, self._kill_at, silence) if at is not None), default=None)

    def _kill_if_due(self, now: float) -> None:
        if self._kill_at is not None and now >= self._kill_at:
            if self._give_up_at is None:
                self._give_up_at = now + _GIVE_UP
                self._log.note(f"still running after {_seconds(self._grace)}: killed")
            self._execution.kill()

    def _still_left(self, now: float) -> bool:
        count = self._execution.leftovers()
        if not count:
            return False
        if self._give_up_at is not None and now >= self._give_up_at:
            self._log.note("something that it started cannot be ended; it is left alone")
            return False
        if self._kill_at is None:
            self._log.note("the command has ended, but not all that it started: that is told to end")
            self._kill_at = now + self._grace
            self._execution.terminate()
        self._kill_if_due(now)
        return True

    def _finish(self) -> Ending:
        # Whoever still holds the other end of a pipe could write for ever: only what is there already is taken, and no
        # more than a pipe can hold.
        for descriptor in self.descriptors:
            for _ in range(64):
                if not self.read(descriptor):
                    break
            self._close(descriptor)
        assert self.code is not None
        return Ending(self.code, self._reason, _last_words(self._tail))

    def abandon(self) -> None:
        """The worker cannot go on (a full disk): end it without looking back."""
        self._execution.kill()
        for descriptor in self.descriptors:
            self._close(descriptor)

    def _close(self, descriptor: int) -> None:
        if self._streams.pop(descriptor, None) is not None:
            self._unwatch(descriptor)
            os.close(descriptor)


def _last_words(tail: bytes) -> str:
    """The last line. Of one that does not begin within the tail, the words from the second on: the first may be the
    end of a secret."""
    text = tail.decode("utf-8", "replace")
    lines = text.strip().splitlines()
    if not lines:
        return ""
    if len(tail) == _TAIL and len(text.lstrip().splitlines()) == 1:
        return lines[0].partition(" ")[2].strip()
    return lines[-1].strip()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


def _seconds(value: float) -> str:
    if value >= 60 and value % 60 == 0:
        return f"{value / 60:g} min"
    return f"{value:g} s"
