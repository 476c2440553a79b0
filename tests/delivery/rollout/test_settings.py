"""A setting of podium.yaml that changes counts for replicas that start after it: which those are is known, a deploy of
the version that serves replaces them under load, and a repair does so too."""

from __future__ import annotations

import pytest
from podium.core.delivery.environment import settings
from podium.core.delivery.repair import plan as repair
from podium.core.delivery.rollout import plans
from podium.core.delivery.status import status as environments
from podium.core.domain.delivery import How
from podium.core.domain.project import Batch, Feedback
from podium.core.domain.repair import DifferenceKind

from tests.delivery.light import Load, World
from tests.support import wait_until

TOKEN = "0123456789abcdef-of-tests"


def steps(world: World, how: How = How.DEPLOY, version: int = 1) -> str:
    return "; ".join(plans.plan(world.project, world.journal, how, "staging", version).steps)


def pids(world: World) -> set[int | None]:
    return {row.pid for row in world.runtime.replicas(1)}


@pytest.mark.parametrize("means", ["deploy", "repair"])
def test_replicas_with_other_settings_are_replaced_without_losing_a_request(world: World, means: str) -> None:
    world.version(1)
    world.deploy(1)
    before = pids(world)
    assert "replace" not in steps(world), "as long as nothing has changed"
    world.change(redact=("name",), capture=0.5)
    assert "replace 2 replicas of version 1, one after the other: started with another capture, redact" in steps(world)
    status = environments.status(world.project, world.journal, world.environment)
    found = [each for each in status.differences if each.kind is DifferenceKind.SETTINGS]
    assert [each.subject for each in found] == ["staging-v1-1", "staging-v1-2"]
    assert found[0].words == "staging-v1-1 was started with another capture, redact than podium.yaml has now"
    with Load(world.port) as load:
        wait_until(lambda: load.total > 20)
        if means == "deploy":
            world.deploy(1)
        else:
            assert list(repair.carry_out(world.runtime, who="anna")["left"]) == []
        sent = load.total
        wait_until(lambda: load.total > sent + 20)
    assert load.failures == [], world.evidence()
    assert not before & pids(world) and world.weights() == {"v1-1": 100, "v1-2": 100}
    assert "replace" not in steps(world)
    assert environments.status(world.project, world.journal, world.environment).differences == ()


def test_a_warm_version_that_comes_back_is_replaced_but_not_by_a_rollback(world: World) -> None:
    for version in (1, 2):
        world.version(version)
        world.deploy(version)
    world.change(capture=0.25)
    assert "replace" not in steps(world, How.ROLLBACK), "it is in a hurry"
    assert "replace 2 replicas of version 1" in steps(world)
    warm = pids(world)
    world.deploy(1)
    assert not warm & pids(world) and world.answers() == "1"


def test_the_only_replica_has_a_spare_meanwhile(world: World) -> None:
    world.change(replicas=1)
    world.version(1)
    world.deploy(1)
    world.change(key="flight")
    with Load(world.port) as load:
        wait_until(lambda: load.total > 20)
        world.deploy(1)
        sent = load.total
        wait_until(lambda: load.total > sent + 20)
    assert load.failures == [], world.evidence()
    assert [row.id for row in world.runtime.replicas()] == ["staging-v1-1"]


def test_what_counts_as_another_setting(world: World) -> None:
    world.version(1)
    world.deploy(1)
    before = world.environment
    row = world.runtime.replicas(1)[0]
    for keys, change in (
        ("batch", {"batch": Batch()}),
        ("feedback", {"feedback": Feedback({"crm": TOKEN})}),
        ("feedback", {"bind": "0.0.0.0"}),  # then nobody may send labels without a token
        ("memory", {"memory": 1 << 30}),
        ("", {"replicas": 3}),
        ("", {"keep": 3}),
    ):
        world.change(**change)
        assert ", ".join(settings.changed(world.runtime, row)) == keys, change
        world.environment = before
        world.change()
    kept = world.journal.values.all("replica settings ")
    assert TOKEN not in str(kept)
    world.journal.values.set("replica settings staging", None)
    world.change(capture=0.75)
    assert settings.changed(world.runtime, row) == (), "of a replica of an earlier Podium nothing is known"
