"""How long a subject is fuzzed, and with which seeds."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis.strategies import SearchStrategy

MINUTES = float(os.environ.get("PODIUM_FUZZ_MINUTES") or 0)
SEED = os.environ.get("PODIUM_FUZZ_SEED")
FEW, MANY = 40, 500


@dataclass(frozen=True)
class Subject:
    """`check` raises whatever is wrong with an example. `dear` is how many times fewer examples a short run can afford."""

    examples: SearchStrategy[Any]
    check: Callable[[Any], None]
    dear: int = 1


def fuzz(subject: Subject) -> int:
    """Checks examples, for PODIUM_FUZZ_MINUTES or a moment; returns how many there were."""
    count = 0

    def check(example: Any) -> None:
        nonlocal count
        count += 1
        subject.check(example)

    for seed in _seeds():
        most = max(1, (MANY if MINUTES else FEW) // subject.dear)
        run = given(subject.examples)(check)
        run = settings(
            max_examples=most,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.normal,
            phases=(Phase.generate, Phase.shrink),
        )(run)
        try:
            hypothesis.seed(seed)(run)()
        except BaseException as error:
            error.add_note(f"PODIUM_FUZZ_SEED={seed}" + (f" PODIUM_FUZZ_MINUTES={MINUTES:g}" if MINUTES else ""))
            raise
    if MINUTES:
        print(f"{count} examples in {MINUTES:g} minutes")  # pytest -rP shows it
    return count


def _seeds() -> Iterator[int]:
    if SEED is not None:
        yield int(SEED)
        return
    until = time.monotonic() + 60 * MINUTES
    while True:
        yield random.randrange(1 << 30)
        if time.monotonic() >= until:
            return
