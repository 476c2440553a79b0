"""A Swarm of which a node is killed, cut off or frozen, and brought back, or whose proxy is killed, in the middle of a
promotion, a canary or a rollback, while a client outside never stops asking: no request is lost but those that the lost
node, or the killed proxy, held; what the ledger, the registry, the proxy and the answers say is one thing; nothing runs that
nobody knows; and what a node still ran when it came back answers nobody.

Which change, which fault, which node and when come from the seed: `PODIUM_CHAOS_SEED=… PODIUM_CHAOS_SWARM=… pytest
tests/chaos/test_swarm.py` repeats them. Twelve rounds have each fault in each change once, as `make soak` has them.
"""

from __future__ import annotations

import contextlib
import math
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from podium.core.delivery.rollout import phases
from podium.core.domain.delivery import DeploymentState, How
from podium.core.domain.rollout import MOVE_ALIASES, NOTE, SHIFT, START, WAIT_HEALTHY, WARM_UP
from podium.core.domain.runs import Run

from tests.chaos import invariants
from tests.chaos.on_swarm import OnSwarm, patience, settings
from tests.chaos.world import ENVIRONMENT, VERSIONS, Client, Traffic, World
from tests.runner import turns
from tests.servers.nodes import Node
from tests.servers.swarm import Swarm
from tests.support import wait_until

ROUNDS = int(os.environ.get("PODIUM_CHAOS_SWARM", "2"))
SEED = int(os.environ.get("PODIUM_CHAOS_SEED") or os.environ.get(turns.SEED) or random.randrange(1_000_000))
CONNECTIONS = 8  # of the client, each with one request underway at most
CHANGES = ("promotion", "canary", "rollback")
FAULTS = ("killed", "cut off", "frozen", "proxy")
NODE_FAULTS: dict[str, tuple[Callable[[Node], None], Callable[[Node], None]]] = {
    "killed": (Node.kill, Node.boot),
    "cut off": (Node.cut, Node.mend),
    "frozen": (Node.freeze, Node.thaw),
}
# After which phase, and how long after that at most, in seconds. A rollback is over soon.
MOMENTS = {
    "promotion": {"begun": 1.0, NOTE: 2.0, START: 2.0, WAIT_HEALTHY: 0.3, WARM_UP: 0.3, SHIFT: 0.3, MOVE_ALIASES: 1.0},
    "canary": {NOTE: 1.0, START: 1.0, "share": 3.0, SHIFT: 0.3},
    "rollback": {"": 1.5, "begun": 0.3, NOTE: 0.1, SHIFT: 0.3, MOVE_ALIASES: 0.5},
}


@dataclass(frozen=True)
class Round:
    change: str
    fault: str
    seed: int


def rounds() -> list[Round]:
    """Each change and each fault as often as any other, whatever their number."""
    chosen = random.Random(SEED)
    changes, faults = [*CHANGES], [*FAULTS]
    chosen.shuffle(changes)
    chosen.shuffle(faults)
    return [Round(changes[n % 3], faults[n % 4], chosen.randrange(1_000_000)) for n in range(ROUNDS)]


@pytest.fixture
def scene(make_world: Callable[..., World], swarm: Swarm, monkeypatch: pytest.MonkeyPatch) -> Iterator[OnSwarm]:
    world = make_world("swarm", more=settings(swarm), replicas=3)
    made = OnSwarm(world, swarm)
    world.start_agent()
    for number in range(1, VERSIONS + 1):  # so that their images are everywhere
        world.done(world.promote(number), 120)
    world.settled(60)
    yield made
    made.close()


@pytest.mark.in_turn(1, of="long stories")
@pytest.mark.timeout(300 + 200 * ROUNDS)
def test_a_node_is_lost_in_the_middle(scene: OnSwarm) -> None:
    client = scene.client()
    findings: list[str] = []
    for number, each in enumerate(rounds(), 1):
        story = f"PODIUM_CHAOS_SEED={SEED}, round {number} of {ROUNDS}: {each}"
        try:
            print(f"{story}: {one_round(scene, client, each)}", flush=True)
        except AssertionError as error:
            findings.append(f"{story}\n{error}\n{scene.evidence()}")
            print(findings[-1], flush=True)
            scene.world.settled(240)  # one finding need not hide the next
    assert client.close().asked > 1000
    assert not findings, "\n\n".join(findings)


def one_round(scene: OnSwarm, client: Client, given: Round) -> str:
    dice, world = random.Random(given.seed), scene.world
    wanted, before = _ready(scene, given.change, dice)
    victims = scene.busy()
    assert victims, "no worker has a replica with traffic"
    client.fresh()
    seen = client.look()
    run = world.promote(wanted) if given.change != "rollback" else _back(world, wanted)
    _moment(world, run, given.change, dice)
    at = world.phase() or "no phase"
    if given.fault == "proxy":
        excused = _proxy_is_killed(scene, dice)
        words = f"the proxy killed at {at}"
    else:
        victim = dice.choice(victims)
        words = f"{victim.root.name} {given.fault} at {at}"
        excused = _node_is_lost(scene, client, run, victim, given.fault, wanted, before)
    state = _ended(world, run, given.change)
    serving = wanted if state is DeploymentState.SUCCEEDED else before
    world.settled(120)
    problems = [*invariants.broken(world, client), *_strays(scene)]
    if world.cockpit.environments.get(ENVIRONMENT).serving != serving:
        problems.append(f"version {serving} should serve")
    problems += excused.unexcused(client.look(), seen)
    assert not problems, "\n".join([words, *problems])
    lost = client.look().failed - seen.failed
    return f"{words}: {state}, {lost} of {client.look().asked - seen.asked} requests lost"


