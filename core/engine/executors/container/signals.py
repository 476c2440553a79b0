"""The signals by which a worker controls the supervisor of a step's container.

SIGTERM: end the step. SIGUSR2: kill it. SIGHUP, which the kernel sends when the worker is gone: leave the container to
the next worker. A thread of its own sends the requests to the engine, so that a signal never interrupts what the main
thread is in the middle of.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
from types import FrameType

from ....child import end_with_parent
from ....containers.engine.client import Engine
from ....errors import Interrupted, PodiumError


class WorkerGone(BaseException):
    """Raised when the worker is gone; the container stays as it is."""


class SignalForwarder:
    """Receives the worker's signals and passes them on to the container. `signalled` is whether the worker had the step
    end."""

    def __init__(self, worker: int) -> None:
        self.signalled = False
        self._worker = worker
        self._preparing = True
        self._asked: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._pending = ""
        self._container = ""
        self._engine: Engine | None = None
        for number, handler in (
            (signal.SIGTERM, self._term),
            (signal.SIGUSR2, self._kill),
            (signal.SIGHUP, self._orphaned),
        ):
            signal.signal(number, handler)
        end_with_parent(signal.SIGHUP)
        if os.getppid() != worker:
            raise WorkerGone

    def defer_signals(self) -> None:
        """From here on a signal is remembered instead of raised: there may be a container to end, or work to lose."""
        self._preparing = False

    def control(self, engine: Engine, container: str) -> None:
        """Passes signals on to the container: one that came before, and those to come. Called again after the engine
        was lost and answers again."""
        first = self._engine is None
        self._engine, self._container = engine, container
        if first:
            threading.Thread(target=self._pass_on, daemon=True, name="control").start()
        if self._pending:
            self._asked.put(self._pending)

    def _term(self, number: int, frame: FrameType | None) -> None:
        if os.getppid() != self._worker:
            raise WorkerGone
        self.signalled = True
        if self._preparing:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            raise Interrupted("told to end")
        self._ask("SIGTERM")

    def _kill(self, number: int, frame: FrameType | None) -> None:
        self.signalled = True
        if self._preparing:
            signal.signal(signal.SIGUSR2, signal.SIG_IGN)
            raise Interrupted("told to end")
        self._ask("SIGKILL")

    def _orphaned(self, number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise WorkerGone

    def _ask(self, what: str) -> None:
        self._pending = what
        if self._container:
            self._asked.put(what)

    def _pass_on(self) -> None:
        while True:
            what = self._asked.get()
            engine = self._engine
            if engine is None:
                continue
            try:
                with engine.doing("ending the container"):
                    engine.api.kill(self._container, what)
            except PodiumError:
                # It has ended by itself, or the engine is away: then it is asked again when the engine is back.
                continue
