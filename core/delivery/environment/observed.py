"""What an engine runs for an environment, as far as it is known: the snapshot that the agent keeps up to date,
otherwise a fresh one."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ... import plugins
from ...domain.containers import EngineSnapshot
from ...errors import PodiumError

if TYPE_CHECKING:
    from ...containers.engine.address import Address
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
    from ...containers.engine.address import all_of

    before = _last.get(runtime.project.home, runtime.name)
    found: dict[str, EngineSnapshot] = {}
    message = ""
    try:
        absent = runtime.driver.absent()
        for host, address in all_of(runtime.project, runtime.environment).items():
            if host in absent:
                message = message or absent[host].why
                continue
            try:
                found[host] = _taken(runtime, address, host, before, fresh=fresh)
            except PodiumError as error:
                message = message or error.message
    except PodiumError as error:
        message = error.message
    if not found:
        last = kept or before
        return EngineSnapshot(
            runtime.name,
            last.engine if last else runtime.environment.host,
            last.at if last else 0.0,
            last.containers if last else (),
            message,
        )
    one = found.get("") or _merged(kept or before, found)
    _last.put(runtime.project.home, one)
    return one


def _taken(
    runtime: EnvironmentRuntime, address: Address, host: str, before: EngineSnapshot | None, *, fresh: bool
) -> EngineSnapshot:
    from ...containers.engine.connections import LOOK_TIMEOUT, shared
    from ...containers.observe.snapshot import take

    dirty = None if fresh or before is None else ()
    engine = shared(address, timeout=LOOK_TIMEOUT)
    return take(engine, runtime.project, runtime.environment, before, dirty=dirty, host=host)


def _merged(before: EngineSnapshot | None, found: Mapping[str, EngineSnapshot]) -> EngineSnapshot:
    from ...containers.observe.snapshot import merged

    return merged(before, found, ", ".join(one.engine for one in found.values()))
