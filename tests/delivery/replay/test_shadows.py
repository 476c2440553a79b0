"""Shadows of a replay are ended by itself, by the agent or by the next replay, and never by one of these while another
uses them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.delivery.environment.runtime import EnvironmentRuntime
from podium.core.delivery.host import daemon
from podium.core.delivery.replay import shadows
from podium.core.errors import Refused
from podium.core.journal import Journal
from podium.core.journal.locks import LockHolder, Locks

from tests.delivery.light import World
from tests.delivery.replay.test_replay import replaying, shadows_of
from tests.runner.scale import scaled
from tests.support import wait_until

LOCK = "replay on staging"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, replicas=1)
    yield made
    for side in shadows.SIDES:
        for pid, started in daemon.find(made.runtime.marker(f"staging-shadow-{side}")):
            daemon.stop(pid, started, grace=0.5)
    made.close()


def noted(world: World) -> bool:
    return bool(world.journal.values.all("shadows "))


def test_a_sweep_leaves_the_shadows_of_a_replay_that_began_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has seen the lock of one that was killed; a moment later that is another one's."""
    with replaying(world) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    listed = Locks.all
    other = Journal.open(world.journal.path)
    replay = shadows.Shadows(EnvironmentRuntime(world.project, other, world.environment), who="berta", why="a replay")

    def then_a_replay_begins(self: Locks) -> list[LockHolder]:
        found = listed(self)
        monkeypatch.setattr(Locks, "all", listed)
        replay.__enter__()
        replay.start("candidate", 2, "")
        return found

    monkeypatch.setattr(Locks, "all", then_a_replay_begins)
    assert shadows.sweep(world.project, world.journal) == []
    assert len(shadows_of(world)) == 1, "it runs on"
    replay.wait()
    replay.__exit__(None, None, None)
    other.close()
    assert not shadows_of(world) and world.journal.locks.all() == [] and not noted(world)


def test_a_replay_waits_for_a_sweep_and_is_not_refused(world: World) -> None:
    sweep = world.journal.locks.take(LOCK, shadows._SWEEPER, shadows._SWEEPING)
    looked, entered = threading.Event(), threading.Event()

    def replay() -> None:
        with Journal.open(world.journal.path) as journal:
            holder = journal.locks.holder

            def then_told(name: str) -> LockHolder | None:
                looked.set()
                return holder(name)

            journal.locks.holder = then_told  # type: ignore[method-assign]
            with shadows.Shadows(EnvironmentRuntime(world.project, journal, world.environment), who="anna", why=""):
                entered.set()

    thread = threading.Thread(target=replay)
    thread.start()
    assert looked.wait(scaled(30)) and not entered.is_set()
    sweep.release()
    thread.join(scaled(60))
    assert entered.is_set() and world.journal.locks.all() == []


def test_a_replay_of_another_one_refuses_a_replay_still(world: World) -> None:
    with (
        world.journal.locks.take(LOCK, "berta", "replay of version 3"),
        pytest.raises(Refused, match="berta"),
        shadows.Shadows(world.runtime, who="anna", why="replay of version 2"),
    ):
        raise AssertionError("berta's runs")


def test_what_an_earlier_podium_left_is_known_by_its_lock_alone(world: World) -> None:
    with replaying(world) as process:
        assert noted(world), "from the beginning: whoever is killed writes nothing"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        world.journal.values.set("shadows staging", None)
        assert shadows.sweep(world.project, world.journal) == [
            "staging: a replay was killed; 2 of its shadow replicas were ended"
        ]
    assert not shadows_of(world) and not noted(world)


def test_an_environment_that_podium_yaml_has_no_longer_is_remembered(world: World) -> None:
    with replaying(world) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    config = world.project.environments.pop("staging")
    assert shadows.sweep(world.project, world.journal) == [
        "staging: a replay was killed, and podium.yaml has the environment no longer"
    ]
    assert shadows.sweep(world.project, world.journal) == [] and world.journal.locks.all() == []
    world.project.environments["staging"] = config
    assert shadows.sweep(world.project, world.journal) == ["staging: ended 2 shadow replicas that a replay left behind"]
    wait_until(lambda: not shadows_of(world))
    assert not noted(world)
