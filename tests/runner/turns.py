"""Tests that take turns: of those that repeat one long story with other details, each run draws a few, with a new seed.

`@pytest.mark.in_turn(2)` on a parametrised test, or `pytestmark` of a file, says how many of its tests one run takes; with
`of="long stories"`, how many of all tests that are marked with this name.
`PODIUM_TEST_SEED=…` repeats a draw, `PODIUM_TEST_TURNS=all` takes all of them, as `make soak` does, and so does a run in
which somebody names a file or a test (`pytest tests/chaos/test_engine.py`).

`PODIUM_TEST_LONG=1000` leaves room for so many seconds of the tests that took long when they were measured (`long.txt`, see
`python -m tests.runner.long`): at least one of each folder, the others by lot; a file whose tests share something is taken
as a whole or not at all. `.ci/run` does, so that a landing does not take an hour; `make test` runs them all.

`PODIUM_TEST_EXAMPLES=25` takes 25 percent of the examples of each test that draws its own: `.ci/pythons` does, which repeats
with other interpreters what one has run whole.
"""

from __future__ import annotations

import os
import random
import secrets
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

MARKER = "in_turn"
SEED = "PODIUM_TEST_SEED"
WHICH = "PODIUM_TEST_TURNS"
ROOM = "PODIUM_TEST_LONG"
EXAMPLES = "PODIUM_TEST_EXAMPLES"
ROOT = Path(__file__).parents[2]
MEASURED = Path(__file__).with_name("long.txt")


def settle(config: pytest.Config) -> None:
    """Draws the seed, unless a person or the session around this process has set it: each process draws the same tests."""
    config.addinivalue_line("markers", f"{MARKER}(count): so many of these tests are drawn in one run")
    os.environ.setdefault(SEED, str(secrets.randbelow(1_000_000)))
    if any(".py" in str(argument) for argument in config.args):
        os.environ.setdefault(WHICH, "all")


def examples(count: int) -> int:
    """Returns how many examples a property test takes here, of those that it wants."""
    return max(5, count * int(os.environ.get(EXAMPLES, "100")) // 100)


def draw(items: list[pytest.Item], seed: str) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Returns the tests whose turn it is, in their order, and the others."""
    groups: dict[str, list[pytest.Item]] = defaultdict(list)
    counts: dict[str, int] = {}
    for item in items:
        for node, marker in item.iter_markers_with_node(MARKER):
            group = marker.kwargs.get("of") or (item.nodeid.partition("[")[0] if node is item else node.nodeid)
            groups[group].append(item)
            counts[group] = marker.args[0]
            break
    left = {
        item.nodeid
        for group, members in groups.items()
        for item in left_out(members, counts[group], random.Random(f"{seed} {group}"))
    }
    return [item for item in items if item.nodeid not in left], [item for item in items if item.nodeid in left]


def left_out(members: list[pytest.Item], count: int, dice: random.Random) -> list[pytest.Item]:
    ordered = sorted(members, key=lambda item: item.nodeid)
    return dice.sample(ordered, max(0, len(ordered) - count))


def measured() -> dict[str, float]:
    """Returns how many seconds each of the long tests took, by its id."""
    lines = (line.split(" ", 1) for line in MEASURED.read_text(encoding="utf-8").splitlines() if line[:1].isdigit())
    return {name: float(seconds) for seconds, name in lines}


def shares(file: str) -> bool:
    """Tells whether the tests of a file have something in common that one may leave to the next."""
    path = ROOT / file
    return path.exists() and 'scope="module"' in path.read_text(encoding="utf-8")


def draw_long(
    items: list[pytest.Item], seed: str, room: float, long: Mapping[str, float], shares: Callable[[str], bool] = shares
) -> set[str]:
    """Returns the ids of the tests for which there is no room: at least one long test of each folder has some, and a
    file whose tests share something has it as a whole."""
    dice = random.Random(f"{seed} long")
    shared = {file: shares(file) for file in {item.nodeid.partition("::")[0] for item in items}}
    units: dict[str, list[str]] = defaultdict(list)
    for name in sorted(item.nodeid for item in items):
        file = name.partition("::")[0]
        units[file if shared[file] else name].append(name)
    seconds = {unit: sum(long.get(name, 0.0) for name in names) for unit, names in units.items()}
    folders: dict[str, list[str]] = defaultdict(list)
    for unit in units:
        if seconds[unit]:
            folders[unit.partition("::")[0].rpartition("/")[0]].append(unit)
    for names in folders.values():
        dice.shuffle(names)
    first = [names.pop() for names in folders.values()]
    rest = [unit for names in folders.values() for unit in names]
    dice.shuffle(rest)
    room -= sum(seconds[unit] for unit in first)
    left: set[str] = set()
    for unit in rest:
        room -= seconds[unit]
        if room < 0:
            left.update(units[unit])
    return left


def choose(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves the tests whose turn it is."""
    if os.environ.get(WHICH) == "all":
        return
    taken, left = draw(items, os.environ[SEED])
    if room := os.environ.get(ROOM):
        too_many = draw_long(taken, os.environ[SEED], float(room), measured())
        left += [item for item in taken if item.nodeid in too_many]
        taken = [item for item in taken if item.nodeid not in too_many]
    items[:] = taken
    config.hook.pytest_deselected(items=left)
    remember(config, len(left))


def remember(config: pytest.Config, left: int) -> None:
    """Keeps how many tests were left, in a process of xdist for the one that reports."""
    config.stash[LEFT] = left
    if hasattr(config, "workeroutput"):
        config.workeroutput[MARKER] = left


LEFT = pytest.StashKey[int]()


def told(config: pytest.Config) -> str:
    """Returns one line on what was not drawn; empty if all tests were run."""
    left = config.stash.get(LEFT, 0)
    if not left:
        return ""
    seed = os.environ[SEED]
    return (
        f"{left} long tests were not drawn this time ({SEED}={seed} draws the same ones again, {WHICH}=all takes all)"
    )
