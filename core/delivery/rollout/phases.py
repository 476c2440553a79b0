"""The phases of a rollout: what each does. `rollout.PHASES` has them in the order in which they are done.

The ledger's `phase` is the last phase that was finished, as a participle: `shifted` is written when SHIFT is done.
These words stand in the journals of projects, so they stay; everything else names a phase by its verb. A rollout whose
process is gone before SHIFT was finished is undone; after it, it is carried on: the new version was healthy, warm and
had all the traffic.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from ...domain.delivery import How, ReplicaState
from ...domain.rollout import SEQUENCE
from ...errors import Interrupted, PodiumError
from ..environment import settings
from ..environment.history import EnvironmentHistory
from ..environment.traffic import UP_TIMEOUT
from . import analysis, verify
from .restart import restart_replica
from .shift import shift_traffic
from .strategies import FULL_SHARE, alike, stages

if TYPE_CHECKING:
    from .rollout import Rollout

# How long live traffic on the new version is looked at before it counts as verified.
WATCH_SECONDS = 0.5


def reached(phase: str, wanted: str) -> bool:
    """Returns whether `phase` is `wanted` or a later one."""
    return phase in SEQUENCE and SEQUENCE.index(phase) >= SEQUENCE.index(wanted)


def after(phase: str) -> tuple[str, ...]:
    """Returns the phases still to be done."""
    return SEQUENCE[SEQUENCE.index(phase) + 1 :] if phase in SEQUENCE else SEQUENCE


def note_before(rollout: Rollout) -> None:
    """Notes what an undo needs, before anything is changed."""
    runtime = rollout.runtime
    rows = runtime.replicas()
    missing = [runtime.replica_id(rollout.version, number) for number in runtime.missing(rollout.version)]
    rollout.update(
        weights_before={row.id: row.weight for row in rows if row.weight or row.id not in missing},
        new_replicas=tuple(missing),
        proxy_ran=runtime.proxy.alive(),
        stopped_before=tuple(row.id for row in rows if row.id in missing and row.state is ReplicaState.STOPPED),
    )


def start(rollout: Rollout) -> None:
    """Starts the replicas that are missing, beside those that serve, and replaces those of the version that run with
    other settings than podium.yaml's, one after the other."""
    missing = rollout.runtime.missing(rollout.version)
    rollout.runtime.lifecycle.start_all(rollout.version, missing, rollout.deployment.digest)
    # A rollback is in a hurry: it takes its replicas as they are, and a repair replaces them later.
    if rollout.deployment.how is not How.ROLLBACK:
        for row in settings.stale(rollout.runtime, rollout.version):
            restart_replica(rollout.runtime, row, keep=False)
    # A rollback is in a hurry: its replicas have all of the CPU.
    if rollout.deployment.how is How.PROMOTE and rollout.moves_aliases and rollout.state.new_replicas:
        rollout.alias_process.prepare()


def wait_healthy(rollout: Rollout) -> None:
    """Waits until the new replicas answer, and makes them known to the proxy, with weight 0."""
    runtime, new = rollout.runtime, rollout.state.new_replicas
    began = time.monotonic()
    if new:
        runtime.lifecycle.wait_healthy(new, tick=lambda: _heal_others(rollout, new))
        rollout.update(start_seconds=round(time.monotonic() - began, 3))
    if new or not runtime.proxy.fits(runtime.traffic.layout()):
        runtime.traffic.sync()


def _heal_others(rollout: Rollout, new: Collection[str]) -> None:
    """Heals what is there beside the new replicas. A first rollout has nothing yet, and no proxy that could be gone."""
    if any(row.id not in new for row in rollout.runtime.replicas()):
        rollout.heal(skip=new)


def warm_up(rollout: Rollout) -> None:
    """Sends the model's input example to each new replica, so that no client waits for the first prediction."""
    runtime = rollout.runtime
    new = [row for row in runtime.replicas(rollout.version) if row.id in rollout.state.new_replicas]
    if new:
        runtime.say(f"warm-up: {verify.warm_up(runtime, new, runtime.files.directory(rollout.version))}")


