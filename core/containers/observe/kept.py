"""Stores the snapshots of all watches in the journal: by one thread, as many as have come meanwhile at once. Hundreds
of watches that each write would wait for each other's commits until one of them gives up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from ...domain.containers import EngineSnapshot
from ...errors import PodiumError
from ...journal import Journal
from .snapshot import merged

# Seconds after which a journal that could not be written is tried again.
RETRY_INTERVAL = 1.0
CLOSE_TIMEOUT = 5.0


class Snapshots:
    """Writes in a thread of its own, which ends with `close`. A newer snapshot replaces one that still waits. `say`
    gets a line when the journal cannot be written."""

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        self._path, self._say = path, say
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, str], EngineSnapshot] = {}
        self._some, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="snapshots", daemon=True)
        self._thread.start()

    def put(self, host: str, snapshot: EngineSnapshot) -> None:
        """Has a snapshot stored: of one of several hosts, or of all (`host` empty). Returns at once."""
        with self._lock:
            self._waiting[snapshot.environment, host] = snapshot
        self._some.set()

    def close(self) -> None:
        """Stores what waits, and ends the thread."""
        self._stop.set()
        self._some.set()
        self._thread.join(CLOSE_TIMEOUT)

    def _run(self) -> None:
        trouble = ""
        while not self._stop.is_set() or self._waiting:
            self._some.wait()
            self._some.clear()
            with self._lock:
                taken, self._waiting = self._waiting, {}
            try:
                if taken:
                    store(self._path, taken)
                trouble = ""
            except (PodiumError, OSError) as error:
                text = error.message if isinstance(error, PodiumError) else str(error)
                if text != trouble:
                    self._say(f"snapshots cannot be kept: {text}")
                trouble = text
                with self._lock:
                    self._waiting = taken | self._waiting
                if self._stop.wait(RETRY_INTERVAL):
                    return
                self._some.set()


def store(path: Path, snapshots: Mapping[tuple[str, str], EngineSnapshot]) -> None:
    """Writes snapshots by (environment, host)."""
    with Journal.open(path) as journal, journal.transaction():
        for (_, host), snapshot in snapshots.items():
            if host:
                _put_one_of_several(journal, host, snapshot)
            else:
                journal.snapshots.put(snapshot)


def _put_one_of_several(journal: Journal, host: str, snapshot: EngineSnapshot) -> None:
    """Keeps what one of several hosts runs. One that does not answer is left as it was: healing says so."""
    if snapshot.message:
        return
    before = journal.snapshots.get(snapshot.environment)
    engine = before.engine if before is not None else snapshot.engine
    journal.snapshots.put(merged(before, {host: snapshot}, engine))