def _strays(scene: OnSwarm) -> list[str]:
    """What is left when the Swarm has had time to end what a node still ran when it came back."""
    with contextlib.suppress(AssertionError):
        wait_until(lambda: not scene.strays(), 60)
    return scene.strays()


@dataclass(frozen=True)
class Excused:
    """Requests that were begun before `until` may be lost, up to `most`."""

    until: float
    most: int

    def unexcused(self, now: Traffic, before: Traffic) -> list[str]:
        number = now.failed - before.failed
        lost = now.failures[-number:] if number else []
        found = (
            [f"{len(late)} requests failed after {self.until:.2f}: {late[:5]}"]
            if (late := [each for each in lost if each[0] > self.until])
            else []
        )
        return [
            *found,
            *([f"{number} requests failed, at most {self.most} may: {lost[:5]}"] if number > self.most else []),
        ]


def _ready(scene: OnSwarm, change: str, dice: random.Random) -> tuple[int, int]:
    """Has a version serve that was not there, so that it is on all nodes. Returns which version is to serve next, and
    which one serves."""
    world = scene.world
    for each in world.cockpit.models.quarantined():
        world.cockpit.models.lift_quarantine(each.version, why="chaos")
    world.configure("blue-green")
    before = world.cockpit.environments.get(ENVIRONMENT).serving
    there = {row.version for row in world.cockpit.journal.replicas.of(ENVIRONMENT)}
    serving = dice.choice(sorted({*range(1, VERSIONS + 1)} - there))
    world.done(world.promote(serving), 120)
    world.settled(60)
    assert before is not None
    if change == "rollback":
        return before, serving
    world.configure("canary" if change == "canary" else "blue-green")
    [other] = {*range(1, VERSIONS + 1)} - {before, serving}
    return dice.choice([before, other]), serving


def _back(world: World, wanted: int) -> Run:
    world.cockpit.project.reload()
    plan = world.cockpit.changes.plan(How.ROLLBACK, ENVIRONMENT)
    assert plan.arguments["version"] == str(wanted), plan
    run = world.cockpit.changes.apply(plan, confirmed=plan.type_to_confirm, force=True, why="chaos")
    assert run is not None
    return run


def _moment(world: World, run: Run, change: str, dice: random.Random) -> None:
    """Waits until the phase is reached, or the run is over without, and then a while."""
    phase, most = dice.choice([*MOMENTS[change].items()])

    def reached() -> bool:
        if world.cockpit.runs.get(run.id).run.state.finished:
            return True
        if phase == "share":
            return any(row.data.get("share") for row in world.cockpit.journal.ledger.open())
        now = world.phase()
        return not phase or (bool(now) and (phase == "begun" or phases.reached(now, phase)))

    wait_until(reached, 60, interval=0.005, what=f"phase {phase}")
    time.sleep(dice.uniform(0.0, most))


def _ended(world: World, run: Run, change: str) -> DeploymentState:
    """Returns what became of the change. A lost node is no reason for a promotion or a rollback not to succeed; a canary
    may have been judged by what the node lost."""
    detail = wait_until(
        lambda: (found := world.cockpit.runs.get(run.id)).run.state.finished and found, 240, what="the change ends"
    )
    state = world.history()[0]
    assert change == "canary" or state is DeploymentState.SUCCEEDED, (state, detail.run.message)
    return state


def _proxy_is_killed(scene: OnSwarm, dice: random.Random) -> Excused:
    """One instance of it, which costs what that was answering; or both, after which nobody answers until they are back."""
    victims = scene.proxies()
    dice.shuffle(victims)
    whole = dice.random() < 0.5
    scene.kill(victims if whole else victims[:1])
    killed = time.time()
    wait_until(lambda: len(now := scene.proxies()) == 2 and not {*now} & {*victims[: 2 if whole else 1]}, 60)
    if not whole:
        return Excused(killed + 0.05, CONNECTIONS)
    wait_until(lambda: len(scene.runtime.proxy.readings()) == 2, 60, what="both answer again")
    return Excused(time.time(), 100_000)


def _node_is_lost(
    scene: OnSwarm, client: Client, run: Run, victim: Node, fault: str, wanted: int, before: int
) -> Excused:
    """Hurts a node and brings it back once all is well without it."""
    harm, heal = NODE_FAULTS[fault]
    lost = scene.on(victim)
    harm(victim)
    at = time.time()
    try:
        wait_until(lambda: scene.given_up(lost), 120, what="the proxy has given up what was there")
        noticed = time.time()
        state = _ended(scene.world, run, "canary")
        serving = wanted if state is DeploymentState.SUCCEEDED else before
        scene.world.settled(180)
        assert scene.on(victim) == set(), "nothing counts as running there"
        now = client.fresh()
        assert now.by_version() == {serving} and now.failed == 0, now
        quiet = client.look()
    finally:
        heal(victim)
    wait_until(lambda: scene.swarm.answers(victim), 60, what="it is back")
    scene.world.settled(120)
    client.fresh()
    answered = Traffic(0, 0, client.look().answers - quiet.answers, [])
    assert answered.by_version() == {serving}, f"what came back has answered: {answered}"
    if fault != "frozen":
        return Excused(at, CONNECTIONS)
    # The kernel of a frozen machine takes connections, and requests, as long as it gets any: each connection of the
    # client may have lost one whenever the one before had timed out.
    return Excused(noticed, CONNECTIONS * (1 + math.ceil((noticed - at) / patience())))
