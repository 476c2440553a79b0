"""Who answers requests now, as the proxy has it, and the rollout that is under way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from ...domain.delivery import Replica, ReplicaState, RolloutUnderWay
from ...domain.rollout import CLEAN_UP, DRAIN, MOVE_ALIASES, NOTE, SEQUENCE, SHIFT, START, VERIFY, WAIT_HEALTHY, WARM_UP
from ...errors import PodiumError
from ..environment.runtime import EnvironmentRuntime

# What a rollout does after each of its phases, in words.
_DOES = {
    "": "looking at what runs",
    NOTE: "starting replicas",
    START: "waiting until they are healthy",
    WAIT_HEALTHY: "warming up",
    WARM_UP: "moving traffic",
    SHIFT: "moving aliases",
    MOVE_ALIASES: "letting requests finish",
    DRAIN: "verifying",
    VERIFY: "cleaning up",
    CLEAN_UP: "done",
}


def under_way(runtime: EnvironmentRuntime) -> RolloutUnderWay | None:
    """Returns the rollout that is under way in the environment, or that was cut short; None without one."""
    row = next((each for each in runtime.journal.ledger.open() if each.environment == runtime.name), None)
    if row is None:
        return None
    place = SEQUENCE.index(row.phase) + 1 if row.phase in SEQUENCE else 0
    number = min(place + 1, len(SEQUENCE))
    does = _DOES.get(row.phase, row.phase)
    return RolloutUnderWay(row.id, row.how, row.to_version, row.from_version, does, number, len(SEQUENCE), row.run_id)


def shares(runtime: EnvironmentRuntime, replicas: Sequence[Replica], *, ask: bool) -> Mapping[int, float]:
    """Returns version -> its share (0..1) of the requests, the largest first; empty where nothing answers. `ask` reads
    the proxy's weights; otherwise the journal's rows are taken, with which the proxy is compared anyway."""
    weights = _of_proxy(runtime, replicas) if ask else None
    if weights is None:
        weights = Counter[int]()
        for row in replicas:
            weights[row.version] += row.weight if row.state is ReplicaState.READY else 0
    total = weights.total()
    return {version: weight / total for version, weight in weights.most_common() if weight} if total else {}


def _of_proxy(runtime: EnvironmentRuntime, replicas: Sequence[Replica]) -> Counter[int] | None:
    """Returns the weights of each version on all instances together; None where none answers."""
    versions = {row.slot: row.version for row in replicas}
    try:
        readings = runtime.proxy.readings()
    except PodiumError:
        return None
    weights = Counter[int]()
    for stats in readings.values():
        for stat in stats:
            if stat.kind == "server" and stat.up and stat.name in versions:
                weights[versions[stat.name]] += stat.weight
    return weights if readings else None
