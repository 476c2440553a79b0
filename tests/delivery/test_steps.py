"""From a step's options to what the saga is asked to do."""

from __future__ import annotations

from typing import Any

import pytest
from podium.core.delivery import steps
from podium.core.delivery.saga import Order, begin
from podium.core.domain.delivery import How
from podium.core.domain.runs import Run, RunKind, RunState, Trigger
from podium.core.engine.context import StepContext
from podium.core.errors import UsageError

from tests.delivery.light import World


def order(world: World, **options: Any) -> Order:
    run = Run(7, RunKind.PIPELINE, "release", RunState.RUNNING, Trigger.SCHEDULE, "anna", 0.0, why="nightly")
    context = StepContext(world.project, run, "ship", {"environment": "staging", "version": "1", **options}, _journal=world.journal)
    return steps._order(context, world.site, How.PROMOTE)


def test_the_reason_of_a_forced_promotion_stands_in_the_ledger(world: World) -> None:
    world.version(1)
    forced = begin(world.site, order(world, force=" no gate yet: OPS-12 "), "digest")
    assert (forced.forced, forced.why) == (True, "no gate yet: OPS-12")


@pytest.mark.parametrize("force", [None, "", "  "])
def test_a_reason_that_is_empty_forces_nothing(world: World, force: str | None) -> None:
    world.version(1)
    plain = begin(world.site, order(world, force=force), "digest")
    assert (plain.forced, plain.why) == (False, "nightly")


@pytest.mark.parametrize("force", ["true", "False", True])
def test_a_reason_has_to_be_words(world: World, force: object) -> None:
    world.version(1)
    with pytest.raises(UsageError, match="in words"):
        order(world, force=force)
