"""An agent that is killed at any moment loses no alert and tells none twice without saying so."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from podium.core.alerts.evaluate import evaluate
from podium.core.journal import Journal

from tests.support import wait_until

from .receiving import receiver
from .scene import measured, project
from .told import caught_up, changes, check

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("PODIUM_ALERT_KILLS", "50"))
LONGEST = 0.06
"""Seconds that an agent lives, at most; a look at one measurement takes a few thousandths."""


@pytest.fixture
def nursery() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.alerts.nursery"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.stdin.close()
        process.wait()


def started(nursery: subprocess.Popen[str], home: Path) -> int:
    nursery.stdin.write(f"{home}\n")
    nursery.stdin.flush()
    return int(nursery.stdout.readline())


@pytest.mark.timeout(240)
def test_fifty_kills(tmp_path: Path, nursery: subprocess.Popen[str]) -> None:
    seed = int(os.environ.get("PODIUM_CHAOS_SEED", random.randrange(1 << 30)))
    print(f"PODIUM_CHAOS_SEED={seed}")
    lot = random.Random(seed)
    with receiver() as web:
        sinks = f"notify: {{wait: 0s, sinks: {{one: {{webhook: '{web.url}'}}}}}}\n"
        config = project(tmp_path / "shop", more=sinks)
        with Journal.open(config.state / "journal.db") as journal:
            evaluate(config, journal, time.time())
            number = 0
            for _ in range(KILLS):
                pid = started(nursery, config.home)
                end = time.time() + lot.uniform(0, LONGEST)
                while time.time() < end:
                    number += 1
                    journal.measurements.add(measured(number % 2, number))
                    time.sleep(lot.uniform(0, 0.004))
                os.kill(pid, signal.SIGKILL)
            last = started(nursery, config.home)
            try:
                journal.measurements.add(measured(0.0, number + 1))
                wait_until(lambda: not journal.outbox.backlogs() and caught_up(journal), 60.0)
            finally:
                with suppress(ProcessLookupError):
                    os.kill(last, signal.SIGKILL)
            check(web, changes(journal), number)
