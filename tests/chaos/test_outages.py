"""What a release stands on goes away for a while, with traffic on: a replica, the proxy; as processes and as
containers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence

import psutil
import pytest
from podium.core.containers import Engine
from podium.core.containers.engine import labels as names
from podium.core.delivery.host.paths import INSTANCES
from podium.core.errors import NotFound

from tests.chaos import invariants
from tests.chaos.engine import containers, evidence
from tests.chaos.world import ENVIRONMENT, World
from tests.engine.lab import running
from tests.runner.scale import scaled
from tests.support import wait_until

pytestmark = pytest.mark.in_turn(2)


@pytest.fixture(params=["light", "docker"])
def scene(request: pytest.FixtureRequest, make_world: Callable[..., World]) -> tuple[World, Engine | None]:
    """A world that serves version 1, and its engine where it has one."""
    if request.param == "docker":
        docker: Engine = request.getfixturevalue("engine")
        world = request.getfixturevalue("docker_world")(docker)
    else:
        docker, world = None, make_world("light")  # type: ignore[assignment]
    world.start_agent()
    world.done(world.promote(1))
    return world, docker


def replica_pid(world: World, docker: Engine | None, slot: str) -> int:
    [row] = [row for row in world.cockpit.journal.replicas.of(ENVIRONMENT) if row.slot == slot]
    pid = row.pid if docker is None else docker.inspect(row.container)["State"]["Pid"]
    assert pid
    return int(pid)


def proxy_pids(world: World, docker: Engine | None) -> list[int]:
    """Of the instances that run, the first one's first."""
    if docker is None:
        found = sorted(
            (" ".join(process.cmdline()), process.pid)
            for process in world.processes()
            if "haproxy" in process.cmdline()[0]
        )
        return [pid for _, pid in reversed(found)]  # haproxy.cfg comes after haproxy-2.cfg
    mine = [one for one in containers(world, docker) if one["Labels"][names.ROLE] == names.PROXY_ROLE]
    pids = [
        int(docker.inspect(one["Id"])["State"]["Pid"]) for one in sorted(mine, key=lambda one: len(one["Names"][0]))
    ]
    return [pid for pid in pids if pid]


def told(world: World, docker: Engine | None) -> str:
    return "\n".join([world.evidence(), evidence(world, docker) if docker is not None else ""])


def test_killed_replicas_lose_no_request_and_come_back(scene: tuple[World, Engine | None]) -> None:
    world, docker = scene
    client = world.client()
    for slot in ("v1-1", "v1-2", "v1-1"):
        client.fresh()
        killed = replica_pid(world, docker, slot)
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda killed=killed, slot=slot: _another(world, docker, slot, killed), 30, what=f"another {slot}")  # type: ignore[misc]
        world.settled()
    problems = invariants.broken(world, client, docker)
    seen = client.close()
    assert seen.failed == 0 and problems == [], f"{problems} {seen.failures}\n{told(world, docker)}"


def _another(world: World, docker: Engine | None, slot: str, before: int) -> bool:
    try:
        return replica_pid(world, docker, slot) != before
    except (AssertionError, ValueError):
        return False


@pytest.mark.parametrize("number", [0, 1])
def test_a_killed_instance_of_the_proxy_costs_no_more_than_it_was_answering(
    scene: tuple[World, Engine | None], number: int
) -> None:
    """The other one has the port: what comes after the kill is answered, whatever time the agent takes."""
    world, docker = scene
    client = world.client()
    client.fresh()
    killed = kill(world, docker, [proxy_pids(world, docker)[number]])
    problems = [*invariants.broken(world, client, docker), *(["requests fail"] if client.fresh().failed else [])]
    seen = client.close()
    moments = [at for at, _ in seen.failures]
    print(f"{world.driver}: {seen.failed} of {seen.asked} requests failed when one instance of the proxy was killed")
    assert problems == [], f"{problems}\n{told(world, docker)}"
    # `at` is when a request was begun. Each of the eight connections has one request underway at most; which of the two
    # instances has which is the kernel's lot.
    assert all(killed - scaled(1.5) < at <= killed + 0.05 for at in moments) and seen.failed <= 8, (
        f"{killed}: {seen.failures}\n{told(world, docker)}"
    )


def test_a_proxy_killed_as_a_whole_is_back_at_once_and_loses_only_what_came_meanwhile(
    scene: tuple[World, Engine | None],
) -> None:
    """Nobody answers on a port that nobody listens on: the time without is what can be kept short."""
    world, docker = scene
    client = world.client()
    client.fresh()
    killed = kill(world, docker, proxy_pids(world, docker))
    back = time.time()
    problems = [*invariants.broken(world, client, docker), *(["requests fail"] if client.fresh().failed else [])]
    seen = client.close()
    moments = [at for at, _ in seen.failures]
    print(
        f"{world.driver}: {seen.failed} of {seen.asked} requests failed, the last"
        f" {max(moments, default=killed) - killed:.2f} s after the proxy was killed"
    )
    assert problems == [], f"{problems}\n{told(world, docker)}"
    assert all(killed - scaled(1.5) < at < back for at in moments), f"{seen.failures}\n{told(world, docker)}"


def kill(world: World, docker: Engine | None, victims: Sequence[int]) -> float:
    """When the last of them and of their workers had ended, which takes a killed one half a second where the machine
    is busy; returns when as many others are there as there were, and all has settled."""
    wanted = len(proxy_pids(world, docker))
    assert wanted == len(INSTANCES)
    families = [
        process for pid in victims for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))
    ]
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    wait_until(
        lambda: not any(running(process.pid) for process in families),
        5,
        interval=0.005,
        what="what was killed has ended",
    )
    killed = time.time()

    def others() -> bool:
        try:
            now = proxy_pids(world, docker)
        except (ValueError, IndexError, psutil.Error, NotFound):
            return False
        return len(now) == wanted and not set(now) & set(victims)

    wait_until(others, 10, what="another proxy")
    world.settled()
    return killed
