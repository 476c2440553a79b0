"""One round: a change, faults at their moments, and what has to hold once they are over."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from podium.core.delivery.rollout import phases
from podium.core.domain.delivery import CanaryState, How
from podium.core.errors import PodiumError

from tests.chaos import invariants
from tests.chaos.engine import evidence
from tests.chaos.world import ENVIRONMENT, VERSIONS, Client
from tests.runner.scale import scaled
from tests.support import wait_until

from .catalogue import FAULTS, agent_runs
from .drawing import PROMOTE, REST, ROLLBACK, Round, Strike
from .effects import UNDERWAY, Effect
from .tally import Tally, attribute
from .victims import Scene
from .watching import Watch

PATIENCE = 20.0
SETTLING = 100.0  # a replica that died several times is started again after up to a minute
AGENT_BACK = 30.0


def play(scene: Scene, client: Client, watch: Watch, drawn: Round, tally: Tally, where: str) -> None:
    """Plays a round and notes in `tally` what came of it."""
    before = client.look()
    began = time.time() - UNDERWAY
    scene.world.configure(drawn.strategy)
    refused = _change(scene, drawn)
    effects = _strike_all(scene, drawn.strikes, tally)
    problems = [*_afterwards(scene, client), *watch.take()]
    after = client.look()
    if after.failed > before.failed:
        fresh = [each for each in after.failures if each[0] >= began][-(after.failed - before.failed) :]
        lost, unexcused = attribute(fresh, effects)
        tally.lost.update(lost)
        if unexcused:
            tally.lost["that nothing excuses"] += len(unexcused)
            problems.append(f"{len(unexcused)} requests failed, the last: {unexcused[-5:]}")
    tally.rounds += 1
    tally.asked += after.asked - before.asked
    tally.ended[refused or _ended(scene)] += 1
    if problems:
        told = "; ".join(f"{effect.words} at {effect.at[0]:.2f} to {effect.at[1]:.2f}" for effect in effects)
        boxes = [evidence(scene.world, scene.docker)] if scene.docker is not None else []
        tally.findings.append("\n".join([f"{where}: {drawn}", told, *problems, scene.world.evidence(), *boxes]))


def _change(scene: Scene, drawn: Round) -> str:
    """Begins the change; returns why it was refused, if it was."""
    scene.run = None
    if drawn.change == REST:
        return ""
    world = scene.world
    try:
        serving = world.cockpit.environments.get(ENVIRONMENT).serving
        if drawn.change == PROMOTE:
            others = [number for number in range(1, VERSIONS + 1) if number != serving]
            scene.run = world.promote(others[drawn.choice % len(others)])
        elif drawn.change == ROLLBACK:
            world.cockpit.project.reload()
            plan = world.cockpit.changes.plan(How.ROLLBACK, ENVIRONMENT)
            scene.run = world.cockpit.changes.apply(plan, confirmed=plan.type_to_confirm, force=True, why="chaos")
    except PodiumError as error:
        return f"refused: {error.message[:60]}"
    return ""


def _strike_all(scene: Scene, strikes: Sequence[Strike], tally: Tally) -> list[Effect]:
    """Begins each fault in its moment, one after the other, and ends it when its time is over."""
    effects: list[Effect] = []
    open_: list[Effect] = []
    for strike in sorted(
        strikes, key=lambda each: phases.SEQUENCE.index(each.phase) if each.phase in phases.SEQUENCE else -1
    ):
        _wait(scene, strike, open_)
        at = time.time()
        effect = _begun(scene, strike)
        if effect is None:
            tally.late[strike.fault] += 1
            continue
        tally.run[strike.fault] += 1
        effect.at, effect.until = (at, time.time()), time.monotonic() + strike.lasts
        effects.append(effect)
        open_.append(effect)
    while open_:
        _end_due(open_)
        time.sleep(0.01)
    return effects


def _begun(scene: Scene, strike: Strike) -> Effect | None:
    """Returns what the fault did; None where there is nobody to be struck, or nobody can be found while nothing can be read."""
    try:
        return FAULTS[strike.fault].begin(scene, strike.place)
    except PodiumError:
        if not scene.ground.unreadable:
            raise
        return None


def _wait(scene: Scene, strike: Strike, open_: list[Effect]) -> None:
    """Until its phase is reached, or the change is over without; then its delay. Faults whose time is over end meanwhile."""
    deadline = time.monotonic() + scaled(PATIENCE)
    while strike.phase and time.monotonic() < deadline and not _reached(scene, strike.phase):
        _end_due(open_)
        time.sleep(0.002)
    until = time.monotonic() + strike.delay
    while time.monotonic() < until:
        _end_due(open_)
        time.sleep(min(0.01, max(0.0, until - time.monotonic())))


def _reached(scene: Scene, phase: str) -> bool:
    try:
        if scene.run is None or scene.world.cockpit.runs.get(scene.run.id).run.state.finished:
            return True
        now = scene.world.phase()
    except PodiumError:
        if not scene.ground.unreadable:
            raise
        return False
    return bool(now) and (phase == "begun" or phases.reached(now, phase))


def _end_due(open_: list[Effect]) -> None:
    for effect in [each for each in open_ if each.until <= time.monotonic()]:
        open_.remove(effect)
        if effect.undo is not None:
            effect.undo()


def _afterwards(scene: Scene, client: Client) -> list[str]:
    """Returns what does not hold once everything had its time to be put right."""
    broken = scene.ground.broke
    scene.ground.heal()
    problems: list[str] = []
    if scene.agent() is None and not broken:
        problems.append("the agent ended by itself")
    try:
        wait_until(lambda: _agent(scene), AGENT_BACK, interval=0.1, what="the agent runs")
        _settle(scene)
    except AssertionError as error:
        return [*problems, str(error)]
    problems += invariants.broken(scene.world, client, scene.docker)
    return problems + [f"the audit is not whole: {line}" for line in scene.world.cockpit.journal.audit.verify()]


def _agent(scene: Scene) -> bool:
    """Its service starts it again as often as it ends."""
    agent_runs(scene)
    return scene.world.agent_reports()


def _settle(scene: Scene) -> None:
    """A canary that waits for a person has its answer first."""
    deadline = time.monotonic() + scaled(SETTLING)
    while True:
        canary = scene.world.cockpit.environments.get(ENVIRONMENT).canary
        if canary is not None and canary.state is not CanaryState.RUNNING:
            with suppress(PodiumError):
                plan = scene.world.cockpit.changes.plan("abort", ENVIRONMENT)
                scene.world.cockpit.changes.apply(plan, confirmed=plan.type_to_confirm, why="chaos")
        try:
            scene.world.settled(2.0)
            return
        except AssertionError:
            if time.monotonic() > deadline:
                raise


def _ended(scene: Scene) -> str:
    if scene.run is None:
        return "nothing was changed"
    return str(scene.world.cockpit.runs.get(scene.run.id).run.state)
