"""Replicas that run, and that the proxy does not reach: a rollback does without them, a deploy does not."""

from __future__ import annotations

import os
import signal

import pytest
from podium.core.delivery.proxy.haproxy import RuntimeApi
from podium.core.domain.delivery import DeploymentState
from podium.core.errors import RunFailed

from tests.delivery.light import Load, World
from tests.support import wait_until


def freeze(world: World, slot: str) -> None:
    """Its kernel goes on taking connections, and nobody answers them."""
    [row] = [row for row in world.runtime.replicas() if row.slot == slot]
    assert row.pid is not None
    os.kill(row.pid, signal.SIGSTOP)
    world.runtime.proxy.fell(slot)


def test_a_rollback_goes_on_with_the_replicas_that_are_up(world: World) -> None:
    for number in (1, 2):
        world.version(number)
        world.deploy(number)
    freeze(world, "v1-1")
    with Load(world.port) as load:
        wait_until(lambda: load.total > 20)
        done = world.rollback(1)
        wait_until(lambda: load.answers['{"predictions": [1]}'] > 20)
    assert load.failures == [], world.evidence()
    assert done.state is DeploymentState.SUCCEEDED and "v1-1 yet" in done.message, done
    assert world.weights() == {"v1-1": 100, "v1-2": 100, "v2-1": 0, "v2-2": 0}, "it gets its share when it is back"


def test_a_rollback_to_what_cannot_be_reached_at_all_is_undone(world: World) -> None:
    for number in (1, 2):
        world.version(number)
        world.deploy(number)
    for slot in ("v1-1", "v1-2"):
        freeze(world, slot)
    with pytest.raises(RunFailed, match="does not reach v1-1, v1-2"):
        world.rollback(1)
    assert world.answers() == "2"


def test_a_deploy_waits_for_all_of_its_replicas(world: World) -> None:
    world.version(1)
    world.version(2)
    world.deploy(1)
    world.deploy(2)
    freeze(world, "v1-1")
    with pytest.raises(RunFailed, match="does not reach v1-1"):
        world.deploy(1)
    assert world.answers() == "2"


@pytest.mark.parametrize(("told", "checked"), [("INI", False), ("* INI", False), ("L7OK", True), ("* L7OK", True)])
def test_a_server_counts_as_checked_once_its_first_check_has_ended(world: World, told: str, checked: bool) -> None:
    world.version(1)
    world.deploy(1)
    answer = world.runtime.proxy.instances[0].runtime.ask("show stat")
    names = answer.splitlines()[0].split(",")

    def rewritten(line: str) -> str:
        words = line.split(",")
        if len(words) == len(names) and words[1].startswith("v1-"):
            words[names.index("check_status")] = told
        return ",".join(words)

    lines = [rewritten(line) for line in answer.splitlines()]
    found = [stat for stat in RuntimeApi(lambda _: "\n".join([*lines, ""])).stats() if stat.kind == "server"]
    assert [(stat.up, stat.checked) for stat in found] == [(True, checked)] * 2
