"""The running attempts of a run: their pipes on one selector, and the socket into which signals are written."""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

from ...logs.writer import StepLog
from ..executors import Execution
from .attempt import Attempt, AttemptEnd

# More than the signals of any moment: what is left in the socket wakes the loop once more.
WAKE_BYTES = 4096


class Attempts:
    """Attempts by the name of their step. `wake` is the end of a socket pair into which signals are written; `grace`
    is how many seconds an attempt may take to end before it is killed."""

    def __init__(self, wake: socket.socket, *, grace: float) -> None:
        self._wake, self._grace = wake, grace
        self._attempts: dict[str, Attempt] = {}
        self._readers: dict[int, Attempt] = {}
        # Copies of the descriptors that tell of news, by the step's name; dropped when there is some.
        self._ends: dict[int, str] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(wake, selectors.EVENT_READ)

    def __len__(self) -> int:
        return len(self._attempts)

    def __contains__(self, name: str) -> bool:
        return name in self._attempts

    def add(self, name: str, execution: Execution, log: StepLog, *, timeout: float | None) -> Attempt:
        """Takes over a started execution: from now on its output is read."""
        attempt = Attempt(execution, log, timeout=timeout, unwatch=self._unwatch, grace=self._grace)
        self._attempts[name] = attempt
        for descriptor in attempt.descriptors:
            self._readers[descriptor] = attempt
            self._selector.register(descriptor, selectors.EVENT_READ)
        return attempt

    def next_look(self) -> float | None:
        """Returns when an attempt has something to do even if nothing happens (a time-out, a kill)."""
        looks = (attempt.next_look() for attempt in self._attempts.values())
        return min((at for at in looks if at is not None), default=None)

    def wait(self, until: float) -> bool:
        """Reads output until `until` (monotonic) at the latest; returns whether an attempt may have ended: a signal
        came (SIGCHLD), an execution has news, a time-out is due, or no pipe is open any more."""
        self._watch_ends()
        events = self._selector.select(max(0.0, until - time.monotonic()))
        signalled = any(key.fileobj is self._wake or key.fd in self._ends for key, _ in events)
        self._take(events)
        return signalled or time.monotonic() >= until or not self._readers

    def read_now(self) -> None:
        """Reads what is there without waiting, so that pipes do not fill up while something else takes long."""
        self._take(self._selector.select(0))

    def take_ended(self) -> Iterator[tuple[str, AttemptEnd]]:
        """Lets every attempt do what is due, and yields and removes those that have ended."""
        for name, attempt in list(self._attempts.items()):
            ending = attempt.advance()
            if ending is not None:
                del self._attempts[name]
                for copy in [copy for copy, step in self._ends.items() if step == name]:
                    self._drop_end(copy)
                yield name, ending

    def stop(self, reason: str, *, only: str | None = None) -> None:
        """Stops all of them, or one."""
        for name, attempt in self._attempts.items():
            if only in (None, name):
                attempt.stop(reason)

    def abandon(self) -> None:
        """Kills all of them without waiting, because the runner cannot continue."""
        for attempt in self._attempts.values():
            attempt.abandon()

    def close(self) -> None:
        """Closes the selector."""
        for copy in list(self._ends):
            self._drop_end(copy)
        self._selector.close()

    def _take(self, events: list[tuple[selectors.SelectorKey, int]]) -> None:
        for key, _ in events:
            if key.fileobj is self._wake:
                with suppress(BlockingIOError):
                    self._wake.recv(WAKE_BYTES)
            elif attempt := self._readers.get(key.fd):
                attempt.read(key.fd)
            elif key.fd in self._ends:
                self._drop_end(key.fd)

    def _watch_ends(self) -> None:
        """Watches a copy of each execution's `wake`, which the execution may close or exchange when it is polled."""
        watched = set(self._ends.values())
        for name, attempt in self._attempts.items():
            if name not in watched and attempt.wake is not None:
                copy = os.dup(attempt.wake)
                self._ends[copy] = name
                self._selector.register(copy, selectors.EVENT_READ)

    def _drop_end(self, copy: int) -> None:
        self._selector.unregister(copy)
        os.close(copy)
        del self._ends[copy]

    def _unwatch(self, descriptor: int) -> None:
        self._readers.pop(descriptor, None)
        self._selector.unregister(descriptor)
