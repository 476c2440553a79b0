"""The traffic of one environment: what its proxy knows, and which replica gets how much."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ... import plugins
from ...domain.delivery import Replica, ReplicaState
from ...errors import RunFailed, Unreachable
from ..host.paths import from_directory
from ..proxy.haproxy import BackendServer, ProxyLayout
from ..proxy.mesh import UNKEPT, Mesh
from . import settings
from .front import front_of

if TYPE_CHECKING:
    from .runtime import EnvironmentRuntime

# Replicas in these states have not answered yet, or do not run.
_UNSEEN = (ReplicaState.STARTING, ReplicaState.STOPPED)
UP_TIMEOUT = 10.0
# How long whoever is in a hurry waits for the last of them.
HURRY_TIMEOUT = 2.0
TICK_INTERVAL = 1.0
UP_POLL_INTERVAL = 0.01
DRAIN_POLL_INTERVAL = 0.02


class Traffic:
    """Brings the proxy to what the journal's rows say. Everything may raise the proxy's PodiumErrors."""

    def __init__(self, runtime: EnvironmentRuntime) -> None:
        self._runtime = runtime

    def layout(self) -> ProxyLayout:
        """Returns what the proxy should know. Replicas that have never answered are left out: the proxy would find them
        dead, and believe it for a while after they are not."""
        runtime = self._runtime
        rows = [
            r
            for r in runtime.replicas()
            if r.weight or (r.restarts and r.state is not ReplicaState.STOPPED) or r.state not in _UNSEEN
        ]
        mesh = runtime.driver.mesh()
        if mesh is not None:
            return self._meshed(mesh, rows)
        directory = self._runtime.directory
        options = UNKEPT if self.apart else ""
        return self._of(
            tuple(
                BackendServer(r.slot, r.port, r.weight, from_directory(directory, r.address), options=options)
                for r in rows
            )
        )

    @property
    def apart(self) -> bool:
        """Tells whether replicas are on other machines than the proxy."""
        return plugins.driver_capabilities(self._runtime.environment.driver).services

    def _of(self, servers: tuple[BackendServer, ...], mesh: Mesh | None = None) -> ProxyLayout:
        environment = self._runtime.environment
        front = front_of(self._runtime.project, self._runtime.journal, environment)
        return ProxyLayout(
            self._runtime.driver.listens(), environment.port, servers, environment.request, front, mesh, self.apart
        )

    def _meshed(self, mesh: Mesh, rows: Sequence[Replica]) -> ProxyLayout:
        """Returns the layout for several hosts. One that does not answer is drained while another one serves: nobody
        could take a version from what it runs."""
        placed = [row for row in rows if row.host in mesh.addresses]
        absent = self._runtime.driver.absent()
        others = any(row.weight for row in placed if row.host not in absent and row.state is ReplicaState.READY)
        servers = tuple(
            BackendServer(
                row.slot,
                row.port,
                0 if others and row.host in absent else row.weight,
                row.inside,
                row.host,
            )
            for row in placed
        )
        return self._of(servers, mesh)

    def sync(self) -> bool:
        """Brings the proxy to what the journal's rows say; returns whether a process was started for it."""
        started = self._runtime.proxy.ensure(self.layout())
        settings.note_proxy(self._runtime)
        return started

    def weigh(self, weights: Mapping[str, int]) -> None:
        """Sets the weights of replicas (by id), all at once."""
        runtime = self._runtime
        with runtime.journal.transaction():
            for replica in runtime.replicas():
                weight = weights.get(replica.id, replica.weight)
                if weight != replica.weight:
                    runtime.journal.replicas.put(replace(replica, weight=weight, state=_state(replica, weight)))
        try:
            runtime.proxy.set_weights(self.layout())
        except Unreachable:
            self.sync()

    def wait_up(
        self,
        slots: Collection[str],
        *,
        seconds: float = UP_TIMEOUT,
        hurry: bool = False,
        tick: Callable[[], object] = lambda: None,
    ) -> set[str]:
        """Waits until the proxy, too, finds them healthy: it sends no request to a server that it believes dead,
        whatever its weight. In a hurry it waits for the others only a moment once one of them is. Returns those that it
        did not wait for. RunFailed when it finds none, or without a hurry not all, within `seconds`. `tick` is called
        about once a second, and may take a while."""
        runtime = self._runtime
        began = ticked = time.monotonic()
        waiting = set(slots)
        # A replica on the proxy's own machine has just answered us. On the way to another one is a proxy that may be
        # told of it a moment later: there a check has to have passed, before which a server counts as up.
        near = not (self.apart or runtime.environment.hosts)
        while waiting:
            waiting -= runtime.out_of_reach()
            servers = [stat for stat in runtime.proxy.stats() if stat.kind == "server"]
            waiting -= {stat.name for stat in servers if stat.up and (near or stat.checked)}
            now, enough = time.monotonic(), hurry and len(waiting) < len(slots)
            if enough and now - began > HURRY_TIMEOUT:
                break
            if waiting and now - began > seconds:
                raise RunFailed(f"the proxy does not reach {', '.join(sorted(waiting))}", hint=runtime.proxy.look())
            if waiting and now - ticked > TICK_INTERVAL and not enough:
                tick()
                ticked = time.monotonic()
            if waiting:
                time.sleep(UP_POLL_INTERVAL)
        return waiting

    def drain(self, replicas: Sequence[Replica]) -> set[str]:
        """Gives them no new request and waits until they have answered those that they have, `drain` seconds at most;
        returns the slots that have not."""
        runtime = self._runtime
        if not runtime.proxy.alive():
            return set()
        if any(replica.weight for replica in runtime.replicas() if replica.id in {r.id for r in replicas}):
            self.weigh({replica.id: 0 for replica in replicas})
        elif runtime.proxy.behind(self.layout()):
            # The journal may have lost what it was told last (a disk that fails, a backup that was restored).
            self.sync()
        draining = {replica.slot for replica in replicas}
        deadline = time.monotonic() + runtime.environment.strategy.drain
        while draining:
            draining &= {stat.name for stat in runtime.proxy.stats() if stat.kind == "server" and stat.sessions}
            if not draining or time.monotonic() > deadline:
                break
            time.sleep(DRAIN_POLL_INTERVAL)
        return draining


def _state(replica: Replica, weight: int) -> ReplicaState:
    """Returns the state that goes with a new weight."""
    if weight:
        return ReplicaState.READY if replica.state is not ReplicaState.STARTING else replica.state
    return ReplicaState.DRAINING if replica.state is ReplicaState.READY else replica.state
