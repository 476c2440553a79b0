"""Shadow replicas: one of the candidate and one of the champion, started by the environment's driver for a replay
and ended with it. They have no row in the journal and are not in the proxy, so that they are not counted, healed or
routed to. An environment has one replay at a time and its shadows have fixed names: the markers of the shadows find
what a killed replay left behind."""

from __future__ import annotations

import contextlib
import time
from types import TracebackType
from typing import Self

from ...domain.delivery import Replica, ReplicaState
from ...domain.project import Project
from ...errors import PodiumError, RunFailed
from ...journal import Journal
from ...journal.locks import Lock
from .. import drivers
from ..environment.runtime import EnvironmentRuntime
from ..host.paths import private

SIDES = ("champion", "candidate")
_LOCK_PREFIX = "replay on "
_STOP_GRACE = 0.2  # seconds; no client waits for their answers


class Shadows:
    """Holds the environment's replay lock while it is open (raises Refused if another replay has it), and always
    ends its replicas when it is left."""

    def __init__(self, runtime: EnvironmentRuntime, *, who: str, why: str) -> None:
        self._runtime, self._who, self._why = runtime, who, why
        self._lock: Lock | None = None
        self._running: list[Replica] = []

    def __enter__(self) -> Self:
        self._lock = self._runtime.journal.locks.take(f"{_LOCK_PREFIX}{self._runtime.name}", self._who, self._why)
        try:
            end_strays(self._runtime)
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._end()
        finally:
            if self._lock is not None:
                self._lock.release()

    def start(self, side: str, version: int, digest: str) -> Replica:
        """Starts one side's replica and returns without waiting for its health."""
        runtime = self._runtime
        taken = (
            runtime.journal.replicas.ports()
            | {row.port for row in self._running}
            | {each.port for each in runtime.project.environments.values()}
        )
        port = runtime.driver.port(0, taken)
        row = Replica(
            _id(runtime, side),
            runtime.name,
            version,
            f"shadow-{side}",
            port,
            ReplicaState.STARTING,
            digest=digest,
            started=time.time(),
        )
        known = runtime.version(version)
        spec = drivers.ReplicaSpec(
            id=row.id,
            environment=runtime.name,
            model=runtime.model,
            version=version,
            port=port,
            files=runtime.files.directory(version),
            digest=digest,
            commit=known.commit,
            capture_dir=private(runtime.directory / "shadow"),
            capture_rate=0.0,
            log=runtime.log(row),
            marker=runtime.marker(row.id),
            slot=row.slot,
            mlflow_run=known.mlflow_run,
            run_id=known.run_id,
            shadow=True,
            taken=drivers.addresses_beside(row.id, runtime.replicas()),
        )
        runtime.log(row).unlink(missing_ok=True)
        row = runtime.driver.start(spec).written_to(row)
        self._running.append(row)
        runtime.say(f"started a shadow of version {version}, the {side}: it gets no traffic")
        return row

    def wait(self) -> None:
        """Waits until all replicas answer /ping. Raises RunFailed with the end of the log if one ends or takes
        longer than `health_timeout`."""
        runtime, deadline = self._runtime, time.monotonic() + self._runtime.environment.health_timeout
        for row in self._running:
            while not runtime.lifecycle.healthy(row):
                if not runtime.driver.alive(row):
                    report = runtime.lifecycle.failure_report(row)
                    raise RunFailed(
                        f"the shadow of version {row.version} ended while it was starting.{report}",
                        hint=f"its log: {runtime.log(row)}",
                    )
                if time.monotonic() > deadline:
                    text = (
                        f"the shadow of version {row.version} is not healthy after"
                        f" {runtime.environment.health_timeout:g} s."
                    )
                    raise RunFailed(
                        f"{text}{runtime.lifecycle.failure_report(row)}", hint=f"its log: {runtime.log(row)}"
                    )
                time.sleep(0.05)

    def _end(self) -> None:
        for row in self._running:
            with contextlib.suppress(PodiumError):
                self._runtime.driver.stop(row, grace=_STOP_GRACE)
        # The interruption may have come between the start of a replica and its entry here.
        end_strays(self._runtime)


def _id(runtime: EnvironmentRuntime, side: str) -> str:
    return f"{runtime.name}-shadow-{side}"


def end_strays(runtime: EnvironmentRuntime) -> int:
    """Ends shadows that no replay uses, and returns how many. The caller has the replay lock."""
    return sum(runtime.driver.stop_lost(runtime.marker(_id(runtime, side))) for side in SIDES)


def sweep(project: Project, journal: Journal) -> list[str]:
    """Ends what killed replays left behind, and returns descriptions of it. Costs one read of the locks if there is
    nothing."""
    done: list[str] = []
    for holder in journal.locks.all():
        if not holder.name.startswith(_LOCK_PREFIX) or holder.alive:
            continue
        config = project.environments.get(holder.name.removeprefix(_LOCK_PREFIX))
        count = end_strays(EnvironmentRuntime(project, journal, config)) if config is not None else 0
        journal.locks.give_back(holder)
        done.append(
            f"{holder.name.removeprefix(_LOCK_PREFIX)}: a replay was killed; {count} of its shadow replicas were ended"
        )
    return done
