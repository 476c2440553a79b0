"""What podium.yaml declares beside how it is: a real HAProxy, replicas that are small processes."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from podium.core.changes import ensure_agreed
from podium.core.delivery.repair import plan as repair
from podium.core.delivery.repair.declared import declared, left_behind
from podium.core.domain.access.clients import Auth, ClientLimits
from podium.core.domain.delivery import Stopped
from podium.core.domain.infra.declared import Declared
from podium.core.domain.models import CHAMPION, Version
from podium.core.domain.repair import DifferenceKind
from podium.core.errors import Refused

from tests.delivery.light import MODEL, Load, World
from tests.support import free_port, wait_until


def how(world: World) -> Declared:
    return declared(world.project, world.journal, world.environment.name)


def made_so(world: World) -> None:
    found = how(world)
    assert found.plan is not None and found.applies
    ensure_agreed(found.plan)
    assert repair.carry_out(world.runtime, who="anna")["left"] == []
    assert (how(world).differs, how(world).applies, how(world).words) == (False, False, "v1 serves as declared")


def test_more_replicas_another_port_and_limits_are_differences_that_are_made_so_under_load(world: World) -> None:
    world.version(1)
    world.deploy(1)
    assert (how(world).words, how(world).differs, how(world).plan) == ("v1 serves as declared", False, None)
    with Load(world.port) as load:
        wait_until(lambda: load.total > 20)
        world.change(replicas=3, limits=ClientLimits(rate=1e6))
        found = how(world)
        assert found.differs and found.words == "v1 serves, with 2 differences" and found.plan is not None
        assert {each.kind for each in found.plan.differences} == {DifferenceKind.MISSING, DifferenceKind.PROXY}
        assert "the proxy was started with another limits than podium.yaml has now" in [
            each.words for each in found.plan.differences
        ]
        made_so(world)
        before = load.total
        wait_until(lambda: load.total > before + 20)
    assert load.failures == [], world.evidence()
    world.change(port=free_port())
    assert [each.words for each in (how(world).plan or pytest.fail("no plan")).differences] == [
        "the proxy was started with another port than podium.yaml has now"
    ]
    made_so(world)
    with Load(world.port) as load:
        wait_until(lambda: load.total > 20)
    assert load.failures == []


def test_a_file_of_the_declaration_that_cannot_be_used_is_a_difference_and_no_crash(world: World) -> None:
    world.version(1)
    world.deploy(1)
    world.change(auth=Auth(client_ca="nothing.pem"))
    found = how(world)
    assert found.differs and found.plan is not None
    assert "cannot have the settings of podium.yaml" in found.plan.differences[0].words
    assert "nothing.pem" in found.plan.differences[0].words and found.plan.nothing_to_do


def test_while_a_change_is_under_way_nothing_is_applied(world: World) -> None:
    from podium.core.delivery.environment.lock import operation

    world.version(1)
    world.deploy(1)
    world.change(replicas=1)
    with operation(world.journal, world.runtime.directory, "staging", who="ben", why="promotion"):
        found = how(world)
    assert found.plan is not None and "ben" in found.plan.refusal
    with pytest.raises(Refused, match="ben"):
        ensure_agreed(found.plan)


def test_what_a_person_stopped_is_no_difference(world: World) -> None:
    world.version(1)
    world.deploy(1)
    current = world.journal.ledger.current("staging")
    assert current is not None
    world.journal.stops.put(Stopped("staging", current.id, "anna", time.time(), "a new disk"))
    found = how(world)
    assert not found.differs and not found.applies and "stopped by anna" in found.words
    assert found.command == "podium start -e staging"


def test_where_nothing_serves_the_champion_is_what_should(world: World) -> None:
    found = how(world)
    assert not found.differs and found.words == f"nothing serves, and {MODEL} has no champion"
    version = Version(MODEL, 3, time.time(), aliases=(CHAMPION,))
    world.journal.versions.replace(MODEL, [version], "seen")
    found = how(world)
    assert found.differs and found.plan is not None
    assert (found.plan.verb, found.plan.arguments["version"]) == ("deploy", "3")


def test_another_model_and_an_environment_that_is_gone_are_named(world: World) -> None:
    world.version(1)
    world.deploy(1)
    world.change(model="larger")
    found = how(world)
    assert found.differs and found.plan is None
    assert found.words == f"{MODEL} v1 serves, and podium.yaml declares larger"
    assert found.command == "podium deploy larger:champion -e staging"
    from podium.core.attention import removed

    world.project = replace(world.project, environments={"production": world.project.environments["production"]})
    (left,) = left_behind(removed(world.project, world.journal))
    assert left.name == "staging" and left.differs and "2 replicas of it still run" in left.words
