"""Who is meant: replicas, workers, steps and instances of the proxy of a world, as processes or containers."""

from __future__ import annotations

import os
from dataclasses import dataclass

import psutil
from podium.core.containers import Engine
from podium.core.containers.engine import labels as names
from podium.core.domain.delivery import Replica, ReplicaState
from podium.core.domain.runs import Run

from tests.chaos.engine import containers
from tests.chaos.world import ENVIRONMENT, World

from .ground import Ground

SERVING = (ReplicaState.READY, ReplicaState.STARTING, ReplicaState.WARM)


@dataclass
class Scene:
    """A world with what it stands on. `run` is what changes it in this round."""

    world: World
    ground: Ground
    docker: Engine | None = None
    run: Run | None = None

    def replicas(self) -> list[Replica]:
        """Returns those that run, those with traffic first."""
        rows = [row for row in self.world.cockpit.journal.replicas.of(ENVIRONMENT) if row.state in SERVING]
        return sorted((row for row in rows if row.pid or row.container), key=lambda row: (-row.weight, row.id))

    def replica(self, place: int) -> Replica | None:
        rows = self.replicas()
        return rows[place % len(rows)] if rows else None

    def worker(self) -> psutil.Process | None:
        return self.world.worker(self.run) if self.run is not None else None

    def step(self) -> psutil.Process | None:
        """Returns the process in which the run's one step is carried out; it may be forked from another than the worker."""
        return next((process for process in self.world.processes() if _is_step(process)), None)

    def agent(self) -> psutil.Process | None:
        process = self.world.agent_process
        return psutil.Process(process.pid) if process is not None and process.poll() is None else None

    def proxy(self, place: int) -> psutil.Process | None:
        """Returns one instance of the proxy on this machine."""
        found = [process for process in self.world.processes() if _is_proxy(process)]
        return sorted(found, key=lambda process: process.pid)[place % len(found)] if found else None

    def proxy_container(self, place: int) -> str:
        assert self.docker is not None
        mine = [one for one in containers(self.world, self.docker) if one["Labels"][names.ROLE] == names.PROXY_ROLE]
        ids = sorted(one["Id"] for one in mine if one["State"] == "running")
        return ids[place % len(ids)] if ids else ""


def _is_step(process: psutil.Process) -> bool:
    try:
        return any("engine.builtin" in word for word in process.cmdline())
    except psutil.Error:
        return False


def _is_proxy(process: psutil.Process) -> bool:
    try:
        return "haproxy" in process.cmdline()[0] and process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except (psutil.Error, IndexError):
        return False


def send(process: psutil.Process | None, number: int) -> bool:
    """Sends a signal; returns whether there was anybody to get it."""
    if process is None:
        return False
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        return False
    return True
