"""What has to hold after whatever happened, once the agent has had time to put things right."""

from __future__ import annotations

import psutil
from podium.core.containers import Engine
from podium.core.delivery.host.paths import INSTANCES
from podium.core.domain.delivery import ReplicaState
from podium.core.domain.models import CHAMPION

from tests.chaos import engine
from tests.chaos.world import ENVIRONMENT, Client, World

_ENGINES = ("docker", "swarm")


def broken(world: World, client: Client, docker: Engine | None = None) -> list[str]:
    """The invariants that do not hold, in words. The world has to be settled (`world.settled()`). `docker` is its
    engine, where it is on one."""
    return [*_champion(world, client), *_strays(world), *(engine.strays(world, docker) if docker is not None else [])]


def _champion(world: World, client: Client) -> list[str]:
    """Exactly one champion; ledger, registry, the journal's snapshot of it, the proxy's weights and the answers agree
    on it."""
    serving = world.cockpit.environments.get(ENVIRONMENT).serving
    found: list[str] = []
    real = world.server.aliases(world.model)
    if real.get(CHAMPION) != serving:
        found.append(f"the registry's aliases are {real}, and the ledger says version {serving} serves")
    world.cockpit.models.refresh()
    believed = [version.version for version in world.cockpit.models.versions() if CHAMPION in version.aliases]
    if believed != [serving]:
        found.append(f"the journal's snapshot has {believed} as champion instead of version {serving}")
    weighed = {row.version for row in world.cockpit.journal.replicas.of(ENVIRONMENT) if row.weight}
    if weighed != {serving}:
        found.append(f"versions {weighed} have a weight, and version {serving} serves")
    answering = client.fresh().by_version()
    if answering != {serving}:
        found.append(f"versions {answering} answer, and version {serving} serves")
    return found


def _strays(world: World) -> list[str]:
    """No process that nobody knows of; of each that is known, one."""
    rows = world.cockpit.journal.replicas.of(ENVIRONMENT)
    known = {row.pid: row.id for row in rows if row.pid}
    replicas = set(known)
    found: list[str] = []
    proxies: list[int] = []
    for process in world.processes():
        try:
            line = process.cmdline()
        except psutil.Error:
            continue
        words = " ".join(line)
        if process.pid in known:
            known.pop(process.pid)
        elif any("haproxy" in word for word in line[:1]):
            if world.driver not in _ENGINES:  # there they are counted as containers
                proxies.append(process.pid)
        elif _waits(process, replicas):
            continue
        elif world.agent_process is None or process.pid not in (
            world.agent_process.pid,
            *_children(world.agent_process.pid),
        ):
            found.append(f"a stray process {process.pid}: {words[:300]}")
    if world.driver not in _ENGINES and len(proxies) != len(INSTANCES):
        found.append(f"the processes {proxies} are instances of the proxy, of which there should be {len(INSTANCES)}")
    found += [f"{name} (pid {pid}) is in the journal and does not run" for pid, name in known.items()]
    unsure = [row.id for row in rows if row.state in (ReplicaState.DRAINING, ReplicaState.STARTING)]
    return [*found, *([f"{unsure} are neither one nor the other"] if unsure else [])]


def _waits(process: psutil.Process, replicas: set[int]) -> bool:
    """Tells whether it is the shell that waits for a replica to note how it ended, or has just done so."""
    try:
        line, children = process.cmdline(), process.children()
    except psutil.Error:
        return True
    return line[:2] == ["/bin/sh", "-c"] and "$ended" in line[2] and all(child.pid in replicas for child in children)


def _children(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []
