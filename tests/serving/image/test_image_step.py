"""`uses: image` in a pipeline, from the training to what MLflow, the journal and the log say; and the images
command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from podium.core.containers import Engine
from podium.core.containers.engine import labels as names
from podium.core.containers.images import store

from tests.runner.scale import scaled

from . import shop as shops

pytestmark = pytest.mark.timeout(400)

PODIUM = """\
project: Packed
mlflow: {{model: packed}}
docker: {{base: "{base}", host: "{host}", sbom: false}}
pipelines:
  release:
    steps:
      train: {{run: "{python} train.py", inputs: [train.py]}}
      candidate: {{uses: register, needs: [train], metric: score, goal: maximize}}
      image: {{uses: image, needs: [candidate]}}
"""
TRAIN = """\
import mlflow, pandas as pd
from mlflow.models import infer_signature

class Twice(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input["x"] * 2

frame = pd.DataFrame({"x": [1.0, 2.0]})
with mlflow.start_run():
    mlflow.log_metric("score", 0.5)
    mlflow.pyfunc.log_model(name="model", python_model=Twice(), input_example=frame, signature=infer_signature(frame, frame["x"]),
                            pip_requirements=%r)
"""


def podium(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet"}
    command = [sys.executable, "-m", "podium.cli", *words]
    return subprocess.run(
        command,
        cwd=home,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=scaled(300),
        check=False,
    )


@pytest.fixture(scope="module")
def ran(
    engine: Engine, python_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Engine, dict[str, Any]]]:
    """A project whose pipeline made an image, and what `podium show` says of the run."""
    home = tmp_path_factory.mktemp("packed")
    (home / "podium.yaml").write_text(PODIUM.format(base=python_image, host=engine.address, python=sys.executable))
    (home / "train.py").write_text(TRAIN % shops.requirements())
    try:
        done = podium(home, "run", "release")
        assert done.returncode == 0, done.stdout + done.stderr
        shown = podium(home, "show", "1", "-o", "json")
        yield home, engine, json.loads(shown.stdout)
    finally:
        shops.clear(engine, home)


def test_the_step_tells_what_it_made(ran: tuple[Path, Engine, dict[str, Any]]) -> None:
    home, engine, shown = ran
    results = next(step for step in shown["steps"] if step["name"] == "image")["results"]
    found = store.inspect(engine, results["image"])
    assert found is not None
    assert results["image_id"] == found["Id"]
    assert (results["version"], results["model"], results["size"]) == (1, "packed", found["Size"])
    assert results["seconds"] > 0
    assert results["layers_built"] >= 2
    marks = store.labels(found)
    assert (marks[names.VERSION], marks[names.RUN], marks[names.PROJECT]) == ("1", "1", "Packed")
    assert marks[names.MLFLOW_RUN]
    log = podium(home, "logs", "1", "image").stdout
    assert "COPY model/ /" in log and "the model loads in" in log and "its example is answered" in log


def test_mlflow_and_the_lineage_know_the_image(ran: tuple[Path, Engine, dict[str, Any]]) -> None:
    home, _, shown = ran
    results = next(step for step in shown["steps"] if step["name"] == "image")["results"]
    version = json.loads(podium(home, "versions", "-o", "json").stdout)[0]
    assert version["tags"]["podium.image"] == results["image"]
    assert version["tags"]["podium.digest"] == version["digest"] != results["image"]
    row = json.loads(podium(home, "lineage", "1", "-o", "json").stdout)[0]
    assert row["image"] == results["image"]
    assert results["image_id"][7:19] in podium(home, "lineage", "1").stdout


def test_images_are_listed(ran: tuple[Path, Engine, dict[str, Any]]) -> None:
    home, engine, shown = ran
    results = next(step for step in shown["steps"] if step["name"] == "image")["results"]
    row = json.loads(podium(home, "images", "-o", "json").stdout)[0]
    assert (row["version"], row["reference"], row["size"], row["run"], row["engine"]) == (
        1,
        results["image"],
        results["size"],
        1,
        str(engine.address),
    )
    assert results["image_id"][7:19] in podium(home, "images").stdout
    nothing = podium(home, "images", "--prune", "--dry-run")
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert "every image is needed" in nothing.stderr
