"""A few faults of every kind (`python -m tests.chaos` has a thousand), with another seed each time, which a failure prints."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.chaos.faults.drawing import draw
from tests.chaos.faults.effects import Effect, Excuse
from tests.chaos.faults.tally import attribute
from tests.chaos.light import ROOT
from tests.runner.scale import scaled

# CI takes 30. No round begins after so many seconds: on a busy machine there are fewer.
FAULTS = int(os.environ.get("PODIUM_CHAOS_FAULTS", "8"))
SECONDS = 60


@pytest.mark.timeout(300)
def test_nothing_is_lost_that_a_fault_does_not_excuse(tmp_path: Path) -> None:
    seed = os.environ.get("PODIUM_CHAOS_SEED") or str(time.time_ns() % 1_000_000)
    command = [sys.executable, "-m", "tests.chaos", "--faults", str(FAULTS), "--seconds", str(SECONDS), "--seed", seed]
    command += ["--directory", str(tmp_path / "world")]  # below the session's, whose reaper ends what is left there
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=scaled(280))
    print(done.stdout)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_a_round_is_drawn_from_its_seed_and_number_alone() -> None:
    faults = ("replica killed", "proxy killed", "proxy stopped", "worker killed", "disk full")
    rounds = [draw(7, number, "light", faults) for number in range(1, 60)]
    assert rounds == [draw(7, number, "light", reversed(faults)) for number in range(1, 60)]
    assert rounds != [draw(8, number, "light", faults) for number in range(1, 60)]
    for drawn in rounds:
        assert sum(strike.fault.startswith("proxy") for strike in drawn.strikes) <= 1, "the other one has the requests"


def test_what_is_lost_counts_for_a_fault_in_its_time_and_up_to_its_bound() -> None:
    held = Effect("proxy killed", excuses=(Excuse("held", 0.0, 2),), at=(100.0, 100.0))
    wrong = Effect("replica wrong", excuses=(Excuse("wrong", 5.0, 9, "^500"),), at=(100.0, 100.0))
    failures = [(99.0, "cut"), (99.5, "cut"), (99.9, "cut"), (101.0, "500 in a mood"), (101.0, "503"), (1000.0, "500")]
    causes, left = attribute(failures, [held, wrong])
    assert causes == {"held": 2, "wrong": 1}
    assert left == [(99.9, "cut"), (101.0, "503"), (1000.0, "500")]
