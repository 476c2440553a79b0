"""A project with an embedded store and two versions of one model: rows have `x` and `word`, the answer is `x` times
the version's number."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudpickle
import mlflow
import pandas as pd
import pytest
from mlflow.models import ModelSignature
from mlflow.pyfunc import PythonModel
from mlflow.types import ColSpec, Schema
from podium.core.config import load
from podium.core.domain.models import CHAMPION
from podium.core.domain.project import Project
from podium.core.domain.runs import Run, RunState, Trigger
from podium.core.engine.context import StepContext
from podium.core.registry import open_registry
from podium.core.registry.prepare import prepare
from podium.core.scoring.step import score

RUN = Run(3, "score", "flights", RunState.RUNNING, Trigger.PERSON, "anna", 0.0)
YAML = "project: flights\nenvironments: {staging: {port: 5100}}\n"
Score = Callable[..., dict[str, Any]]


class Times(PythonModel):
    """A word that is a path fails for as long as there is such a file; `wait:` with a path waits for one."""

    def __init__(self, factor: int) -> None:
        self.factor = factor

    def predict(self, context, model_input, params=None):
        import os
        import signal
        import time
        from pathlib import Path

        words = set(model_input["word"])
        for path in (Path(word[5:]) for word in words if word.startswith("wait:")):
            while not path.exists():
                time.sleep(0.02)
        if any(word.startswith("/") and Path(word).exists() for word in words):
            raise ValueError("a bad word")
        if "fatal" in words:
            os.kill(os.getpid(), signal.SIGKILL)
        return model_input["x"] * self.factor


cloudpickle.register_pickle_by_value(sys.modules[__name__])


SIGNATURE = ModelSignature(Schema([ColSpec("double", "x"), ColSpec("string", "word")]), Schema([ColSpec("double")]))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    home = tmp_path_factory.mktemp("scoring") / "flights"
    home.mkdir()
    (home / "podium.yaml").write_text(YAML)
    project = load(home, environ={})
    prepare(project.mlflow, project.state)
    mlflow.set_tracking_uri(project.mlflow.tracking_uri)
    mlflow.set_experiment(project.mlflow.experiment)
    client = mlflow.MlflowClient()
    for factor in (1, 2):
        with mlflow.start_run():
            made = mlflow.pyfunc.log_model(
                name="model", python_model=Times(factor), signature=SIGNATURE, pip_requirements=[],
                registered_model_name=project.mlflow.model,
            )  # fmt: skip
        client.set_registered_model_alias(project.mlflow.model, CHAMPION, made.registered_model_version)
    return home


@pytest.fixture
def project(trained: Path) -> Project:
    return load(trained, environ={})


@pytest.fixture
def scored(project: Project, tmp_path: Path) -> Score:
    def run(source: str = "rows.parquet", output: str = "out", **options: object) -> dict[str, Any]:
        paths = {"input": str(tmp_path / source), "output": str(tmp_path / output)}
        context = StepContext(project, replace(RUN), "score", {**paths, **options})
        try:
            return dict(score(context))
        finally:
            context.close()

    return run


@pytest.fixture
def rows(tmp_path: Path) -> Callable[..., pd.DataFrame]:
    """Writes rows as a file below the test's directory, and returns them."""

    def write(name: str = "rows.parquet", number: int = 1000, **columns: Any) -> pd.DataFrame:
        table = pd.DataFrame({"id": range(number), "x": [float(each) for each in range(number)], "word": "a"})
        table = table.assign(**columns)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(path, index=False) if path.suffix == ".csv" else table.to_parquet(path, row_group_size=300)
        return table

    return write


def digest_of(project: Project, version: int) -> str:
    registry = open_registry(project.mlflow, project.state)
    try:
        from podium.core.registry.files import directory

        return registry.fetch(project.mlflow.model, version, directory(project.state, project.mlflow.model, version))
    finally:
        registry.close()
