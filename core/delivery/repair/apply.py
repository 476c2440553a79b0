"""Making an environment again what the ledger says. For callers that hold it (lock.py).

What is new always comes before what is old goes: while one healthy replica of any version serves, no request is
lost. A part that fails is told and does not keep the others from being done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ...domain.delivery import Replica, ReplicaState
from ...domain.repair import Difference, Kind
from ...errors import Interrupted, PodiumError, RunFailed
from ..environment import history, observed
from ..environment.runtime import EnvironmentRuntime
from ..rollout.recovery import recover_all
from ..rollout.strategies import FULL

if TYPE_CHECKING:
    from ...containers import Engine
    from ..proxy.proxy import Instance

_STOP_GRACE = 5.0
_PROXY_SECONDS = 3.0


class Mender:
    """`remove` are the names of the containers that a person agreed to have removed."""

    def __init__(
        self, runtime: EnvironmentRuntime, differences: Sequence[Difference], *, remove: Collection[str] = ()
    ) -> None:
        self.runtime = runtime
        self.differences = differences
        self.remove = remove
        self.problems: list[str] = []

    def mend(self) -> list[str]:
        """Everything, in an order in which traffic never drops; what could not be done, in words."""
        for part in (
            self.interrupted,
            self.connect,
            self.bring_up,
            self.fill,
            self.front,
            self.weigh,
            self.replace,
            self.aliases,
            self.clear,
        ):
            self._try(part)
        return self.problems

    def _try(self, part: Callable[[], None]) -> None:
        try:
            part()
        except Interrupted:
            raise
        except (PodiumError, OSError) as error:
            self.problems.append(str(error))
            self.runtime.say(f"not done: {error}")

    def _of(self, *kinds: Kind) -> list[str]:
        return list(dict.fromkeys(each.subject for each in self.differences if each.kind in kinds and each.repairable))

    @property
    def serving(self) -> int | None:
        return history.serving(self.runtime.journal, self.runtime.name)

    # The parts, in their order

    def interrupted(self) -> None:
        for line in recover_all(self.runtime):
            self.runtime.say(line)

    def connect(self) -> None:
        """Containers that somebody took off their network get back on it, before anybody looks for their address."""
        picture = observed.picture(self.runtime, fresh=True) if self._of(Kind.NETWORK) else None
        if picture is None or picture.message:
            return
        network = self.runtime.driver.owned_names().network
        off = {each.id for each in picture.containers if network not in each.networks}
        for row in self.runtime.replicas():
            if row.container in off and row.state is not ReplicaState.STOPPED:
                self.runtime.driver.connect(row)
                self.runtime.say(f"connected {row.id} to its network again")

    def bring_up(self) -> None:
        """Every row that should run does: what was paused goes on, what ended is started, what moved is noted."""
        started: list[Replica] = []
        for row in self.runtime.replicas():
            if row.state is ReplicaState.STOPPED:
                if not self.runtime.driver.kept(row):
                    self.runtime.journal.replicas.remove(self.runtime.name, row.id)
                    self.runtime.say(f"forgot {row.id}, which is gone")
            elif not self.runtime.driver.alive(row):
                self._try(lambda row=row: started.append(self._again(row)))
            elif row.state is ReplicaState.STARTING:
                started.append(row)  # left so by a change that had no patience for it
            elif (found := self.runtime.driver.current_address(row)) != row.address:
                self.runtime.journal.replicas.put(replace(row, address=found))
                self.runtime.say(f"{row.id} is at {found} now")
        for row in started:
            self._try(lambda row=row: self._ready(row))

    def _again(self, row: Replica) -> Replica:
        self.runtime.proxy.fell(row.slot)
        return self.runtime.launch(replace(row, restarts=1))

    def _ready(self, row: Replica) -> None:
        self.runtime.wait_healthy([row.id])
        now = self._row(row.id)
        if now is not None and now.weight:
            self.runtime.journal.replicas.put(replace(now, state=ReplicaState.READY))

    def fill(self) -> None:
        """As many replicas of the version that should serve as there should be. Those that have a row were brought
        up already, or could not be."""
        version = self.serving
        if version is None:
            return
        known = {row.slot for row in self.runtime.replicas(version)}
        missing = [number for number in self.runtime.missing(version) if f"v{version}-{number}" not in known]
        if not missing:
            return
        from ..rollout.carry_out import fetch

        digest = fetch(self.runtime, version)
        for number in missing:
            self._try(lambda number=number: self._ready(self.runtime.start(version, number, digest)))

    def front(self) -> None:
        """The proxy runs, answers, and knows what there is."""
        if not any(row.state is not ReplicaState.STOPPED for row in self.runtime.replicas()):
            return
        for instance in self.runtime.proxy.instances:
            if instance.alive() and not _answers(instance):
                self.runtime.say("the proxy does not answer: ending it, and starting another")
                instance.housing.stop()
        if self.runtime.sync():
            self.runtime.say("started the proxy again")
            # One that was paused goes on as it was: what changed meanwhile is news to it.
            self.runtime.sync()

    def weigh(self) -> None:
        """All traffic to the version that should have it, where it can take it; then what is too much goes."""
        version, wanted = self.serving, self.runtime.environment.replicas
        if version is None:
            return
        rows = [row for row in self.runtime.running(version) if row.number <= wanted]
        if not rows:
            return
        self._wait_for_one(rows)
        weights = {row.id: 0 for row in self.runtime.replicas()} | {row.id: FULL for row in rows}
        changed = [row.id for row in self.runtime.replicas() if row.weight != weights[row.id]]
        self.runtime.weigh(weights)
        if changed:
            self.runtime.say(f"version {version} has all traffic of {self.runtime.name}")
        drained = [row for row in self.runtime.replicas() if row.state is ReplicaState.DRAINING]
        if drained:
            self.runtime.drain(drained)
        for row in drained:
            self.runtime.journal.replicas.put(replace(row, state=ReplicaState.WARM))
        surplus = [row for row in self.runtime.replicas(version) if row.number > wanted]
        if surplus:
            self.runtime.retire(surplus)

    def _wait_for_one(self, rows: Sequence[Replica]) -> None:
        """Until all are up for the proxy; or, after a while, one of them: it then has the traffic, and the others
        are told as they are."""
        try:
            self.runtime.wait_up([row.slot for row in rows])
        except RunFailed:
            slots = {row.slot for row in rows}
            if not any(stat.up for stat in self.runtime.proxy.stats() if stat.kind == "server" and stat.name in slots):
                raise

    def replace(self) -> None:
        for name in self._of(Kind.IMAGE, Kind.LABELS):
            if (row := self._row(name)) is not None:
                self._try(lambda row=row: renew(self.runtime, row, keep=False))
        for name in self._of(Kind.UNHEALTHY):
            # It may have become healthy by what was done before.
            if (row := self._row(name)) is not None and not self.runtime.healthy(row):
                self._try(lambda row=row: renew(self.runtime, row, keep=True))

    def aliases(self) -> None:
        current = self.runtime.journal.ledger.current(self.runtime.name)
        if current is None or not self._of(Kind.ALIAS):
            return
        from ..rollout import aliases as labels

        for line in labels.finish(self.runtime.project, self.runtime.journal, current):
            self.runtime.say(line)

    def clear(self) -> None:
        """Containers that nobody here made, and only those that were shown before."""
        picture = observed.picture(self.runtime, fresh=True) if self.remove else None
        if picture is None or picture.message:
            return
        from ...containers.engine.address import of_environment
        from ...containers.engine.connections import shared
        from ..status.container_differences import strays

        engine: Engine = shared(of_environment(self.runtime.project, self.runtime.environment))
        for each in strays(self.runtime, self.runtime.replicas(), picture):
            if each.name in self.remove:
                with engine.doing(f"removing the container {each.name}"):
                    engine.api.remove_container(each.id, force=True, v=True)
                self.runtime.say(f"removed the container {each.name}")

    def _row(self, name: str) -> Replica | None:
        return next((row for row in self.runtime.replicas() if row.id == name), None)


def _answers(instance: Instance) -> bool:
    deadline = time.monotonic() + _PROXY_SECONDS
    while not instance.stats():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def others_serve(runtime: EnvironmentRuntime, row: Replica) -> bool:
    return any(
        other.id != row.id and other.weight and other.state is ReplicaState.READY and runtime.driver.alive(other)
        for other in runtime.replicas()
    )


def renew(runtime: EnvironmentRuntime, row: Replica, *, keep: bool) -> None:
    """End a replica and start it again: the same container (`keep`), or a new one of what its version should be.

    Where nothing else serves, another one is started first, and has its traffic meanwhile. RunFailed when the new
    one does not become healthy; what stands in for it stays then.
    """
    weight = row.weight
    spare = _spare(runtime, row) if weight and runtime.driver.alive(row) and not others_serve(runtime, row) else None
    if weight:
        runtime.weigh({row.id: 0})
        runtime.drain([row])
    now = next(each for each in runtime.replicas() if each.id == row.id)
    kept = keep and runtime.driver.stop_keeping(now, grace=_STOP_GRACE)
    if not kept:
        runtime.driver.stop(now, grace=_STOP_GRACE)
    runtime.proxy.fell(row.slot)
    runtime.launch(replace(now, restarts=1, container=row.container if kept else ""))
    runtime.wait_healthy([row.id])
    runtime.sync()
    if weight:
        runtime.wait_up([row.slot])
        runtime.weigh({row.id: weight})
    if spare is not None:
        runtime.retire([spare])
    runtime.say(f"{row.id} was started again")


def _spare(runtime: EnvironmentRuntime, row: Replica) -> Replica:
    """One more replica of the same version, healthy and with the traffic of `row`."""
    number = max(each.number for each in runtime.replicas(row.version)) + 1
    made = runtime.start(row.version, number, row.digest)
    try:
        runtime.wait_healthy([made.id])
        runtime.sync()
        runtime.wait_up([made.slot])
    except BaseException:
        runtime.retire([made])
        raise
    runtime.weigh({made.id: row.weight})
    return next(each for each in runtime.replicas() if each.id == made.id)
