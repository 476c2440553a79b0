"""What a worker may tell the process that looks after a step's container, and how: by signals, because they always
arrive.

TERM: have the step end. USR2: end it now. HUP, which the kernel sends when the worker is gone: let go of the
container, for the next worker to take over. Requests to the engine are made by a thread of their own, so that a
signal never interrupts what the main thread is in the middle of.
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


class LetGo(BaseException):
    """The worker is gone; the container stays as it is."""


class Control:
    def __init__(self, worker: int) -> None:
        self.told = False
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
            raise LetGo

    def hold(self) -> None:
        """From here on there is something to lose: being told to end is remembered instead of raised."""
        self._preparing = False

    def attend(self, engine: Engine, container: str) -> None:
        """The container runs: pass on what was asked, and what will be. Called again after the engine was lost and
        found."""
        first = self._engine is None
        self._engine, self._container = engine, container
        if first:
            threading.Thread(target=self._pass_on, daemon=True, name="control").start()
        if self._pending:
            self._asked.put(self._pending)

    def _term(self, number: int, frame: FrameType | None) -> None:
        if os.getppid() != self._worker:
            raise LetGo
        self.told = True
        if self._preparing:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            raise Interrupted("told to end")
        self._ask("SIGTERM")

    def _kill(self, number: int, frame: FrameType | None) -> None:
        self.told = True
        if self._preparing:
            signal.signal(signal.SIGUSR2, signal.SIG_IGN)
            raise Interrupted("told to end")
        self._ask("SIGKILL")

    def _orphaned(self, number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise LetGo

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
