"""An agent that is killed at any moment retrains nothing twice, and forgets no firing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from podium.core.domain.monitoring import LoopState
from podium.core.engine.recovery import recover

from tests.support import wait_until

from .scene import Scene

ROOT = Path(__file__).parents[2]
# `make soak` has fifty.
ROUNDS = int(os.environ.get("PODIUM_FEEDBACK_KILLS", "4"))
LONGEST = 0.1
"""Seconds that an agent lives, at most; to start a run takes it some hundredths."""


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
    from dataclasses import replace

    from tests.alerts.scene import measured

    return replace(measured(value), at=scene.began + at)


def started(nursery: subprocess.Popen[str], home: Path) -> int:
    nursery.stdin.write(f"{home}\n")
    nursery.stdin.flush()
    return int(nursery.stdout.readline())


def over(scene: Scene, count: int) -> bool:
    recover(scene.journal)  # as another job of the agent does
    entries = scene.entries
    return len(entries) == count and entries[-1].state is LoopState.ENDED
