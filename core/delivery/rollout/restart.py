"""Restarts one replica without losing a request."""

from __future__ import annotations

from dataclasses import replace

from ...domain.delivery import Replica, ReplicaState
from ..environment.runtime import EnvironmentRuntime

STOP_GRACE = 5.0


def others_serve(runtime: EnvironmentRuntime, row: Replica) -> bool:
    """Returns whether another replica that runs has traffic."""
    return any(
        other.id != row.id and other.weight and other.state is ReplicaState.READY and runtime.driver.alive(other)
        for other in runtime.replicas()
    )


def restart_replica(runtime: EnvironmentRuntime, row: Replica, *, keep: bool) -> None:
    """Stops a replica and starts it again: the same container (`keep`), or a new one of what its version should be.

    Where nothing else serves, a spare one is started first and gets its traffic meanwhile. RunFailed when the new one
    does not become healthy; the spare one then stays.
    """
    runtime.lifecycle.ensure_signed(row.version)  # before the one that runs is stopped
    weight = row.weight
    spare = _spare(runtime, row) if weight and runtime.driver.alive(row) and not others_serve(runtime, row) else None
    if weight:
        runtime.traffic.weigh({row.id: 0})
        runtime.traffic.drain([row])
    now = next(each for each in runtime.replicas() if each.id == row.id)
    kept = keep and runtime.driver.stop_keeping(now, grace=STOP_GRACE)
    if not kept:
        runtime.driver.stop(now, grace=STOP_GRACE)
    runtime.proxy.fell(row.slot)
    runtime.lifecycle.launch(replace(now, restarts=1, container=row.container if kept else ""))
    runtime.lifecycle.wait_healthy([row.id])
    runtime.traffic.sync()
    if weight:
        runtime.traffic.wait_up([row.slot])
        runtime.traffic.weigh({row.id: weight})
    if spare is not None:
        runtime.lifecycle.retire([spare])
    runtime.say(f"{row.id} was started again")


def _spare(runtime: EnvironmentRuntime, row: Replica) -> Replica:
    """Starts one more replica of the same version, and gives it the traffic of `row` once it is healthy."""
    number = max(each.number for each in runtime.replicas(row.version)) + 1
    made = runtime.lifecycle.start(row.version, number, row.digest)
    try:
        runtime.lifecycle.wait_healthy([made.id])
        runtime.traffic.sync()
        runtime.traffic.wait_up([made.slot])
    except BaseException:
        runtime.lifecycle.retire([made])
        raise
    runtime.traffic.weigh({made.id: row.weight})
    return next(each for each in runtime.replicas() if each.id == made.id)
