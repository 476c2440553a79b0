"""The status of an environment, and stopping one.

Reads the journal, /proc and the proxy's socket, and for containers asks their engine for one list. An engine that
does not answer is reported, not raised.
"""

from __future__ import annotations

import time
from dataclasses import replace

from ...domain.delivery import EnvironmentStatus, Replica, ReplicaState, Stopped
from ...domain.frozen import Frozen
from ...domain.project import Environment, Project
from ...domain.repair import Difference
from ...errors import PodiumError, Unreachable
from ...identity.account import whoami
from ...journal import Journal
from ..environment import observed
from ..environment.ending import end_all
from ..environment.history import EnvironmentHistory, carries, why_no_way_back
from ..environment.lock import lock_name, operation
from ..environment.registry_view import RegistryView
from ..environment.runtime import EnvironmentRuntime, Say, quiet
from ..environment.served_at import STOPPED
from ..rollout import canary
from . import differences
from .traffic_shares import shares, under_way

_ROLLBACK_SECONDS = 0.5
_START_SECONDS = 5.0
_NOT_KNOWN = "the engine that would know does not answer"


class ObservedEnvironment(Frozen):
    """An environment as it is now. `trouble` says why that could not be determined, empty if it could; `replicas`
    are the rows with their actual state."""

    history: EnvironmentHistory
    replicas: tuple[Replica, ...]
    proxy_alive: bool
    trouble: str
    differences: tuple[Difference, ...]


def look(runtime: EnvironmentRuntime, *, busy: bool = False, fresh: bool = False) -> ObservedEnvironment:
    """Looks at an environment. `busy`: a change is in progress, whose own differences are left out. `fresh`: the
    engine is asked, whatever the agent knows."""
    model = runtime.model
    past = EnvironmentHistory.load(runtime.journal, model, runtime.name)
    registry = RegistryView.load(runtime.journal, model)
    replicas, proxy_alive, trouble = _seen(runtime)
    try:
        snapshot = None if trouble else observed.snapshot(runtime, fresh=fresh)
        return ObservedEnvironment(
            past,
            replicas,
            proxy_alive,
            trouble,
            differences.find(runtime, past, registry, replicas, trouble, snapshot, busy=busy),
        )
    except Unreachable as error:
        # The engine went away while it was asked.
        replicas = tuple(replace(row, state=ReplicaState.UNKNOWN) for row in replicas)
        found = differences.find(runtime, past, registry, replicas, error.message, None, busy=busy)
        return ObservedEnvironment(past, replicas, proxy_alive, error.message, found)


def status(project: Project, journal: Journal, environment: Environment, *, fresh: bool = False) -> EnvironmentStatus:
    """Returns everything a screen shows about one environment, in a few milliseconds. `fresh` as in `look`."""
    runtime = EnvironmentRuntime(project, journal, environment)
    holder = journal.locks.holder(lock_name(environment.name))
    busy = holder is not None and holder.alive
    seen = look(runtime, busy=busy, fresh=fresh)
    past = seen.history
    back = past.good_before()
    seconds, note = _readiness(runtime, past, seen)
    rollout = under_way(runtime) if busy else None
    return EnvironmentStatus(
        name=environment.name,
        driver=environment.driver,
        url=_url(runtime),
        protected=environment.protected,
        carries=carries(project, environment.name),
        strategy=environment.strategy.kind,
        serving=past.serving,
        previous=next(iter(past.earlier), None),
        deployment=past.current,
        replicas=seen.replicas,
        differences=seen.differences,
        rollback_to=back,
        rollback_seconds=seconds,
        rollback_note=note,
        proxy_alive=seen.proxy_alive,
        locked_by=str(holder) if busy else "",
        canary=canary.status(journal, environment.name) if busy else None,
        traffic=shares(runtime, seen.replicas, ask=rollout is not None) if seen.proxy_alive else {},
        rollout=rollout,
        stopped=past.stopped,
        model=runtime.model,
    )


def stop(project: Project, journal: Journal, environment: Environment, *, say: Say = quiet) -> list[str]:
    """Stops the proxy and every replica of an environment and removes their rows, for the end of a demonstration or a
    test; returns what was stopped, in words. Raises Refused while an operation changes it.

    Like a person's stop, which is an operation (`rollout/stop.py`), it is noted, and holds until something is deployed.
    """
    runtime = EnvironmentRuntime(project, journal, environment, say=say)
    with operation(journal, runtime.directory, environment.name, who=whoami(), why="stop"):
        current = journal.ledger.current(environment.name)
        if current is not None:
            journal.stops.put(Stopped(environment.name, current.id, whoami(), time.time()))
        stopped = end_all(runtime)
        if stopped:
            journal.audit.add(whoami(), STOPPED, environment.name, ", ".join(stopped))
    return stopped


def _seen(runtime: EnvironmentRuntime) -> tuple[tuple[Replica, ...], bool, str]:
    """Returns (the rows with their actual state; whether the proxy is known to be running; why that could not be
    determined, empty if it could)."""
    rows = runtime.replicas()
    trouble, proxy_alive = "", False
    try:
        rows = [_state(runtime, row) for row in rows]
    except PodiumError as error:
        trouble = error.message
        rows = [replace(row, state=ReplicaState.UNKNOWN) for row in rows]
    try:
        proxy_alive = runtime.proxy.alive()
    except PodiumError as error:
        trouble = trouble or error.message
    return tuple(rows), proxy_alive, trouble


def _state(runtime: EnvironmentRuntime, row: Replica) -> Replica:
    if row.host in runtime.driver.absent():
        return replace(row, state=ReplicaState.UNKNOWN)
    there = runtime.driver.kept(row) if row.state is ReplicaState.STOPPED else runtime.driver.alive(row)
    return row if there else replace(row, state=ReplicaState.DEAD)


def _url(runtime: EnvironmentRuntime) -> str:
    try:
        return runtime.driver.url()
    except PodiumError:
        return ""


def _readiness(
    runtime: EnvironmentRuntime, past: EnvironmentHistory, seen: ObservedEnvironment
) -> tuple[float | None, str]:
    """Returns (expected seconds until it takes traffic, why) for the version that a rollback brings back."""
    back = past.good_before()
    if back is None:
        return None, why_no_way_back(runtime.journal, runtime.model, past)
    try:
        return _ready(runtime, back, past, seen.replicas) if not seen.trouble else (None, _NOT_KNOWN)
    except Unreachable:
        return None, _NOT_KNOWN


def _ready(
    runtime: EnvironmentRuntime, back: int, past: EnvironmentHistory, replicas: tuple[Replica, ...]
) -> tuple[float, str]:
    if _warm(runtime, back, replicas):
        return past.warm_seconds or _ROLLBACK_SECONDS, f"version {back} is warm"
    start = (past.start_seconds or _START_SECONDS) + _ROLLBACK_SECONDS
    if (
        len([r for r in replicas if r.version == back and r.state is ReplicaState.STOPPED])
        >= runtime.environment.replicas
    ):
        return start, f"version {back} is stopped and kept: it has to be started again first"
    before, why = runtime.driver.start_cost(back)
    if why:
        return start + before, f"version {back} has to be started first: {why}"
    if runtime.files.digest(back):
        return start, f"version {back} has to be started first"
    return start + 2.0, f"version {back} has to be fetched and started first"


def _warm(runtime: EnvironmentRuntime, version: int, replicas: tuple[Replica, ...]) -> bool:
    ready = [
        r
        for r in replicas
        if r.version == version and r.state in (ReplicaState.WARM, ReplicaState.READY, ReplicaState.DRAINING)
    ]
    return len(ready) >= runtime.environment.replicas
