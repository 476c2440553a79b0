"""Who is killed when: drawn from a seed, so that what broke can be had again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import psutil
from podium.core.delivery.rollout import phases
from podium.core.domain.rollout import SEQUENCE
from podium.core.domain.runs import Run

from tests.chaos.world import World
from tests.runner.scale import scaled

# What a promotion takes, start of the worker included. Kills at a time are drawn from it and a little more.
TYPICAL_SECONDS = {"light": 2.2, "docker": 3.5}
PATIENCE = 20.0
# A canary takes its time; it is killed in a test of its own.
STRATEGIES_DRAWN = ("blue-green", "rolling")


class Victim(StrEnum):
    WORKER = "worker"
    STEP = "step"
    AGENT = "agent"
    BOTH = "worker and agent"


@dataclass(frozen=True)
class Kill:
    """`phase`: once that one was finished, else at any time; then `delay` seconds later."""

    victim: Victim
    phase: str
    delay: float
    strategy: str

    def __str__(self) -> str:
        when = f"{1000 * self.delay:.0f} ms after " + (f"phase {self.phase!r}" if self.phase else "the start")
        return f"{self.victim} killed {when} of a {self.strategy} promotion"


def draw(dice: random.Random, driver: str) -> Kill:
    """Half of the kills come at any time, half soon after a phase: the interesting moments are short."""
    victim = dice.choices([*Victim], weights=[4, 3, 1, 3])[0]
    phase = dice.choice(["", "begun", *SEQUENCE[:-1]]) if dice.random() < 0.6 else ""
    delay = dice.uniform(0, 0.06) if phase else dice.uniform(0, TYPICAL_SECONDS[driver])
    return Kill(victim, phase, delay, dice.choice(STRATEGIES_DRAWN))


def strike(world: World, run: Run, kill: Kill) -> str:
    """Kill when it is time; what was struck at which phase, in words."""
    _wait(world, run, kill)
    time.sleep(kill.delay)
    struck: list[str] = []
    phase = world.phase()
    if kill.victim in (Victim.AGENT, Victim.BOTH):
        world.kill_agent()
        struck.append("agent")
    worker = world.worker(run)
    if kill.victim is not Victim.AGENT and worker is not None:
        struck += _kill_worker(worker, whole=kill.victim is not Victim.STEP)
    return f"{' and '.join(struck) or 'nobody'} struck at phase {phase or 'none'!r}"


def _wait(world: World, run: Run, kill: Kill) -> None:
    """Until the phase is reached, or the run is over without."""
    if not kill.phase:
        return
    deadline = time.monotonic() + scaled(PATIENCE)
    reached: Callable[[str], bool] = lambda now: (  # noqa: E731
        bool(now) and (kill.phase == "begun" or phases.reached(now, kill.phase))
    )
    while time.monotonic() < deadline and not reached(world.phase()):
        if world.cockpit.runs.get(run.id).run.state.finished:
            return
        time.sleep(0.002)


def _kill_worker(worker: psutil.Process, *, whole: bool) -> list[str]:
    """Not all that descends from it: the worker is the reaper of what its steps leave behind, replicas among it."""
    try:
        victims = (
            [worker]
            if whole
            else [child for child in worker.children() if any("engine.builtin" in word for word in child.cmdline())]
        )
        for victim in victims:
            victim.kill()
        return ["worker" if whole else "step"] if victims else []
    except psutil.Error:
        return []
