"""An agent that is killed at any moment retrains nothing twice, and forgets no firing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest
from podium.core.domain.monitoring import LoopState
from podium.core.engine.recovery import recover

from tests.alerts.receiving import Taken, receiver
from tests.alerts.scene import measured
from tests.alerts.told import caught_up, changes, check, told
from tests.support import wait_until

from .scene import Scene

ROOT = Path(__file__).parents[2]
# `make soak` has fifty.
ROUNDS = int(os.environ.get("PODIUM_FEEDBACK_KILLS", "4"))
LONGEST = 0.1
"""Seconds that an agent lives, at most; to start a run takes it some hundredths."""
LIFE, SOON = 6.0, 0.02
"""Seconds in which the whole agent is killed: after its start, which takes a second or two, as each of its looks; and
after something has happened."""


@pytest.mark.timeout(max(240, 20 * ROUNDS))
def test_no_retraining_twice(tmp_path: Path) -> None:
    seed = int(os.environ.get("PODIUM_CHAOS_SEED", random.randrange(1 << 30)))
    print(f"PODIUM_CHAOS_SEED={seed}")
    lot = random.Random(seed)
    scene = Scene(tmp_path / "shop")
    with subprocess.Popen(
        [sys.executable, "-m", "tests.feedback.nursery"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as nursery:
        for number in range(ROUNDS):
            scene.journal.measurements.add(bad(scene, 0.5, number))
            for _ in range(3):
                pid = started(nursery, scene.home)
                time.sleep(lot.uniform(0, LONGEST))
                os.kill(pid, signal.SIGKILL)
            last = started(nursery, scene.home)
            try:
                wait_until(lambda count=number: over(scene, count + 1), 60.0)
            finally:
                with suppress(ProcessLookupError):
                    os.kill(last, signal.SIGKILL)
            scene.journal.measurements.add(bad(scene, 0.0, number + 0.5))
        nursery.stdin.close()
    assert scene.trained() == ["0.5 on production"] * ROUNDS
    assert len({each.episode for each in scene.entries}) == len(scene.entries) == ROUNDS
    assert len(scene.journal.runs.page(limit=-1)) == ROUNDS
    scene.journal.close()


def bad(scene: Scene, value: float, at: float) -> object:
    return replace(measured(value), at=scene.began + at)


def started(nursery: subprocess.Popen[str], home: Path) -> int:
    nursery.stdin.write(f"{home}\n")
    nursery.stdin.flush()
    return int(nursery.stdout.readline())


def over(scene: Scene, count: int) -> bool:
    recover(scene.journal)  # as another job of the agent does
    entries = scene.entries
    return len(entries) == count and entries[-1].state is LoopState.ENDED


@pytest.mark.timeout(max(300, 60 * ROUNDS))
def test_the_whole_agent(tmp_path: Path) -> None:
    """`podium watch` itself is killed, thrice in each round of the loop: at any time, or just after the next thing has
    happened that somebody could lose or do again."""
    seed = int(os.environ.get("PODIUM_CHAOS_SEED", random.randrange(1 << 30)))
    print(f"PODIUM_CHAOS_SEED={seed}")
    lot = random.Random(seed)
    scene = Scene(tmp_path / "shop")
    with receiver() as web, (tmp_path / "agent.log").open("a") as log:
        podium = scene.home / "podium.yaml"
        podium.write_text(f"{podium.read_text()}notify: {{wait: 0s, sinks: {{one: {{webhook: '{web.url}'}}}}}}\n")
        for number in range(1, ROUNDS + 1):
            scene.journal.measurements.add(replace(measured(0.5), at=time.time()))
            for _ in range(2):
                with watching(scene.home, log) as agent:
                    when(lot, moments(scene, web, number), agent)
            with watching(scene.home, log) as agent:
                wait_until(lambda count=number: ended(scene, count), 60.0, what=f"round {number} is over, seed {seed}")
                scene.journal.measurements.add(replace(measured(0.0), at=time.time()))
                when(lot, moments(scene, web, number, over=True), agent)
        with watching(scene.home, log):
            wait_until(lambda: not scene.journal.outbox.backlogs() and caught_up(scene.journal), 60.0)
        check(web, changes(scene.journal), 2 * ROUNDS)
    assert scene.trained() == ["0.5 on production"] * ROUNDS
    assert len({each.episode for each in scene.entries}) == len(scene.entries) == ROUNDS
    assert len(scene.journal.runs.page(limit=-1)) == ROUNDS
    scene.journal.close()


@contextmanager
def watching(home: Path, log: IO[str]) -> Iterator[subprocess.Popen[bytes]]:
    """An agent as a person starts it, which is killed at the end."""
    command = [sys.executable, "-m", "podium.cli", "watch", "-C", str(home)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as agent:
        try:
            yield agent
        finally:
            agent.kill()


def moments(scene: Scene, web: Taken, number: int, *, over: bool = False) -> list[Callable[[], bool]]:
    """What happens in a round, in its order."""
    journal = scene.journal
    state, count = ("resolved", 2 * number) if over else ("firing", 2 * number - 1)
    alerted: list[Callable[[], bool]] = [
        lambda: [each[1] for each in changes(journal)][-1:] == [state],
        lambda: len(changes(journal)) == count and caught_up(journal),
        lambda: len(told(web)) == count,
    ]
    started: list[Callable[[], bool]] = [
        lambda: len(scene.entries) == number,
        lambda: len(scene.entries) == number and journal.runs.get(scene.entry.run or 0).worker_pid is not None,
        lambda: len(scene.trained()) == number,
    ]
    return alerted if over else alerted + started


def when(lot: random.Random, happening: list[Callable[[], bool]], agent: subprocess.Popen[bytes]) -> None:
    """Returns when the agent is to be killed."""
    ahead = [each for each in happening if not each()]
    moment = lot.choice([None, *ahead])
    if moment is None:
        time.sleep(lot.uniform(0, LIFE))
    else:
        wait_until(lambda: moment() or agent.poll() is not None, 60.0, interval=0.001)
        time.sleep(lot.uniform(0, SOON))
    assert agent.poll() is None, "it has ended by itself"


def ended(scene: Scene, count: int) -> bool:
    entries = scene.entries
    return len(entries) == count and entries[-1].state is LoopState.ENDED
