"""Projects with versions that cost nothing: the files of real models, put where a fetched version lies, with no
MLflow store behind them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from podium.core.containers import Engine
from podium.core.containers.engine import labels as names
from podium.core.containers.images import store
from podium.core.domain.models import Version
from podium.core.domain.project import Docker, Git, Mlflow, Project
from podium.core.journal import Journal
from podium.core.registry import files

from tests.runner.scale import scaled

MODEL = "flight delay/2013"


def requirements() -> list[str]:
    """As MLflow would write them, of packages that the test image has."""
    import mlflow
    import numpy
    import pandas
    import sklearn

    return [
        f"mlflow=={mlflow.__version__}",
        f"numpy=={numpy.__version__}",
        f"pandas=={pandas.__version__}",
        f"scikit-learn=={sklearn.__version__}",
    ]


def save_sklearn(path: Path, *, strength: float) -> None:
    import mlflow
    from sklearn.datasets import load_iris
    from sklearn.linear_model import RidgeClassifier

    data = load_iris(as_frame=True)
    frame = data.data.astype("float64")
    model = RidgeClassifier(alpha=strength).fit(frame, data.target)
    example = frame.head(2)
    mlflow.sklearn.save_model(
        model, str(path), input_example=example, pip_requirements=requirements(), serialization_format="cloudpickle"
    )


@dataclass
class Shop:
    """A project of its own, on an engine, with whatever versions were added. `lines` is what the last call said."""

    project: Project
    journal: Journal
    engine: Engine
    lines: list[str]

    def say(self, line: str) -> None:
        self.lines.append(line)

    @property
    def said(self) -> str:
        return "\n".join(self.lines)

    def add(self, number: int, download: Callable[[Path], None], **more: Any) -> Version:
        """A version whose files `download` puts into the directory that it is given."""
        digest = files.bring(self.files(number), download)
        fields = {
            "commit": "c0ffee" * 6 + "abcd",
            "run_id": 7,
            "mlflow_run": "0123456789abcdef",
            "digest": digest,
            **more,
        }
        self.journal.versions.update(Version(self.project.mlflow.model, number, 1.0, **fields))
        found = self.journal.versions.get(self.project.mlflow.model, number)
        assert found is not None
        return found

    @property
    def label(self) -> dict[str, str]:
        """By which what a test makes by itself is found and removed."""
        return {names.HOME: names.home_id(self.project.home)}

    def dependencies(self, image_id: str) -> str:
        """The name of the image that this one stands on."""
        return store.labels(store.inspect(self.engine, image_id) or {})[names.DEPENDENCIES]

    def output(self, image_id: str, code: str) -> str:
        """What a line of Python prints in a container of the image."""
        api = self.engine.api
        made = api.create_container(image_id, ["-S", "-c", code], entrypoint=["python3"], labels=self.label)
        try:
            api.start(made["Id"])
            api.wait(made["Id"], timeout=scaled(60))
            return api.logs(made["Id"]).decode().strip()
        finally:
            api.remove_container(made["Id"], force=True)

    def files(self, number: int) -> Path:
        return files.directory(self.project.state, self.project.mlflow.model, number)

    def docker(self, **more: Any) -> Project:
        self.project = replace(self.project, docker=replace(self.project.docker, **more))
        return self.project


@contextmanager
def opened(home: Path, engine: Engine, base: str) -> Iterator[Shop]:
    """Removes at its end the images and containers that were made for it."""
    home.mkdir(parents=True, exist_ok=True)
    mlflow = Mlflow(f"sqlite:///{home}/.podium/mlflow.db", "flights", MODEL)
    project = Project(
        "Flight Delay",
        home,
        home,
        Git(),
        mlflow,
        {},
        {},
        {},
        {},
        {},
        {},
        docker=Docker(host=str(engine.address), base=base, sbom=False),
    )
    journal = Journal.open(project.state / "journal.db")
    try:
        yield Shop(project, journal, engine, [])
    finally:
        journal.close()
        clear(engine, home)


def clear(engine: Engine, home: Path) -> None:
    mine = [f"{names.HOME}={names.home_id(home)}"]
    for container in engine.containers(mine):
        engine.api.remove_container(container["Id"], force=True, v=True)
    for image in sorted(store.find(engine, mine), key=lambda one: -int(one["Created"])):
        called = [
            name for name in (*(image.get("RepoTags") or ()), *(image.get("RepoDigests") or ())) if "<none>" not in name
        ]
        for name in (*called, image["Id"]):
            store.remove(engine, name)


def copied(source: Path) -> Callable[[Path], None]:
    def download(dest: Path) -> None:
        shutil.copytree(source, dest, dirs_exist_ok=True, copy_function=shutil.copyfile)

    return download
