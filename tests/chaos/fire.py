"""A sequence of promotions in each of which somebody is killed, and what has to hold after each."""

from __future__ import annotations

import os
import random
import time
from collections import Counter

from podium.core.containers import Engine

from tests.chaos import invariants, kills
from tests.chaos.engine import evidence
from tests.chaos.world import ENVIRONMENT, Client, World

# PODIUM_CHAOS_SEED repeats a sequence, PODIUM_CHAOS_ROUNDS says how long it is; CI takes 8.
ROUNDS = int(os.environ.get("PODIUM_CHAOS_ROUNDS", "6"))


def seed() -> int:
    return int(os.environ.get("PODIUM_CHAOS_SEED") or time.time_ns() % 1_000_000)


def fire(world: World, docker: Engine | None) -> None:
    chosen = seed()
    dice = random.Random(chosen)
    world.start_agent()
    world.done(world.promote(1))
    client = world.client()
    states: Counter[str] = Counter()
    try:
        for number in range(1, ROUNDS + 1):
            states[
                one_round(world, client, docker, dice, f"PODIUM_CHAOS_SEED={chosen}, round {number} of {ROUNDS}")
            ] += 1
    finally:
        seen = client.close()
    print(
        f"{world.driver}, seed {chosen}: {ROUNDS} rounds, {dict(states)}, {seen.asked} requests, {seen.failed} failed"
    )
    assert seen.failed == 0 and seen.asked > 100


def one_round(world: World, client: Client, docker: Engine | None, dice: random.Random, where: str) -> str:
    kill = kills.draw(dice, world.driver)
    serving = world.cockpit.environments.get(ENVIRONMENT).serving
    version = dice.choice([number for number in (1, 2, 3) if number != serving])
    world.configure(kill.strategy)
    before = client.look()
    run = world.promote(version)
    struck = kills.strike(world, run, kill)
    story = f"{where}: to version {version}, {kill}; {struck}"
    if world.agent_process is None:
        world.start_agent()
    try:
        world.settled()
        problems = invariants.broken(world, client, docker)
        after = client.look()
        if after.failed > before.failed:
            problems.append(f"{after.failed - before.failed} requests failed, the last: {after.failures[-5:]}")
    except AssertionError as error:
        problems = [str(error)]
    assert not problems, "\n".join(
        [story, *problems, world.evidence(), evidence(world, docker) if docker is not None else ""]
    )
    return str(world.history()[0])
