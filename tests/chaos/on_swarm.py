"""A world on a Swarm of three engines: what of it is where, what is there that nobody knows, and its end."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Sequence
from typing import Any

import psutil
from podium.core.containers import Engine, open_engine
from podium.core.containers.engine import labels as names
from podium.core.containers.engine import swarm as services
from podium.core.containers.engine.address import parse
from podium.core.delivery.environment.runtime import EnvironmentRuntime
from podium.core.delivery.host.paths import INSTANCES
from podium.core.domain.delivery import ReplicaState
from podium.core.errors import NotFound, PodiumError

from tests.chaos.engine import clear, containers, furnish, mark
from tests.chaos.world import ENVIRONMENT, Client, World
from tests.engine.lab import running
from tests.runner.scale import scaled
from tests.servers import images
from tests.servers.nodes import Node
from tests.servers.swarm import Swarm
from tests.support import wait_until

_TASK = "com.docker.swarm.task.id"


def settings(swarm: Swarm) -> dict[str, Any]:
    """The lines of podium.yaml for an environment on it."""
    manager, *others = swarm.nodes
    return {
        "host": manager.address,
        "nodes": f"[{', '.join(each.address for each in others)}]",
        "bind": "0.0.0.0",
        "open": "true",
        "keep_stopped": 0,  # a version that is not there is started anew, and spread
        "proxy_image": images.HAPROXY,
    }


def patience() -> float:
    """How many seconds the client waits for an answer: not for ever, since it asks nothing else meanwhile."""
    return min(scaled(10.0), 20.0)


class OnSwarm:
    """`world` on `swarm`, whose first node is the manager with the proxy."""

    def __init__(self, world: World, swarm: Swarm) -> None:
        self.world, self.swarm = world, swarm
        self.engines: list[Engine] = [open_engine(parse(f"unix://{node.socket}")) for node in swarm.nodes]
        furnish(world, self.engines[0])

    @property
    def manager(self) -> Node:
        return self.swarm.nodes[0]

    @property
    def workers(self) -> list[Node]:
        return self.swarm.nodes[1:]

    @property
    def runtime(self) -> EnvironmentRuntime:
        project = self.world.cockpit.project.config
        return EnvironmentRuntime(project, self.world.cockpit.journal, project.environment(ENVIRONMENT))

    def client(self) -> Client:
        return self.world.client(host=self.manager.ip, rate=100.0, timeout=patience())

    # What is where

    def services(self) -> dict[str, services.Service]:
        return services.services(self.engines[0], [mark(self.world)])

    def on(self, node: Node) -> set[tuple[str, str]]:
        """The replicas that should run, and whose tasks do so on a node, as the manager knows it: slot and address."""
        known = {each.id: each.name for each in services.nodes(self.engines[0]).values()}
        there = self.services()
        found: set[tuple[str, str]] = set()
        for row in self.world.cockpit.journal.replicas.of(ENVIRONMENT):
            service = there.get(row.container)
            task = service.current if service is not None and service.wanted else None
            if task is not None and task.running and known.get(task.node) == node.root.name:
                found.add((row.slot, task.address))
        return found

    def busy(self) -> list[Node]:
        """The workers that have replicas with traffic."""
        weighed = {row.slot for row in self.world.cockpit.journal.replicas.of(ENVIRONMENT) if row.weight}
        return [node for node in self.workers if weighed & {slot for slot, _ in self.on(node)}]

    def given_up(self, lost: set[tuple[str, str]]) -> bool:
        """Tells whether no instance of the proxy gives a request to any of these replicas at their addresses."""
        readings = self.runtime.proxy.readings()
        servers = [stat for stats in readings.values() for stat in stats if stat.kind == "server"]
        taken = {(stat.name, stat.address.rpartition(":")[0]) for stat in servers if stat.up and stat.weight}
        return len(readings) == len(INSTANCES) and not taken & lost

    def proxies(self) -> list[int]:
        """The processes of the proxy's instances that run."""
        pids: list[int] = []
        for each in containers(self.world, self.engines[0]):
            if _role(each) == names.PROXY_ROLE:
                with contextlib.suppress(NotFound):  # the agent has just removed it
                    pids.append(int(self.engines[0].inspect(each["Id"])["State"]["Pid"]))
        return [pid for pid in pids if pid]

    def kill(self, proxies: Sequence[int]) -> None:
        """Returns when they, and their workers, have ended: until then the kernel gives them connections."""
        families = [
            each for pid in proxies for each in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))
        ]
        for pid in proxies:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(running(each.pid) for each in families), 5, interval=0.005, what="it has ended")

    # What must not be there

    def strays(self) -> list[str]:
        """Services that no row of the journal knows, tasks that run and should not, more or fewer proxies than there
        should be, a second network; in words. All nodes have to answer."""
        rows = {row.container: row for row in self.world.cockpit.journal.replicas.of(ENVIRONMENT)}
        there = self.services()
        found = [f"a stray service {each.name}" for each in there.values() if each.id not in rows]
        found += [f"{row.id} has no service" for identity, row in rows.items() if identity not in there]
        wanted = {identity for identity, row in rows.items() if row.state is not ReplicaState.STOPPED}
        tasks = {
            each.current.id: each.name
            for each in there.values()
            if each.id in wanted and each.current is not None and each.current.running
        }
        if len(tasks) != len(wanted):
            found.append(f"{len(wanted)} replicas should run, and of their tasks do {sorted(tasks.values())}")
        for node, engine in zip(self.swarm.nodes, self.engines, strict=True):
            found += self._strays(node, engine, tasks)
        networks = self.engines[0].api.networks(filters={"label": mark(self.world)})
        return [*found, *(["more networks than one"] if len(networks) > 1 else [])]

    def _strays(self, node: Node, engine: Engine, tasks: dict[str, str]) -> list[str]:
        mine = [each for each in containers(self.world, engine) if each["State"] == "running"]
        proxies = [each for each in mine if _role(each) == names.PROXY_ROLE]
        rest = [each for each in mine if _role(each) not in (names.PROXY_ROLE, names.RELAY_ROLE)]
        found = [
            f"a stray container {each['Names']} on {node.root.name} ({each['Status']})"
            for each in rest
            if each["Labels"].get(_TASK) not in tasks
        ]
        if len(proxies) != (len(INSTANCES) if node is self.manager else 0):
            found.append(f"{len(proxies)} instances of the proxy on {node.root.name}")
        return found

    # For the message of a failing test

    def evidence(self) -> str:
        lines: list[str] = []
        with contextlib.suppress(PodiumError):
            known = {each.id: each.name for each in services.nodes(self.engines[0]).values()}
            for each in self.services().values():
                tasks = [
                    f"{known.get(task.node, '?')} {task.state}/{task.desired} {task.address} {task.error}"
                    for task in each.tasks[:3]
                ]
                lines.append(f"service {each.name} {each.id[:12]} wanted={each.wanted}: {'; '.join(tasks)}")
            for key, stats in self.runtime.proxy.readings().items():
                lines += [
                    f"proxy {key}: {stat.name} {stat.address} {stat.status} {stat.weight} {stat.lasting} s"
                    for stat in stats
                    if stat.kind == "server"
                ]
        return "\n".join([self.world.evidence(), *lines])

    def close(self) -> None:
        self.world.close()
        with contextlib.suppress(PodiumError):
            for each in self.services():
                services.remove(self.engines[0], each)
        for engine in reversed(self.engines):
            with contextlib.suppress(PodiumError):
                wait_until(lambda engine=engine: self._cleared(engine), 60, what="nothing is left")  # type: ignore[misc]
            engine.close()

    def _cleared(self, engine: Engine) -> bool:
        """A Swarm ends tasks itself, and gives its network back, which is the manager's, when it has forgotten the last
        one."""
        with contextlib.suppress(PodiumError):
            clear(self.world, engine, network=engine is self.engines[0])
            return True
        return False


def _role(container: dict[str, Any]) -> str:
    return str(container["Labels"].get(names.ROLE) or "")
