"""One attempt at a step, from the started command to its last line: reads its output, and stops it and what it left
running.

A step has finished when its command has exited. Processes that it left running get SIGTERM, then SIGKILL: a step
that could leave processes running would not be a step.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from ...domain.text import telling_line
from ...logs.writer import StepLog
from ..executors import Execution

# How long an attempt may take to end after SIGTERM before it gets SIGKILL.
STOP_GRACE = 5.0
# After SIGKILL only a process that is stuck in the kernel is still there; it is waited for no longer than this.
KILL_TIMEOUT = 3.0
CHUNK_BYTES = 1 << 18
# How much of the end of standard error is kept for the last words, and how many chunks a pipe can still hold.
TAIL_BYTES = 8192
MAX_LAST_CHUNKS = 64
POLL_INTERVAL = 0.05
# A line without an end (a prompt, a progress bar) is shown when nothing has come for so long. Less would tear lines on
# a busy machine.
LINE_TIMEOUT = 1.0
# A progress bar that moves slowly is shown less and less often: each state that is shown is a record of its own.
MAX_LINE_TIMEOUT = 60.0


def show_at(heard: float, shown: float, pieces: int) -> float:
    """Returns when a line that has no end yet is shown as far as it is: after a silence since `heard`, and where
    `pieces` of it were shown, the last one at `shown`, after twice as long as the time before."""
    silent = heard + LINE_TIMEOUT
    return max(silent, shown + min(MAX_LINE_TIMEOUT, LINE_TIMEOUT * 2.0 ** min(pieces, 10))) if pieces else silent


@dataclass(slots=True)
class AttemptEnd:
    """How an attempt ended. `reason` is empty if the command ended by itself, otherwise it says why it was stopped.
    `last` is the line that says why, unmasked: of what it wrote last to stderr, or else to stdout."""

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
        grace: float = STOP_GRACE,
    ) -> None:
        self._execution = execution
        self._log = log
        self._streams = {execution.stdout: "o", execution.stderr: "e"}
        self._unwatch = unwatch
        self._grace = grace
        self._timeout = timeout
        self._timeout_at = None if timeout is None else time.monotonic() + timeout
        # Set by `stop`: when SIGKILL follows; and by SIGKILL: when the attempt is left alone.
        self._kill_at: float | None = None
        self._give_up_at: float | None = None
        self._reason = ""
        self._tails = {"o": b"", "e": b""}
        self._heard_at = self._shown_at = 0.0
        self.code: int | None = None
        for descriptor in self._streams:
            os.set_blocking(descriptor, False)

    @property
    def wake(self) -> int | None:
        """The descriptor that tells of the execution's news (`Execution`); None where SIGCHLD does."""
        return None if self.code is not None else getattr(self._execution, "wake", None)

    @property
    def descriptors(self) -> list[int]:
        return list(self._streams)

    def read(self, descriptor: int) -> bool:
        """Reads what is there, at most a chunk; returns False if there is nothing (more) to read now."""
        stream = self._streams.get(descriptor)
        if stream is None:
            return False
        try:
            data = os.read(descriptor, CHUNK_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._close(descriptor)
            return False
        self._tails[stream] = (self._tails[stream] + data)[-TAIL_BYTES:]
        self._log.feed(stream, data)
        self._heard_at = time.monotonic()
        return True

    def stop(self, reason: str) -> None:
        """Stops it: SIGTERM now, SIGKILL after the grace period, which a second call does not extend."""
        if self._kill_at is None:
            self._reason = self._reason or reason
            self._kill_at = time.monotonic() + self._grace
            self._execution.terminate()

    def advance(self) -> AttemptEnd | None:
        """Does what is due; returns the ending once everything has ended. To be called after a child has ended and
        whenever `next_look` says so."""
        now = time.monotonic()
        if self._log.unfinished and now >= self._show_at():
            self._log.flush()
            self._shown_at = now
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
        """Returns when `advance` has something to do even if nothing happens, on the monotonic clock."""
        if self.code is not None or (self._kill_at is not None and self._give_up_at is not None):
            return time.monotonic() + POLL_INTERVAL
        silence = self._show_at() if self._log.unfinished else None
        return min((at for at in (self._timeout_at, self._kill_at, silence) if at is not None), default=None)

    def _show_at(self) -> float:
        return show_at(self._heard_at, self._shown_at, self._log.pieces)

    def _kill_if_due(self, now: float) -> None:
        if self._kill_at is not None and now >= self._kill_at:
            if self._give_up_at is None:
                self._give_up_at = now + KILL_TIMEOUT
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
            self._log.note("the command exited but left processes running; terminating them")
            self._kill_at = now + self._grace
            self._execution.terminate()
        self._kill_if_due(now)
        return True

    def _finish(self) -> AttemptEnd:
        # Whoever still holds the other end of a pipe could write for ever: only what is there already is taken, and no
        # more than a pipe can hold.
        for descriptor in self.descriptors:
            for _ in range(MAX_LAST_CHUNKS):
                if not self.read(descriptor):
                    break
            self._close(descriptor)
        assert self.code is not None
        said = _last_words(self._tails["e"])
        if not said and not getattr(self._execution, "adds_lines", False):
            said = _last_words(self._tails["o"])
        return AttemptEnd(self.code, self._reason, said)

    def abandon(self) -> None:
        """Kills it without waiting, because the worker cannot continue (a full disk)."""
        self._execution.kill()
        for descriptor in self.descriptors:
            self._close(descriptor)

    def _close(self, descriptor: int) -> None:
        if self._streams.pop(descriptor, None) is not None:
            self._unwatch(descriptor)
            os.close(descriptor)


def _last_words(tail: bytes) -> str:
    """Returns the line that says why. If it does not begin within the tail, it starts at its second word: the first may
    be the end of a secret."""
    text = tail.decode("utf-8", "replace")
    if len(tail) == TAIL_BYTES and len(text.lstrip().splitlines()) == 1:
        return text.strip().partition(" ")[2].strip()
    if len(tail) == TAIL_BYTES:  # the first line is the rest of one
        text = text.partition("\n")[2]
    return telling_line(text)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


def _seconds(value: float) -> str:
    if value >= 60 and value % 60 == 0:
        return f"{value / 60:g} min"
    return f"{value:g} s"
