"""What an engine runs for an environment, as far as it is known: the snapshot that the agent keeps up to date,
otherwise a fresh one."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ... import plugins
from ...domain.containers import EngineSnapshot
from ...errors import PodiumError

if TYPE_CHECKING:
    from .runtime import EnvironmentRuntime


class LastSnapshots:
    """The last snapshot that this process took of each environment: only what has changed since is inspected again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._snapshots: dict[tuple[str, str], EngineSnapshot] = {}

    def get(self, home: Path, environment: str) -> EngineSnapshot | None:
        with self._lock:
            return self._snapshots.get((str(home), environment))

    def put(self, home: Path, snapshot: EngineSnapshot) -> None:
        with self._lock:
            self._snapshots[str(home), snapshot.environment] = snapshot


_last: Final = LastSnapshots()


def snapshot(runtime: EnvironmentRuntime, *, fresh: bool = False) -> EngineSnapshot | None:
    """None for an environment that no engine serves. `fresh` asks the engine in any case, and each container closely.

    While an agent follows the engine, what it wrote is true however long ago that was. Where none does, the engine
    is asked; one that does not answer gives a snapshot with a message.
    """
    if not plugins.driver_capabilities(runtime.environment.driver).engine:
        return None
    kept = runtime.journal.snapshots.get(runtime.name)
    if not fresh and kept is not None and runtime.journal.agent.status().follows(kept):
        return kept
    return _look(runtime, kept, fresh=fresh)


def _look(runtime: EnvironmentRuntime, kept: EngineSnapshot | None, *, fresh: bool) -> EngineSnapshot:
    from ...containers.engine.address import of_environment
    from ...containers.engine.connections import LOOK_TIMEOUT, shared
    from ...containers.observe.snapshot import take

    before = _last.get(runtime.project.home, runtime.name)
    try:
        address = of_environment(runtime.project, runtime.environment)
        found = take(
            shared(address, timeout=LOOK_TIMEOUT),
            runtime.project,
            runtime.environment,
            before,
            dirty=None if fresh or before is None else (),
        )
    except PodiumError as error:
        last = kept or before
        return EngineSnapshot(
            runtime.name,
            last.engine if last else runtime.environment.host,
            last.at if last else 0.0,
            last.containers if last else (),
            error.message,
        )
    _last.put(runtime.project.home, found)
    return found
