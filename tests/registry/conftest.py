"""Two real stores behind one fixture: a SQLite file, and an `mlflow server` of this session's own."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from podium.core.domain.project import Git, Mlflow, Project
from podium.core.registry import Registry, open_registry
from podium.core.registry.prepare import prepare

from tests.servers.mlflow import MlflowServer

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")


def make_project(home: Path, mlflow: Mlflow) -> Project:
    return Project("flights", home, home, Git(), mlflow, {}, {}, {}, {}, {}, {})


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite store to copy: migrating takes seconds."""
    state = tmp_path_factory.mktemp("migrated") / ".podium"
    prepare(Mlflow(f"sqlite:///{state}/mlflow.db", "template", "template"), state)
    return state / "mlflow.db"


@pytest.fixture(scope="session")
def _server(migrated: Path) -> Iterator[MlflowServer]:
    made = MlflowServer()
    shutil.copyfile(migrated, made.directory / "mlflow.db")
    with made:
        yield made


@pytest.fixture
def server(_server: MlflowServer) -> str:
    """The address of a tracking server that hands out artifacts itself."""
    return _server.ensure().address


@dataclass
class Store:
    """One store with an experiment and a model of this test's own, and the user's side of it: plain MLflow calls."""

    mlflow: Mlflow
    state: Path
    registry: Registry

    def train(
        self,
        *,
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        model: bool = True,
        **metrics: float,
    ) -> str:
        import mlflow

        mlflow.set_tracking_uri(self.mlflow.tracking_uri)
        mlflow.set_registry_uri(self.mlflow.tracking_uri)
        mlflow.set_experiment(self.mlflow.experiment)
        with mlflow.start_run(tags=dict(tags or {})) as run:
            mlflow.log_params(dict(params or {}))
            mlflow.log_metrics(metrics)
            if model:
                mlflow.pyfunc.log_model(name="model", python_model=_model(), pip_requirements=[])
        return str(run.info.run_id)

    @property
    def client(self) -> Any:
        import mlflow

        return mlflow.MlflowClient(self.mlflow.tracking_uri, self.mlflow.tracking_uri)

    @property
    def project(self) -> Project:
        return make_project(self.state.parent, self.mlflow)


def _model() -> Any:
    from mlflow.pyfunc import PythonModel

    class Half(PythonModel):
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return [0.5] * len(model_input)

    return Half()


def make_store(kind: str, request: pytest.FixtureRequest, home: Path) -> Store:
    state = home / ".podium"
    state.mkdir(mode=0o700)
    name = f"flights-{uuid.uuid4().hex[:8]}"
    if kind == "rest":
        mlflow = Mlflow(request.getfixturevalue("server"), name, name)
    else:
        shutil.copyfile(request.getfixturevalue("migrated"), state / "mlflow.db")
        mlflow = Mlflow(f"sqlite:///{state}/mlflow.db", name, name)
        prepare(mlflow, state)
    return Store(mlflow, state, open_registry(mlflow, state))


@pytest.fixture(params=["embedded", "rest"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made = make_store(request.param, request, tmp_path)
    yield made
    made.registry.close()


@pytest.fixture
def embedded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made = make_store("embedded", request, tmp_path)
    yield made
    made.registry.close()
