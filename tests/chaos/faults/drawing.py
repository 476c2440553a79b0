"""What happens in a round, drawn from the seed and the round's number alone: a round can be had again without those before it."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from podium.core.domain.rollout import SEQUENCE

from .catalogue import FAULTS

# What a change takes, its worker's start included.
TYPICAL_SECONDS = {"light": 2.2, "docker": 3.5}
STRATEGIES = ("blue-green", "rolling", "canary")
PROMOTE, ROLLBACK, REST = "promote", "rollback", "rest"


@dataclass(frozen=True)
class Strike:
    """`phase`: once that was finished, else at any time; then `delay` seconds later. `place` chooses among several."""

    fault: str
    phase: str
    delay: float
    lasts: float
    place: int

    def __str__(self) -> str:
        when = f"{1000 * self.delay:.0f} ms after " + (f"phase {self.phase!r}" if self.phase else "the start")
        return f"{self.fault} {when}" + (f" for {self.lasts:.1f} s" if self.lasts else "")


@dataclass(frozen=True)
class Round:
    """`choice` says to which of the other versions a promotion goes."""

    number: int
    change: str
    strategy: str
    choice: int
    strikes: tuple[Strike, ...]

    def __str__(self) -> str:
        change = self.change if self.change == REST else f"{self.strategy} {self.change}"
        return f"{change}; {'; '.join(map(str, self.strikes))}"


def draw(seed: int, number: int, driver: str, available: Iterable[str]) -> Round:
    """Returns a round of one to three faults of those that are `available`."""
    dice = random.Random(f"{seed}/{number}")
    change = dice.choices([PROMOTE, ROLLBACK, REST], weights=[7, 2, 1])[0]
    strategy = dice.choices(STRATEGIES, weights=[4, 4, 2])[0]
    choice = dice.randrange(1000)
    names = sorted(available)
    strikes: list[Strike] = []
    struck: set[str] = set()
    for _ in range(dice.choices([1, 2, 3], weights=[2, 5, 3])[0]):
        fault = dice.choice([name for name in names if not FAULTS[name].once or FAULTS[name].once not in struck])
        struck |= {FAULTS[fault].once} - {""}
        strikes.append(_strike(dice, fault, driver, change))
    return Round(number, change, strategy, choice, tuple(strikes))


def _strike(dice: random.Random, fault: str, driver: str, change: str) -> Strike:
    """Half of them come at any time, half soon after a phase: the interesting moments are short."""
    phase = dice.choice(["", "begun", *SEQUENCE[:-1]]) if dice.random() < 0.6 else ""
    phase = "" if change == REST else phase
    delay = dice.uniform(0, 0.06) if phase else dice.uniform(0, TYPICAL_SECONDS[driver] if change != REST else 0.5)
    return Strike(fault, phase, delay, dice.uniform(*FAULTS[fault].lasts), dice.randrange(4))
