"""Repairs of an environment of processes: what differs is shown, repaired under load without a lost request, and
looked at afterwards."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest
from podium.core.changes import ensure_agreed
from podium.core.delivery.environment.lock import operation
from podium.core.delivery.repair import plan as repair
from podium.core.delivery.rollout.carry_out import begin
from podium.core.delivery.status import status as environments
from podium.core.domain.delivery import DeploymentState, How, ReplicaState
from podium.core.domain.plans import Plan
from podium.core.domain.repair import DifferenceKind
from podium.core.errors import NotFound, Refused

from tests.delivery.light import Load, World
from tests.support import wait_until


def planned(world: World) -> Plan:
    return repair.plan(world.project, world.journal, world.environment.name)


def repaired(world: World) -> list[str]:
    """What is still different after a repair."""
    return list(repair.carry_out(world.runtime, who="anna")["left"])


def test_nothing_to_mend(world: World) -> None:
    world.version(1)
    world.deploy(1)
    plan = planned(world)
    assert (plan.steps, plan.differences, plan.refusal) == ((), (), "")
    with pytest.raises(Refused, match="nothing to repair"):
        ensure_agreed(plan)


def test_a_dead_replica_is_started_again_while_the_other_serves(world: World) -> None:
    world.version(1)
    world.deploy(1)
    victim = world.runtime.replicas()[0]
    with Load(world.port) as load:
        wait_until(lambda: load.total > 20)
        os.kill(victim.pid or 0, signal.SIGKILL)
        wait_until(lambda: not world.runtime.driver.alive(victim))
        plan = planned(world)
        assert {(each.kind, each.subject) for each in plan.differences} >= {
            (DifferenceKind.GONE, victim.id),
            (DifferenceKind.MISSING, "staging"),
        }
        assert f"start {victim.id} again" in plan.steps and plan.steps[-1].startswith("look again")
        assert repaired(world) == []
        before = load.total
        wait_until(lambda: load.total > before + 20)
    assert load.failures == [], world.evidence()
    assert planned(world).steps == () and world.weights() == {"v1-1": 100, "v1-2": 100}


def test_a_replica_that_a_change_gave_up_on_and_that_came_up_later_serves_again(world: World) -> None:
    world.version(1)
    world.deploy(1)
    row = world.runtime.replicas()[0]
    world.runtime.traffic.weigh({row.id: 0})
    world.journal.replicas.put(replace(world.runtime.replicas()[0], state=ReplicaState.STARTING))
    assert repaired(world) == []
    assert world.weights() == {"v1-1": 100, "v1-2": 100}


def test_weights_that_somebody_changed_a_killed_proxy_and_a_replica_that_nobody_noted_missing(world: World) -> None:
    world.version(1)
    world.version(2)
    world.deploy(1)
    world.deploy(2)
    world.runtime.proxy.instances[1].runtime.execute(
        "set server replicas/v1-1 weight 50", "set server replicas/v2-1 weight 0"
    )
    plan = planned(world)
    assert [each.kind for each in plan.differences] == [DifferenceKind.WEIGHT, DifferenceKind.WEIGHT]
    assert set(plan.steps[:-1]) == {"give staging-v1-1 weight 0", "give staging-v2-1 weight 100"}
    assert repaired(world) == [] and world.weights() == {"v1-1": 0, "v1-2": 0, "v2-1": 100, "v2-2": 100}

    gone = world.runtime.replicas(2)[1]
    world.runtime.driver.stop(gone, grace=0.5)
    world.journal.replicas.remove("staging", gone.id)
    for pid in world.proxy_pids():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not world.runtime.proxy.alive())
    plan = planned(world)
    assert {each.kind for each in plan.differences} == {DifferenceKind.PROXY, DifferenceKind.MISSING}
    assert repaired(world) == [] and world.answers() == "2"
    assert world.weights() == {"v1-1": 0, "v1-2": 0, "v2-1": 100, "v2-2": 100}


def test_traffic_that_goes_to_another_version_than_the_ledgers_comes_back(world: World) -> None:
    world.version(1)
    world.version(2)
    world.deploy(1)
    world.deploy(2)
    rows = world.runtime.replicas()
    world.runtime.traffic.weigh({row.id: 100 if row.version == 1 else 0 for row in rows})
    status = environments.status(world.project, world.journal, world.environment)
    assert any("version 1 takes traffic" in each.words for each in status.differences)
    with Load(world.port) as load:
        wait_until(lambda: load.total > 20)
        assert repaired(world) == []
    assert load.failures == [] and world.answers() == "2"
    assert {row.state for row in world.runtime.replicas(1)} == {ReplicaState.WARM}


def test_a_restart_of_the_only_replica_loses_nothing(world: World) -> None:
    world.change(replicas=1)
    world.version(1)
    world.deploy(1)
    before = world.runtime.replicas()[0]
    plan = repair.plan_restart(world.project, world.journal, world.environment.name, replica=before.id)
    assert plan.steps[0].startswith("start another replica of version 1") and plan.arguments == {"restart": before.id}
    with Load(world.port) as load:
        wait_until(lambda: load.total > 20)
        repair._restart(world.runtime, before.id, who="anna")
    assert load.failures == [], world.evidence()
    (after,) = world.runtime.replicas()
    assert (
        after.id == before.id and after.pid != before.pid and after.weight == 100 and after.state is ReplicaState.READY
    )
    assert environments.status(world.project, world.journal, world.environment).differences == ()
    with pytest.raises(NotFound, match="no replica 'nobody'"):
        repair.plan_restart(world.project, world.journal, world.environment.name, replica="nobody")


def test_what_is_being_changed_is_not_mended(world: World) -> None:
    world.version(1)
    world.deploy(1)
    runtime = world.runtime
    with operation(world.journal, runtime.directory, "staging", who="ben", why="a deploy"):
        plan = planned(world)
        assert "ben" in plan.refusal
        with pytest.raises(Refused, match="ben"):
            ensure_agreed(plan)
        with pytest.raises(Refused, match="ben"):
            repair.carry_out(runtime, who="anna")


def test_a_version_that_cannot_start_is_told_and_the_rest_is_mended(world: World) -> None:
    world.version(1)
    world.deploy(1)
    world.change(health_timeout=1.0)
    first, second = world.runtime.replicas()
    world.runtime.traffic.weigh({second.id: 40})
    # From now on nothing of this version can start: its files are broken.
    (world.runtime.files.directory(1) / "behaviour.json").write_text('{"crash": true}')
    os.kill(first.pid or 0, signal.SIGKILL)
    wait_until(lambda: not world.runtime.driver.alive(first))
    with pytest.raises(repair.StillDifferent, match=f"{first.id}") as caught:
        repair.carry_out(world.runtime, who="anna")
    assert caught.value.results["problems"] and world.answers() == "1"
    row = next(each for each in world.runtime.replicas() if each.id == second.id)
    assert row.weight == 100 and replace(row, message="") == row


def test_an_interrupted_change_is_undone_first(world: World) -> None:
    world.version(1)
    world.version(2)
    world.deploy(1)
    begin(world.runtime, world.order(How.DEPLOY, 2), "sha256:x")
    plan = planned(world)
    assert [each.kind for each in plan.differences] == [DifferenceKind.INTERRUPTED] and plan.steps[
        0
    ] == "finish or undo the deploy of version 2"
    assert repaired(world) == []
    assert world.journal.ledger.history("staging")[0].state is DeploymentState.UNDONE and world.answers() == "1"
