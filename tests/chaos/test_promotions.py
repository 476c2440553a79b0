"""Workers, steps and agents killed with -9 at random points of promotions, with traffic on: nothing is lost, and
everything is put right again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from podium.core.domain.delivery import DeploymentState

from tests.chaos import invariants, kills
from tests.chaos.fire import ROUNDS, fire
from tests.chaos.kills import Kill, Victim
from tests.chaos.world import World
from tests.support import wait_until


@pytest.mark.timeout(60 + 15 * ROUNDS)
def test_killed_at_random_points_of_promotions(make_world: Callable[..., World]) -> None:
    fire(make_world("light"), None)


@pytest.mark.in_turn(1)
@pytest.mark.parametrize("victim", [Victim.WORKER, Victim.BOTH])
def test_a_canary_whose_process_is_killed_goes_back(make_world: Callable[..., World], victim: Victim) -> None:
    world = make_world("light")
    world.start_agent()
    world.done(world.promote(1))
    client = world.client()
    world.configure("canary")
    run = world.promote(2)
    wait_until(
        lambda: any(row.data.get("share") for row in world.cockpit.journal.ledger.open()),
        20,
        what="the canary has a share",
    )
    wait_until(lambda: client.fresh().by_version() == {1, 2}, 10, what="both versions answer")
    kills.strike(world, run, Kill(victim, "", 0.0, "canary"))
    if world.agent_process is None:
        world.start_agent()
    world.settled()
    problems = invariants.broken(world, client)
    seen = client.close()
    assert problems == [] and seen.failed == 0, f"{problems} {seen.failures[:3]}\n{world.evidence()}"
    assert world.history()[0] is DeploymentState.UNDONE and world.cockpit.environments.get("production").serving == 1
