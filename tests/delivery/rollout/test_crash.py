"""The process of a change is killed at every phase; whoever looks next finishes or undoes it, and not one request is
lost meanwhile."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from podium.core.delivery.environment import healing, history
from podium.core.delivery.rollout import phases, recovery
from podium.core.delivery.status import status as environments
from podium.core.domain.delivery import DeploymentState, ReplicaState
from podium.core.domain.rollout import MOVE_ALIASES, SEQUENCE, SHIFT, START, WAIT_HEALTHY, WARM_UP

from tests.delivery.light import Load, World
from tests.runner.scale import scaled
from tests.support import wait_until


def crash(world: World, how: str, version: int, when: str, phase: str) -> str:
    handed = world.project.home / "handed.pickle"
    handed.write_bytes(pickle.dumps((world.project, world.environment)))
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parents[1] / "crashing.py"), str(handed), when, phase, how, str(version)],
        capture_output=True,
        text=True,
        timeout=scaled(60),
        check=False,
    )
    assert done.returncode == (0 if when == "never" else -9), done.stdout + done.stderr
    return done.stdout


def settled(world: World) -> None:
    """Nothing differs, every replica that is there lives, and nothing runs that nobody knows of."""
    wait_until(lambda: not healing.heal_environment(world.project, world.journal, world.environment))
    status = environments.status(world.project, world.journal, world.environment)
    assert status.differences == () and status.locked_by == "" and world.journal.ledger.open() == []
    assert not [
        r for r in status.replicas if r.state in (ReplicaState.DEAD, ReplicaState.STARTING, ReplicaState.DRAINING)
    ]


@pytest.mark.in_turn(8)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("phase", SEQUENCE)
def test_deploy_killed_at_any_phase_is_undone_or_finished(world: World, phase: str, when: str) -> None:
    world.change(replicas=1)
    world.version(1)
    world.version(2)
    world.deploy(1)
    with Load(world.port, rate=100) as load:
        crash(world, "deploy", 2, when, phase)
        [line] = recovery.recover(world.project, world.journal)
    assert load.failures == [], world.evidence()
    finished = phases.reached(phase, SHIFT) and (phase, when) != (SHIFT, "before")
    assert line.endswith("was finished" if finished else "was undone")
    state = DeploymentState.SUCCEEDED if finished else DeploymentState.UNDONE
    assert world.journal.ledger.history("staging")[0].state is state
    assert history.serving(world.journal, "staging", "tiny") == (2 if finished else 1) and world.answers() == (
        "2" if finished else "1"
    )
    settled(world)
    assert recovery.recover(world.project, world.journal) == []


@pytest.mark.parametrize("phase", [START, WARM_UP])
def test_what_the_proxies_serve_is_not_ended_by_a_journal_that_lost_its_last_rows(world: World, phase: str) -> None:
    world.change(replicas=1)
    world.version(1)
    world.version(2, stubborn=True)
    world.deploy(1)
    with Load(world.port, rate=100) as load:
        crash(world, "deploy", 2, "after", phase)
        before = world.runtime.replicas()
        number = next(row.id for row in world.journal.ledger.open())
        world.runtime.lifecycle.wait_healthy([row.id for row in before if row.version == 2])
        world.runtime.traffic.sync()
        world.runtime.traffic.wait_up(["v2-1"])
        world.runtime.traffic.weigh({row.id: 100 if row.version == 2 else 0 for row in before})
        for row in before:  # as they were written before the traffic moved
            world.journal.replicas.put(row)
        assert world.weights() == {"v1-1": 0, "v2-1": 100}
        [line] = recovery.recover(world.project, world.journal)
    assert line.endswith("was undone") and world.journal.ledger.get(number).state is DeploymentState.UNDONE
    assert load.failures == [], world.evidence()
    assert world.answers() == "1" and world.weights() == {"v1-1": 100}
    settled(world)


@pytest.mark.parametrize(("when", "phase"), [("before", SHIFT), ("after", SHIFT), ("before", MOVE_ALIASES)])
def test_rollback_killed_around_the_weight_change(world: World, phase: str, when: str) -> None:
    world.change(replicas=1)
    world.version(1)
    world.version(2)
    world.deploy(1)
    world.deploy(2)
    crash(world, "rollback", 1, when, phase)
    recovery.recover(world.project, world.journal)
    finished = (when, phase) != ("before", SHIFT)
    assert world.answers() == ("1" if finished else "2")
    assert (world.journal.quarantine.find("tiny", 2) is not None) == finished
    settled(world)


def test_rollback_to_a_warm_version_imports_nothing_heavy(world: World) -> None:
    world.change(replicas=1)
    world.version(1)
    world.version(2)
    world.deploy(1)
    world.deploy(2)
    assert "heavy: []" in crash(world, "rollback", 1, "never", "-")


def test_replica_that_was_started_but_never_noted_is_found_and_ended(world: World) -> None:
    world.change(replicas=1)
    world.version(1)
    world.version(2)
    world.deploy(1)
    crash(world, "deploy", 2, "spawn", "-")
    marker = world.runtime.marker("staging-v2-1")
    from podium.core.delivery.host import daemon

    assert len(wait_until(lambda: daemon.find(marker))) == 1
    recovery.recover(world.project, world.journal)
    assert daemon.find(marker) == [] and world.runtime.replicas(2) == []
    settled(world)


@pytest.mark.parametrize("dead", ["old", "new", "all"])
def test_replicas_that_died_meanwhile_keep_no_undo_from_its_end(world: World, dead: str) -> None:
    world.change(replicas=1)
    world.version(1)
    world.version(2)
    world.deploy(1)
    crash(world, "deploy", 2, "before", SHIFT)
    for row in world.runtime.replicas():
        if dead == "all" or row.version == {"old": 1, "new": 2}[dead]:
            assert row.pid is not None
            os.kill(row.pid, signal.SIGKILL)
    [line] = recovery.recover(world.project, world.journal)
    assert line.endswith("was undone")
    assert world.journal.ledger.history("staging")[0].state is DeploymentState.UNDONE

    def healed() -> bool:
        """A look that does nothing may be one at a replica that starts: the next one finds it healthy."""
        healing.heal_environment(world.project, world.journal, world.environment)
        return [row.state for row in world.runtime.replicas()] == [ReplicaState.READY]

    wait_until(healed, 30)
    wait_until(lambda: not world.runtime.traffic.wait_up(["v1-1"]), 30)
    assert world.answers() == "1"
    settled(world)


def test_first_deploy_killed_leaves_nothing_behind(world: World) -> None:
    world.change(replicas=1)
    world.version(1)
    crash(world, "deploy", 1, "after", WAIT_HEALTHY)
    assert world.runtime.proxy.whole()
    recovery.recover(world.project, world.journal)
    assert not world.runtime.proxy.alive() and world.runtime.replicas() == []


def test_next_change_settles_the_interrupted_one_first(world: World) -> None:
    world.change(replicas=1)
    for number in (1, 2, 3):
        world.version(number)
    world.deploy(1)
    crash(world, "deploy", 2, "after", WARM_UP)
    status = environments.status(world.project, world.journal, world.environment)
    assert any("was interrupted" in each.words for each in status.differences)
    world.deploy(3)
    assert [row.state for row in world.journal.ledger.history("staging")] == [
        DeploymentState.SUCCEEDED,
        DeploymentState.UNDONE,
        DeploymentState.SUCCEEDED,
    ]
    assert world.answers() == "3"
    settled(world)


def test_proxy_killed_with_the_process_comes_back_with_the_weights_of_before(world: World) -> None:
    world.change(replicas=1)
    world.version(1)
    world.version(2)
    world.deploy(1)
    crash(world, "deploy", 2, "before", SHIFT)
    world.runtime.proxy.stop()
    recovery.recover(world.project, world.journal)
    wait_until(lambda: not healing.heal_environment(world.project, world.journal, world.environment))
    assert world.answers() == "1"
    settled(world)
