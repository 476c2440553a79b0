"""The file in which replicas remember what ends processes: who may begin it, and which deaths count."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from podium.core.serving import guard
from podium.core.serving.guard import Guard

DIGEST = b"d" * 16
# Predicts until it is killed.
PREDICTS = """
import sys, time
from pathlib import Path
from podium.core.serving.guard import Guard
Guard(Path(sys.argv[1]), "v1", say=print).begin(b"d" * 16)
print("predicts", flush=True)
time.sleep(3600)
"""


def predicting(file: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", PREDICTS, str(file)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "predicts\n"
    return process


def end(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        process.kill()
    for process in processes:
        process.communicate()


def test_two_processes_that_end_together_over_the_same_request_are_one_death(tmp_path: Path) -> None:
    said: list[str] = []
    own = Guard(tmp_path / "guard", "v1", say=said.append)
    end(predicting(tmp_path / "guard"), predicting(tmp_path / "guard"))
    assert own.deaths(DIGEST) == 1 and said == []


def test_two_that_end_one_after_the_other_are_two_deaths(tmp_path: Path) -> None:
    said: list[str] = []
    own = Guard(tmp_path / "guard", "v1", say=said.append)
    end(predicting(tmp_path / "guard"))
    assert own.deaths(DIGEST) == 1, "looked at before the request is predicted again"
    end(predicting(tmp_path / "guard"))
    assert own.deaths(DIGEST) == 2 == guard.PROOF_DEATHS and said == []


def test_a_new_process_looks_before_it_predicts_the_same(tmp_path: Path) -> None:
    for _ in range(2):  # nobody else looks in between
        end(predicting(tmp_path / "guard"))
    assert Guard(tmp_path / "guard", "v1", say=print).deaths(DIGEST) == 2


@pytest.mark.parametrize("room", [1, 16, 1_000_000])
def test_a_file_that_has_room_and_nothing_in_it_is_begun(tmp_path: Path, room: int) -> None:
    """Another process reserved the room, and has not come further or has ended there."""
    (tmp_path / "guard").touch()
    os.truncate(tmp_path / "guard", room)
    said: list[str] = []
    own = Guard(tmp_path / "guard", "v1", say=said.append)
    assert said == [] and [own.died(DIGEST), own.deaths(DIGEST)] == [1, 1]
    assert Guard(tmp_path / "guard", "v1", say=said.append).deaths(DIGEST) == 1 and said == []
