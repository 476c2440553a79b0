"""The parts of a repair: what each does. `apply.PARTS` has them in the order in which they are done."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ...domain.delivery import Replica, ReplicaState
from ...domain.repair import DifferenceKind
from ...errors import RunFailed
from ..environment import observed
from ..rollout.recovery import recover_all
from ..rollout.restart import restart_replica
from ..rollout.strategies import FULL_SHARE

if TYPE_CHECKING:
    from ...containers import Engine
    from ..environment.runtime import EnvironmentRuntime
    from ..proxy.proxy import Instance
    from .apply import Repair

PROXY_TIMEOUT = 3.0
POLL_INTERVAL = 0.1


def recover_rollouts(repair: Repair) -> None:
    """Finishes or undoes interrupted rollouts."""
    for line in recover_all(repair.runtime):
        repair.runtime.say(line)


def connect_containers(repair: Repair) -> None:
    """Connects containers to their network again, before anything looks for their address."""
    runtime = repair.runtime
    snapshot = observed.snapshot(runtime, fresh=True) if repair.subjects(DifferenceKind.NETWORK) else None
    if snapshot is None or snapshot.message:
        return
    network = runtime.driver.owned_names().network
    off = {each.id for each in snapshot.containers if network not in each.networks}
    for row in runtime.replicas():
        if row.container in off and row.state is not ReplicaState.STOPPED:
            runtime.driver.connect(row)
            runtime.say(f"connected {row.id} to its network again")


def bring_up_replicas(repair: Repair) -> None:
    """Brings up every row that should run: a paused one is resumed, an ended one is started, a moved one gets its
    new address."""
    runtime = repair.runtime
    started: list[Replica] = []
    unknown = {row.id for row in runtime.unknown()}
    for row in runtime.replicas():
        if row.id in unknown:
            runtime.say(f"left {row.id} as it is: {row.host} does not answer")
        elif row.state is ReplicaState.STOPPED:
            if not runtime.driver.kept(row):
                runtime.journal.replicas.remove(runtime.name, row.id)
                runtime.say(f"forgot {row.id}, which is gone")
        elif not runtime.driver.alive(row):
            repair.attempt(lambda row=row: started.append(_start_again(runtime, row)))
        elif row.state is ReplicaState.STARTING:
            started.append(row)  # a rollout that was interrupted did not wait for it
        elif (found := runtime.driver.current_address(row)) != row.address:
            runtime.journal.replicas.put(replace(row, address=found))
            runtime.say(f"{row.id} is at {found} now")
    for row in started:
        repair.attempt(lambda row=row: _wait_ready(repair, row))


def start_missing(repair: Repair) -> None:
    """Starts as many replicas of the version that should serve as there should be. Those that have a row were brought
    up already, or could not be."""
    runtime, version = repair.runtime, repair.serving
    if version is None:
        return
    known = {row.slot for row in runtime.replicas(version)}
    missing = [number for number in runtime.missing(version) if f"v{version}-{number}" not in known]
    if not missing:
        return
    from ..rollout.carry_out import fetch

    digest = fetch(runtime, version)
    for number in missing:
        repair.attempt(lambda number=number: _wait_ready(repair, runtime.lifecycle.start(version, number, digest)))


def repair_proxy(repair: Repair) -> None:
    """Makes the proxy run, answer, and know its replicas."""
    runtime = repair.runtime
    if not any(row.state is not ReplicaState.STOPPED for row in runtime.replicas()):
        return
    for instance in runtime.proxy.instances:
        if instance.alive() and not _answers(instance):
            runtime.say("the proxy does not answer: ending it, and starting another")
            instance.placement.stop()
    if runtime.traffic.sync():
        runtime.say("started the proxy again")
        # One that was paused goes on as it was, without what changed meanwhile.
        runtime.traffic.sync()


def give_traffic(repair: Repair) -> None:
    """Gives all traffic to the version that should have it, where it can take it; then retires surplus replicas."""
    runtime, version = repair.runtime, repair.serving
    if version is None:
        return
    wanted = runtime.environment.replicas
    rows = [row for row in runtime.running(version) if row.number <= wanted]
    if not rows:
        return
    _wait_for_one(runtime, rows)
    # What is on a host that does not answer gets it when that is back.
    unknown = [row for row in runtime.unknown(version) if row.number <= wanted]
    weights = {row.id: 0 for row in runtime.replicas()} | {row.id: FULL_SHARE for row in (*rows, *unknown)}
    changed = [row.id for row in runtime.replicas() if row.weight != weights[row.id]]
    runtime.traffic.weigh(weights)
    if changed:
        runtime.say(f"version {version} has all traffic of {runtime.name}")
    drained = [row for row in runtime.replicas() if row.state is ReplicaState.DRAINING]
    if drained:
        runtime.traffic.drain(drained)
    for row in drained:
        runtime.journal.replicas.put(replace(row, state=ReplicaState.WARM))
    surplus = [row for row in runtime.replicas(version) if row.number > wanted]
    if surplus:
        runtime.lifecycle.retire(surplus)


def replace_replicas(repair: Repair) -> None:
    """Replaces replicas of another image, with other labels or settings, and restarts those that are not healthy."""
    runtime = repair.runtime
    for name in repair.subjects(DifferenceKind.IMAGE, DifferenceKind.LABELS, DifferenceKind.SETTINGS):
        if (row := repair.row(name)) is not None:
            repair.attempt(lambda row=row: restart_replica(runtime, row, keep=False))
    for name in repair.subjects(DifferenceKind.UNHEALTHY):
        # It may have become healthy by what was done before.
        if (row := repair.row(name)) is not None and not runtime.lifecycle.healthy(row):
            repair.attempt(lambda row=row: restart_replica(runtime, row, keep=True))


def move_aliases(repair: Repair) -> None:
    """Moves the aliases to what serves."""
    runtime = repair.runtime
    current = runtime.journal.ledger.current(runtime.name)
    if current is None or not repair.subjects(DifferenceKind.ALIAS):
        return
    from ..rollout import aliases

    for line in aliases.finish(runtime.project, runtime.journal, current):
        runtime.say(line)


def remove_strays(repair: Repair) -> None:
    """Removes containers with our labels that the journal does not know, and only those that were shown before."""
    runtime = repair.runtime
    snapshot = observed.snapshot(runtime, fresh=True) if repair.remove else None
    if snapshot is None or snapshot.message:
        return
    from ...containers.engine.address import all_of
    from ...containers.engine.connections import shared
    from ..status.container_differences import strays

    addresses = all_of(runtime.project, runtime.environment)
    for each in strays(runtime, runtime.replicas(), snapshot):
        if each.name in repair.remove and each.host not in runtime.driver.absent():
            engine: Engine = shared(addresses[each.host])
            with engine.doing(f"removing the container {each.name}"):
                if each.service:
                    engine.api.remove_service(each.id)
                else:
                    engine.api.remove_container(each.id, force=True, v=True)
            runtime.say(f"removed the container {each.name}")


def _start_again(runtime: EnvironmentRuntime, row: Replica) -> Replica:
    runtime.proxy.fell(row.slot)
    return runtime.lifecycle.launch(replace(row, restarts=1))


def _wait_ready(repair: Repair, row: Replica) -> None:
    repair.runtime.lifecycle.wait_healthy([row.id])
    now = repair.row(row.id)
    if now is not None and now.weight:
        repair.runtime.journal.replicas.put(replace(now, state=ReplicaState.READY))


def _wait_for_one(runtime: EnvironmentRuntime, rows: Sequence[Replica]) -> None:
    """Waits until all are up for the proxy; or, after a while, one of them: that one then has the traffic, and the look
    afterwards reports the others."""
    try:
        runtime.traffic.wait_up([row.slot for row in rows])
    except RunFailed:
        slots = {row.slot for row in rows}
        if not any(stat.up for stat in runtime.proxy.stats() if stat.kind == "server" and stat.name in slots):
            raise


def _answers(instance: Instance) -> bool:
    deadline = time.monotonic() + PROXY_TIMEOUT
    while not instance.stats():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_INTERVAL)
    return True
