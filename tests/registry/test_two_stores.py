"""`mlflow.registry_uri`: models and versions in another store than the runs, with real servers and files in each
place."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from podium.core.config import load
from podium.core.domain.models import TAG_RUN
from podium.core.domain.project import Mlflow
from podium.core.domain.runs import Run, RunState, Trigger
from podium.core.engine import environment
from podium.core.errors import Refused
from podium.core.journal import Journal
from podium.core.registry import open_registry
from podium.core.registry.naming import require_server
from podium.core.registry.snapshot import refresh

from tests.servers.mlflow import MlflowServer

from .conftest import Store, make_project


@pytest.fixture(scope="module")
def _other(migrated: Path) -> Iterator[MlflowServer]:
    made = MlflowServer()
    shutil.copyfile(migrated, made.directory / "mlflow.db")
    with made:
        yield made


@pytest.fixture(params=["server and server", "server and file", "file and server", "file and file"])
def apart(
    request: pytest.FixtureRequest, server: str, _other: MlflowServer, migrated: Path, tmp_path: Path
) -> Iterator[Store]:
    """Runs are in the first store, models in the second."""
    state = tmp_path / "project" / ".podium"
    state.mkdir(parents=True)
    for name in ("runs.db", "models.db"):
        shutil.copyfile(migrated, state / name)
    runs, _, models = request.param.partition(" and ")
    name = f"m{uuid.uuid4().hex[:8]}"
    tracking = server if runs == "server" else f"sqlite:///{state}/runs.db"
    registry = _other.ensure().address if models == "server" else f"sqlite:///{state}/models.db"
    mlflow = Mlflow(tracking, name, name, registry_uri=registry)
    import mlflow as own

    if runs == "file":
        own.MlflowClient(tracking, tracking).create_experiment(name, (state / "artifacts").as_uri())
    made = Store(mlflow, state, open_registry(mlflow, state))
    yield made
    made.registry.close()


def client(uri: str) -> Any:
    import mlflow

    return mlflow.MlflowClient(uri, uri)


@pytest.mark.timeout(300)
def test_versions_are_in_one_store_and_what_their_runs_logged_in_the_other(apart: Store, tmp_path: Path) -> None:
    mlflow, registry, name = apart.mlflow, apart.registry, apart.mlflow.model
    run = apart.train(roc_auc=0.75)
    version = registry.register(name, run, tags={TAG_RUN: "7"})
    assert (version.version, version.mlflow_run, version.run_id, version.metrics["roc_auc"]) == (1, run, 7, 0.75)
    assert registry.register(name, run, tags={}).version == 1, "the same run is the same version"
    registry.set_alias(name, "challenger", 1)

    assert list(client(mlflow.registry_uri).get_registered_model(name).aliases) == ["challenger"]
    assert [each.name for each in client(mlflow.tracking_uri).search_registered_models(f"name='{name}'")] == []
    assert registry.fetch(name, 1, tmp_path / "fetched").startswith("sha256:")
    assert (tmp_path / "fetched" / "MLmodel").is_file()
    registry.set_tag(name, 1, "who", "anna")
    registry.log_report(run, "podium/gate.json", "{}")
    assert registry.version(name, 1).tags["who"] == "anna"

    project = make_project(tmp_path / "project", mlflow)
    with Journal.open(project.state / "journal.db") as journal:
        assert refresh(project, journal)
        known = journal.versions.get(name, 1)
        assert known is not None
        assert (known.aliases, known.metrics["roc_auc"]) == (("challenger",), 0.75)
        client(mlflow.registry_uri).set_registered_model_alias(name, "champion", "1")
        assert refresh(project, journal)
        assert journal.versions.aliases(name) == {"challenger": 1, "champion": 1}
        assert not refresh(project, journal)


def test_steps_get_both_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_REGISTRY_URI", raising=False)
    (tmp_path / "podium.yaml").write_text(
        "project: p\nmlflow: {tracking_uri: 'http://127.0.0.1:5000', registry_uri: 'sqlite:///models.db'}\n"
    )
    project = load(tmp_path)
    given = environment.fixed(project, Run(1, "p", "p", RunState.RUNNING, Trigger.PERSON, "anna", created=1.0))
    assert given["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:5000"
    assert given["MLFLOW_REGISTRY_URI"] == f"sqlite:///{tmp_path}/models.db"
    assert (project.mlflow.embedded, project.mlflow.registry.embedded) == (False, True)
    (tmp_path / "podium.yaml").write_text("project: p\n")
    assert "MLFLOW_REGISTRY_URI" not in environment.fixed(
        load(tmp_path), Run(1, "p", "p", RunState.RUNNING, Trigger.PERSON, "anna", created=1.0)
    )


def test_credentials_go_to_a_registry_that_a_person_named_only(tmp_path: Path) -> None:
    text = "project: p\nmlflow: {tracking_uri: 'http://127.0.0.1:5000', registry_uri: 'https://models.example.org'}\n"
    (tmp_path / "podium.yaml").write_text(text)
    with pytest.raises(Refused, match=r"models\.example\.org"):
        require_server(load(tmp_path).mlflow, tmp_path / ".podium", {"MLFLOW_TRACKING_TOKEN": "secret"})
    (tmp_path / "podium.yaml").write_text(text.replace("https://models.example.org", "${MODELS}"))
    found = load(tmp_path, environ={"MODELS": "https://models.example.org"})
    require_server(found.mlflow, tmp_path / ".podium", {"MLFLOW_TRACKING_TOKEN": "secret"})
