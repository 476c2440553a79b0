"""Bringing back what has died: replicas with their weight, and the proxy. For callers that hold the environment
(guard.py)."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace

from ...domain.delivery import Replica, ReplicaState
from .runtime import EnvironmentRuntime, noted

# A replica that lives but fails its health check for this long is ended and started again.
_HUNG_SECONDS = 20
_STABLE_SECONDS = 60.0
_LONGEST_PAUSE = 60.0


def tend(runtime: EnvironmentRuntime, *, skip: Collection[str] = ()) -> list[str]:
    """What was done, in words; empty when all was well, and then nothing was written. `skip` are ids that somebody
    else looks after."""
    rows = [row for row in runtime.replicas() if row.id not in skip and row.state is not ReplicaState.STOPPED]
    done = _tend_proxy(runtime)
    servers = [stat for stat in runtime.proxy.stats() if stat.kind == "server"]
    down = {stat.name for stat in servers if stat.status.startswith("DOWN") and stat.lasting > _HUNG_SECONDS}
    for row in rows:
        done += _tend_replica(runtime, row, hung=row.slot in down)
    if rows and (done or _drifted(runtime)):
        runtime.sync()
    return done


def _tend_proxy(runtime: EnvironmentRuntime) -> list[str]:
    if runtime.proxy.whole() or not any(row.state is not ReplicaState.STOPPED for row in runtime.replicas()):
        return []
    part = "an instance of the proxy" if runtime.proxy.alive() else "the proxy"
    runtime.sync()
    return [f"{runtime.name}: {part} was gone; started it again"]


def _tend_replica(runtime: EnvironmentRuntime, row: Replica, *, hung: bool) -> list[str]:
    if runtime.driver.alive(row):
        found = runtime.driver.current_address(row)
        if found != row.address:
            runtime.journal.replicas.put(replace(row, address=found))
            return [f"{runtime.name}: {row.id} was started again and is now at {found}"]
        if row.state is ReplicaState.STARTING:
            return _starting(runtime, row)
        lived = time.time() - (row.started or 0.0)
        if not (hung and lived > _HUNG_SECONDS and row.state is not ReplicaState.DRAINING and not runtime.healthy(row)):
            return []
        runtime.driver.stop(row, grace=1.0)
        return [*_again(runtime, row), f"{runtime.name}: {row.id} lived but did not answer"]
    if runtime.driver.is_restarting(row):
        return []
    if not noted(row) and row.state is ReplicaState.STARTING and time.time() - (row.started or 0.0) < 1.0:
        return []
    return _again(runtime, row) if time.time() >= _not_before(row) else []


def _starting(runtime: EnvironmentRuntime, row: Replica) -> list[str]:
    if runtime.healthy(row, timeout=0.3):
        runtime.driver.enable_restart(row)
        runtime.journal.replicas.put(replace(row, state=ReplicaState.READY if row.weight else ReplicaState.WARM))
        return [f"{runtime.name}: {row.id} is healthy again"]
    if time.time() - (row.started or 0.0) > runtime.environment.health_timeout:
        runtime.driver.stop(row, grace=1.0)
    return []


def _again(runtime: EnvironmentRuntime, row: Replica) -> list[str]:
    stable = row.started is not None and time.time() - row.started > _STABLE_SECONDS
    runtime.proxy.fell(row.slot)
    runtime.launch(replace(row, restarts=1 if stable else row.restarts + 1))
    return [f"{runtime.name}: {row.id} was gone; started it again"]


def _not_before(row: Replica) -> float:
    """One that dies again and again is started ever more seldom: at once, at once, then after 2, 4, 8 … 60 s."""
    pause = 0.0 if row.restarts < 2 else min(_LONGEST_PAUSE, 2.0 ** (row.restarts - 1))
    return (row.started or 0.0) + pause


def _drifted(runtime: EnvironmentRuntime) -> bool:
    """Whether the proxy does something else than the rows say."""
    wanted = {server.slot: (server.weight, server.at) for server in runtime.layout().servers}
    for stats in runtime.proxy.readings().values():
        servers = [stat for stat in stats if stat.kind == "server" and not stat.status.startswith("MAINT")]
        if servers and {stat.name: (stat.weight, stat.address) for stat in servers} != wanted:
            return True
    return False
