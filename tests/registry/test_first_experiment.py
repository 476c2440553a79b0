"""The first run of a project on a server: its experiment is there before a training begins, and is made once."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.parse
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from podium.core.domain.project import Mlflow
from podium.core.domain.runs import StepState
from podium.core.registry.asking import make_experiment

from tests.engine.lab import Lab

# What `mlflow.start_run()` asks first. Two scripts that are told that it is not there both make it, and one fails.
LOOK = """
import sys, urllib.request
urllib.request.urlopen(f"{sys.argv[1]}/api/2.0/mlflow/experiments/get-by-name?experiment_name={sys.argv[2]}", timeout=60)
"""


def known(server: str, name: str) -> bool:
    query = urllib.parse.urlencode({"experiment_name": name})
    try:
        with urllib.request.urlopen(f"{server}/api/2.0/mlflow/experiments/get-by-name?{query}", timeout=60) as answer:
            return json.load(answer)["experiment"]["lifecycle_stage"] == "active"
    except urllib.error.HTTPError as error:
        assert error.code == 404
        return False


def test_every_cell_of_the_first_run_finds_it(server: str, tmp_path: Path) -> None:
    name, lab = f"first-{uuid.uuid4().hex}", Lab(tmp_path / "project")
    lab.write("look.py", LOOK)
    lab.write(
        "podium.yaml",
        f"""
project: lab
mlflow: {{tracking_uri: "{server}", experiment: {name}, model: m}}
pipelines:
  main:
    steps:
      train: {{matrix: {{depth: [3, 4]}}, run: "{sys.executable} look.py {server} {name}"}}
      candidate: {{uses: register, metric: score, goal: maximize, needs: [train]}}
""",
    )
    try:
        assert not known(server, name)
        run, steps = lab.run(timeout=60)
        cells = [step for key, step in steps.items() if key.startswith("train")]
        assert [step.state for step in cells] == [StepState.SUCCEEDED] * 2, lab.worker_log(run.id)
    finally:
        lab.close()


def test_of_several_who_make_it_at_once_none_fails(server: str, tmp_path: Path) -> None:
    name = f"first-{uuid.uuid4().hex}"
    mlflow = Mlflow(server, name, "m")
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: make_experiment(mlflow, tmp_path), range(6)))
    assert known(server, name)