def shift(rollout: Rollout) -> None:
    """Gives the traffic to the new version, stage by stage."""
    runtime = rollout.runtime
    new = [row for row in runtime.replicas(rollout.version) if row.number <= runtime.environment.replicas]
    old = [row for row in runtime.replicas() if row.weight and row.version != rollout.version]
    # What is on a host that does not answer gets the weights of the others, for when it is back.
    unknown = {row.id for row in runtime.unknown()}
    beside = [[row.id for row in rows if row.id in unknown] for rows in (new, old)]
    new, old = ([row for row in rows if row.id not in unknown] or rows for rows in (new, old))
    _wait_up(rollout, [row.slot for row in new])
    strategy = runtime.environment.strategy
    if rollout.deployment.how is How.ROLLBACK:
        strategy = replace(strategy, kind="blue-green")
    rollout.reading_before = analysis.read(runtime)
    planned = stages(strategy, [row.id for row in new], [row.id for row in old])
    shift_traffic(rollout, alike(planned, *beside), new, old)
    took = time.time() - rollout.asked
    rollout.update(share=FULL_SHARE, traffic_seconds=round(took, 3))
    runtime.say(f"version {rollout.version} has all traffic of {runtime.name}, {took:.2f} s after it was asked for")


def _wait_up(rollout: Rollout, slots: Collection[str]) -> None:
    """Waits until the proxy finds them up. A node of a Swarm may be lost at any moment: what it had is started
    elsewhere, and waited for. A rollback is in a hurry: a part of its replicas is better than what it leaves."""
    runtime, apart = rollout.runtime, rollout.runtime.traffic.apart

    def tick() -> None:
        if apart:
            rollout.heal()

    seconds = runtime.environment.health_timeout if apart else UP_TIMEOUT
    hurry = rollout.deployment.how is How.ROLLBACK
    if left := runtime.traffic.wait_up(slots, seconds=seconds, hurry=hurry, tick=tick):
        rollout.warn(f"the proxy does not reach {', '.join(sorted(left))} yet: the other replicas take all the traffic")


def move_aliases(rollout: Rollout) -> None:
    """Quarantines the version that a rollback leaves, and moves the aliases. A rollback goes on where the registry
    does not answer."""
    rollback = rollout.deployment.how is How.ROLLBACK
    if rollback:
        rollout.quarantine_left()
    if not rollout.moves_aliases:
        return
    try:
        for line in rollout.alias_process.move(rollout.deployment):
            rollout.runtime.say(line)
    except Interrupted:
        raise  # it is moved when the rest is finished, here or by recovery
    except PodiumError as error:
        if not rollback:
            raise
        rollout.warn(f"the aliases were not moved: {error}")


def drain(rollout: Rollout) -> None:
    """Waits until the old replicas have answered the requests that they have, `drain` seconds at most."""
    runtime = rollout.runtime
    busy = runtime.traffic.drain([row for row in runtime.replicas() if row.state is ReplicaState.DRAINING])
    if busy:
        slots, seconds = ", ".join(sorted(busy)), runtime.environment.strategy.drain
        rollout.warn(f"{slots} still answered requests after {seconds:g} s")
    for row in runtime.replicas():
        if row.state is ReplicaState.DRAINING:
            runtime.journal.replicas.put(replace(row, state=ReplicaState.WARM))


def verify_version(rollout: Rollout) -> None:
    """Checks that the new version answers live traffic without errors, and that nothing else answers."""
    rows = [row for row in rollout.runtime.replicas(rollout.version) if row.weight]
    if rollout.deployment.how is not How.ROLLBACK and rows:
        verify.watch(rollout.runtime, rows, rollout.reading_before, seconds=WATCH_SECONDS)
    rollout.runtime.say(f"verified: {verify.verify(rollout.runtime, rollout.version)}")


def clean_up(rollout: Rollout) -> None:
    """Stops earlier versions beyond `keep` and removes those beyond `keep_stopped`; never the one that a rollback
    would bring back first."""
    runtime = rollout.runtime
    past = EnvironmentHistory.load(runtime.journal, runtime.model, runtime.name)
    back = past.good_before(leaving=(rollout.version,))
    ranked = [_next_back(rollout, back, past.serving), past.serving, *past.earlier]
    try:
        runtime.lifecycle.keep_earlier([version for version in ranked if version is not None], serving=rollout.version)
    except Interrupted:
        raise
    except PodiumError as error:
        rollout.warn(f"earlier versions were not all cleaned up: {error}")


def _next_back(rollout: Rollout, back: int | None, serving: int | None) -> int | None:
    """Returns what a rollback from the new version will bring back: the version that served until now, unless it is
    quarantined (it is the one being left)."""
    if serving in (None, rollout.version):
        return back
    if rollout.runtime.journal.quarantine.find(rollout.deployment.model, serving):
        return back
    return serving
