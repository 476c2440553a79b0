"""Keeps the snapshot of one environment up to date: a thread follows the engine's events, takes a snapshot after
each of them, and reconnects after the connection broke. Whatever else runs while the engine answers (statistics,
logs) is a `Companion`, which is made with the connection, receives each snapshot and is closed with the connection."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Protocol

from ... import plugins
from ...domain.containers import EngineSnapshot
from ...domain.project import Environment, Project
from ...errors import PodiumError
from ..engine.address import all_of
from ..engine.client import Engine
from ..engine.connections import shared
from .events import Events
from .snapshot import take

# Finds changes whose events were lost; rare enough to cost nothing.
SANITY_INTERVAL = 60.0
# A manager tells nobody of what its Swarm does on other nodes.
_SWARM_INTERVAL = 2.0
# Seconds after which an engine that does not answer counts as away.
TIMEOUT = 10
_MIN_RETRY_INTERVAL = 0.5
_MAX_RETRY_INTERVAL = 5.0

Say = Callable[[str], None]


class Companion(Protocol):
    """Something that runs while an engine answers. `close` ends it, and returns when it has ended."""

    def see(self, snapshot: EngineSnapshot) -> None: ...

    def close(self) -> None: ...


class Watch:
    """Watches one environment, or what one of its hosts has of it. `put` is called in this thread with every
    snapshot that differs from the one before, and with the first one after each connection. An engine that stops
    answering also gives a snapshot: the last one with a message. `say` gets one line when the engine stops
    answering and one when it answers again."""

    def __init__(
        self,
        project: Project,
        environment: Environment,
        put: Callable[[EngineSnapshot], None],
        *,
        say: Say = lambda _: None,
        companions: Collection[Callable[[Engine], Companion]] = (),
        before: EngineSnapshot | None = None,
        host: str = "",
    ) -> None:
        self.project, self.environment, self.host = project, environment, host
        self._put, self._say, self._makers = put, say, tuple(companions)
        self._snapshot = before
        self._trouble: str = ""
        self._connected = False
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._events: Events | None = None
        self._thread = threading.Thread(target=self._run, name=f"containers of {environment.name}", daemon=True)

    def start(self) -> Watch:
        self._thread.start()
        return self

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def close(self, *, patience: float = 5.0) -> None:
        """Ends the watch wherever it waits. A request to an engine that hangs may keep its thread a few seconds
        longer than `patience`."""
        self._stop.set()
        with self._lock:
            if self._events is not None:
                self._events.close()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(patience)

    def _run(self) -> None:
        pause = _MIN_RETRY_INTERVAL
        while not self._stop.is_set():
            self._connected = False
            try:
                # `_follow` returns when an open stream ends, usually because the engine restarted or
                # the connection broke. Only a failure to reconnect is reported.
                self._follow()
            except PodiumError as error:
                if not self._stop.is_set():
                    self._away(error)
            pause = _MIN_RETRY_INTERVAL if self._connected else min(_MAX_RETRY_INTERVAL, pause * 2)
            self._stop.wait(pause)

    def _follow(self) -> None:
        """Follows the engine until the connection ends. Raises if it cannot be opened, or if the engine no longer
        answers."""
        with contextlib.ExitStack() as closing:
            engine = shared(all_of(self.project, self.environment)[self.host], timeout=TIMEOUT)
            events = closing.enter_context(Events(engine, self.project, self.environment))
            with self._lock:
                self._events = events
            companions = [make(engine) for make in self._makers]
            for companion in companions:
                closing.callback(companion.close)
            self._here(take(engine, self.project, self.environment, host=self.host), companions, first=True)
            interval = (
                _SWARM_INTERVAL if plugins.driver_capabilities(self.environment.driver).services else SANITY_INTERVAL
            )
            while not self._stop.is_set():
                assert self._snapshot is not None
                dirty = events.wait(interval, {each.id for each in self._snapshot.containers})
                if dirty is None or self._stop.is_set():
                    return
                found = take(engine, self.project, self.environment, self._snapshot, dirty=dirty, host=self.host)
                self._here(found, companions)

    def _here(self, snapshot: EngineSnapshot, companions: Collection[Companion], *, first: bool = False) -> None:
        self._connected = True
        if self._trouble:
            self._say(f"{self.environment.name}: the engine at {snapshot.engine} answers again")
            self._trouble = ""
        before, self._snapshot = self._snapshot, snapshot
        for companion in companions:
            companion.see(snapshot)
        if first or before is None or (before.containers, before.message) != (snapshot.containers, snapshot.message):
            self._put(snapshot)

    def _away(self, error: PodiumError) -> None:
        if error.message == self._trouble:
            return
        if not self._trouble:
            self._say(f"{self.environment.name}: {error.message}" + (f" ({error.hint})" if error.hint else ""))
        self._trouble = error.message
        last = self._snapshot or EngineSnapshot(
            self.environment.name, self.environment.host or self.project.docker.host, time.time()
        )
        self._snapshot = replace(last, at=time.time(), message=error.message)
        self._put(self._snapshot)
