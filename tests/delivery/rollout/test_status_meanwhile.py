"""What is said of an environment while a rollout is under way: who answers, by the proxy's weights, and the phase."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from podium.core.delivery.rollout import rollout
from podium.core.delivery.status.status import status
from podium.core.domain.delivery import Condition, EnvironmentStatus
from podium.core.domain.rollout import SEQUENCE, SHIFT

from tests.delivery.light import Load, Verb, World, replace_phase

Seen = list[tuple[str, EnvironmentStatus]]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def now(world: World) -> EnvironmentStatus:
    return status(world.project, world.journal, world.environment)


def stopped_in_each_phase(world: World, monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Has every rollout stop before each of its phases to look at the status."""
    seen: Seen = []

    def watched(name: str, verb: Verb) -> Verb:
        def stop(each: rollout.Rollout) -> None:
            seen.append((name, now(world)))
            verb(each)

        return stop

    made = [replace(each, carry_out=watched(each.name, each.carry_out)) for each in rollout.PHASES]
    monkeypatch.setattr(rollout, "PHASES", tuple(made))
    return seen


@pytest.mark.parametrize("how", ["deploy", "rollback"])
def test_each_phase_says_who_answers_and_what_is_done(world: World, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    world.version(1)
    world.version(2)
    world.deploy(1)
    old, new = 1, 2
    if how == "rollback":
        world.deploy(2)
        old, new = 2, 1
    seen = stopped_in_each_phase(world, monkeypatch)
    with Load(world.port) as load:
        world.deploy(2) if how == "deploy" else world.rollback(1)
    assert load.failures == []
    assert [name for name, _ in seen] == list(SEQUENCE)
    for place, (name, found) in enumerate(seen, 1):
        moved = SEQUENCE.index(name) > SEQUENCE.index(SHIFT)
        assert found.traffic == {new if moved else old: 1.0}, name
        assert found.rollout is not None and found.rollout.phase == place, name
        assert (found.rollout.version, found.rollout.from_version) == (new, old)
        assert found.health.condition is Condition.CHANGING, (name, found.health)
        assert found.health.words == f"{how} v{new}: {found.rollout.does}"
    assert now(world).rollout is None and now(world).traffic == {new: 1.0}


def test_a_first_deployment_is_under_way_before_anything_answers(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.version(1)
    seen = stopped_in_each_phase(world, monkeypatch)
    world.deploy(1)
    assert seen[0][1].traffic == {}
    assert {found.health.condition for _, found in seen} == {Condition.CHANGING}
    assert seen[1][1].health.words == "deploy v1: starting replicas"


def test_the_shares_are_those_of_the_proxy_not_of_the_plan(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.version(1)
    world.version(2)
    world.deploy(1)
    seen: list[EnvironmentStatus] = []

    def half(verb: Verb) -> Verb:
        def stop(each: rollout.Rollout) -> None:
            weights = {row.id: 25 if row.version == 2 else 75 for row in each.runtime.replicas()}
            each.runtime.traffic.weigh(weights)
            seen.append(now(world))
            verb(each)

        return stop

    replace_phase(monkeypatch, SHIFT, half)
    world.deploy(2)
    assert seen[0].traffic == {1: 0.75, 2: 0.25}
    assert seen[0].rollout is not None and seen[0].rollout.does == "moving traffic"
