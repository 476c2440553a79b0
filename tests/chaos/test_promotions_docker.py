"""The same kills with replicas and proxy in containers: no stray container, network or volume is left either."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from podium.core.containers import Engine

from tests.chaos.fire import ROUNDS, fire
from tests.chaos.world import World


@pytest.mark.timeout(60 + 30 * ROUNDS)
def test_killed_at_random_points_of_promotions_in_containers(
    docker_world: Callable[..., World], engine: Engine
) -> None:
    fire(docker_world(engine), engine)
