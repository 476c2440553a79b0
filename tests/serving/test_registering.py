"""`register` looks once whether the model loads where the training script is not at hand."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from podium.core.domain.models import CHALLENGER, TAG_KEY, TAG_RUN
from podium.core.domain.project import Git, Mlflow, Project
from podium.core.domain.runs import PIPELINE, Run, RunState, StepState, Trigger
from podium.core.engine.context import StepContext, UpstreamStep
from podium.core.errors import RunFailed
from podium.core.registry import open_registry
from podium.core.registry.prepare import prepare
from podium.core.serving.registering import register

MODULE = """
from mlflow.pyfunc import PythonModel
class Half(PythonModel):
    def predict(self, context, model_input, params=None):
        return [0.5] * len(model_input)
"""
RUN = Run(17, PIPELINE, "release", RunState.RUNNING, Trigger.PERSON, "anna", 0.0, commit="c0ffee1")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    state = tmp_path / ".podium"
    mlflow = Mlflow(f"sqlite:///{state}/mlflow.db", "flights", "flights")
    prepare(mlflow, state)
    return Project("flights", tmp_path, tmp_path, Git(), mlflow, {}, {}, {}, {}, {}, {})


@pytest.fixture
def module(project: Project) -> Iterator[str]:
    """A module beside the training script, which only the script's process can import."""
    name = f"prep_{uuid.uuid4().hex[:8]}"
    (project.root / "lib").mkdir()
    (project.root / "lib" / f"{name}.py").write_text(MODULE)
    sys.path.insert(0, str(project.root / "lib"))
    yield name
    sys.path.remove(str(project.root / "lib"))
    sys.modules.pop(name, None)


def train(project: Project, module: str, code_paths: Sequence[str] | None = None) -> None:
    import importlib

    import mlflow

    mlflow.set_tracking_uri(project.mlflow.tracking_uri)
    mlflow.set_experiment(project.mlflow.experiment)
    with mlflow.start_run(tags={TAG_KEY: "a", TAG_RUN: "17"}):
        mlflow.log_metric("roc_auc", 0.8)
        model = importlib.import_module(module).Half()
        paths = list(code_paths) if code_paths is not None else None
        mlflow.pyfunc.log_model(name="model", python_model=model, pip_requirements=[], code_paths=paths)


def registered(project: Project) -> dict[str, Any]:
    upstream = {"train": UpstreamStep("train", StepState.SUCCEEDED, {}, "a", None)}
    return dict(register(StepContext(project, RUN, "candidate", {"metric": "roc_auc"}, upstream)))


def test_a_module_beside_the_script_is_missed_before_the_model_is_the_challenger(project: Project, module: str) -> None:
    train(project, module)
    with pytest.raises(RunFailed, match=f"it needs lib/{module}.py") as caught:
        registered(project)
    assert f"code_paths=['lib/{module}.py']" in caught.value.hint
    assert CHALLENGER not in open_registry(project.mlflow, project.state).aliases("flights")
    train(project, module, [str(project.root / "lib" / f"{module}.py")])
    assert registered(project)["version"] == 2
    assert open_registry(project.mlflow, project.state).aliases("flights")[CHALLENGER] == 2
