"""What the agent says of replicas that it had to start again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from podium.core.delivery.environment import healing, late, restarts
from podium.core.delivery.proxy import transport
from podium.core.delivery.rollout import phases
from podium.core.domain.delivery import DeploymentState, How, ReplicaState
from podium.core.domain.rollout import NOTE

from tests.delivery.light import World
from tests.support import wait_until


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(phases, "WATCH_SECONDS", 0.05)
    made = World(tmp_path, replicas=1)
    yield made
    made.close()


def heal(world: World) -> list[str]:
    return healing.heal_environment(world.project, world.journal, world.environment)


def test_a_replica_that_lives_and_cannot_predict_is_replaced_and_the_reason_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(healing, "HUNG_SECONDS", 0.5)
    world.version(1)
    world.deploy(1)
    [row] = world.runtime.replicas()
    ill = world.runtime.files.directory(1) / "ill"
    ill.write_text("A prediction has not come back for 61 s; the time-out is 60 s.")
    reason = "was stopped: a prediction has not come back for 61 s; the time-out is 60 s"
    wait_until(lambda: heal(world) == [f"staging: {row.id} {reason}; started it again"], 20)
    ill.unlink()
    wait_until(lambda: heal(world) == [f"staging: {row.id} is healthy again"], 20)
    [row] = world.runtime.replicas()
    assert row.message == f"it {reason}" and row.restarts == 1
    assert row.pid
    os.kill(row.pid, signal.SIGTERM)
    told = wait_until(lambda: heal(world), 20)
    assert told[0].startswith(f"staging: {row.id} was gone: it ended by SIGTERM, its log ends with: ")
    assert told[0].endswith("; started it again (2 times in the last hour)")
    monkeypatch.setattr(restarts, "WINDOW_SECONDS", 0.0)
    wait_until(lambda: heal(world) == [] and world.runtime.replicas()[0].message == "", 20)


def test_an_environment_that_is_well_is_asked_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.version(1)
    world.deploy(1)
    asked: list[str] = []
    ask = transport.ask_socket

    def counted(path: Path, command: str, *, timeout: float) -> str:
        asked.append(command)
        return ask(path, command, timeout=timeout)

    monkeypatch.setattr(transport, "ask_socket", counted)
    wait_until(lambda: heal(world) == [] and not asked.clear(), 20)
    assert heal(world) == [] and asked == ["show stat"] * 2, "each instance of the proxy, once"
    # What it says counts: a weight that somebody changed is put right.
    [row] = world.runtime.replicas()
    world.runtime.proxy.instances[0].runtime.execute(f"set server replicas/{row.slot} weight 7")
    assert heal(world) == []
    weights = {stat.weight for stat in world.runtime.proxy.instances[0].stats() if stat.kind == "server"}
    assert weights == {row.weight} != {7}


def test_what_an_undo_left_draining_is_warm_once_it_has_answered(world: World) -> None:
    world.version(1)
    world.version(2)
    world.deploy(1)
    world.deploy(2)
    [old] = world.runtime.replicas(1)
    # A rollback failed for want of file descriptors, and its undo as well, between the rows and the proxy.
    world.journal.replicas.put(replace(old, state=ReplicaState.DRAINING))
    assert heal(world) == [f"staging: {old.id} has answered its last request, and is warm"]
    assert world.runtime.replicas(1) == [old] and heal(world) == []
    world.journal.replicas.put(replace(old, state=ReplicaState.DRAINING))
    world.journal.ledger.begin(
        environment="staging", how=How.DEPLOY, model="light", to_version=2, from_version=1, who="ann"
    )
    assert heal(world) == [], "a rollout that is open has its own plans with it"


def test_a_replica_that_was_started_while_the_clock_was_ahead_does_not_wait_for_that_time(world: World) -> None:
    world.version(1)
    world.deploy(1)
    [row] = world.runtime.replicas()
    world.journal.replicas.put(replace(row, restarts=5, started=time.time() + 365 * 86400))
    assert row.pid
    os.kill(row.pid, signal.SIGKILL)
    wait_until(lambda: any("was gone" in line for line in heal(world)), 20)
    wait_until(lambda: heal(world) == [f"staging: {row.id} is healthy again"], 20)


def test_a_replica_that_dies_again_and_again_is_started_less_and_less_often(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, at once, then after 2, 4, 8 … 60 s, until it has lived for a minute."""
    world.version(1)
    world.deploy(1)
    now = time.time()
    monkeypatch.setattr(healing.time, "time", lambda: now)
    waited: list[float] = []
    for _ in range(9):
        [row] = world.runtime.replicas()
        assert row.pid
        with suppress(ProcessLookupError):
            os.kill(row.pid, signal.SIGKILL)
        wait_until(lambda row=row: not world.runtime.driver.alive(row), 20)
        began = now = row.started or 0.0
        while not any("was gone" in line for line in heal(world)):
            now += 1.0
        waited.append(now - began)
    assert waited == [0, 0, 2, 4, 8, 16, 32, 60, 60]
    [row] = world.runtime.replicas()
    assert row.message.endswith(" (9 times in the last hour)") and row.restarts == 9
    assert row.pid
    os.kill(row.pid, signal.SIGKILL)
    wait_until(lambda: not world.runtime.driver.alive(row), 20)
    now = (row.started or 0.0) + healing.STABLE_SECONDS + 1
    assert any("was gone" in line for line in heal(world)) and world.runtime.replicas()[0].restarts == 1


def test_what_came_after_a_first_deploy_was_undone_is_ended_for_a_while_also_when_nothing_serves(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker was killed while the engine made a container: that was ready after the undo had looked."""
    world.version(1)
    row = world.runtime.lifecycle.start(1, 1, "sha256:1")
    world.journal.replicas.remove(world.runtime.name, row.id)
    first = world.journal.ledger.begin(
        environment=world.runtime.name, how=How.DEPLOY, model="m", to_version=1, from_version=None, who="anna"
    )
    world.journal.ledger.phase(first.id, NOTE, {"new": [row.id]})
    assert heal(world) == [] and world.runtime.driver.alive(row)
    world.journal.ledger.finish(first.id, DeploymentState.UNDONE, "told to end")
    monkeypatch.setattr(late, "LATE_SECONDS", 0.0)
    assert heal(world) == [], "long after nothing comes any more, and nothing is looked for"
    monkeypatch.setattr(late, "LATE_SECONDS", 3600.0)
    # A process is known by its variables, which it has a moment after it was started.
    told = f"staging: {row.id} came after its rollout was undone; ended it"
    wait_until(lambda: heal(world) == [told], 20)
    assert not world.runtime.driver.alive(row) and heal(world) == []


def test_restarts_are_counted_over_an_hour_and_a_file_that_cannot_be_read_or_written_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [restarts.note(tmp_path, "a"), restarts.note(tmp_path, "a"), restarts.note(tmp_path, "b")] == [1, 2, 1]
    later = time.time() + restarts.WINDOW_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert restarts.note(tmp_path, "a") == 1
    (tmp_path / "restarts.json").write_text("[1, 2")
    assert restarts.note(tmp_path, "a") == 1
    assert restarts.note(tmp_path / "nowhere", "a") == 1
