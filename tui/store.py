"""What the screens show: immutable snapshots with version numbers, written by the pool's threads, read by the UI
thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..core.domain.frozen import Frozen
from ..core.errors import PodiumError


class Snapshot(Frozen):
    """`version` grows whenever value or error differ. After a failure `value` is still the last good one, of the
    time `at`: stale, not gone."""

    key: str
    version: int = 0
    value: Any = None
    at: float | None = None
    error: PodiumError | None = None

    @property
    def loading(self) -> bool:
        return self.at is None and self.error is None


class Store:
    """Snapshots by key. `on_change` is called at most once until `take_changes` was."""

    def __init__(self, clock: Callable[[], float], on_change: Callable[[], None] | None = None) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._snapshots: dict[str, Snapshot] = {}
        self._changed: set[str] = set()
        self._version = 0
        self.on_change = on_change

    def get(self, key: str) -> Snapshot:
        return self._snapshots.get(key) or Snapshot(key)

    def value(self, key: str, default: Any = None) -> Any:
        snapshot = self._snapshots.get(key)
        return default if snapshot is None or snapshot.at is None else snapshot.value

    def put(self, key: str, value: Any) -> None:
        with self._lock:
            old = self._snapshots.get(key)
            now = self._clock()
            if old is not None and old.error is None and old.at is not None and old.value == value:
                self._snapshots[key] = replace(old, at=now)
                return
            self._version += 1
            self._snapshots[key] = Snapshot(key, self._version, value, now)
        self._announce(key)

    def fail(self, key: str, error: PodiumError) -> None:
        with self._lock:
            old = self._snapshots.get(key) or Snapshot(key)
            if old.error is not None and old.error.message == error.message:
                return
            self._version += 1
            self._snapshots[key] = replace(old, version=self._version, error=error)
        self._announce(key)

    def take_changes(self) -> set[str]:
        with self._lock:
            changed, self._changed = self._changed, set()
            return changed

    def _announce(self, key: str) -> None:
        with self._lock:
            first = not self._changed
            self._changed.add(key)
        if first and self.on_change is not None:
            self.on_change()
