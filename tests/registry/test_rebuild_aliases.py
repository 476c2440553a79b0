"""Aliases on an MLflow server come back with the ledger."""

from __future__ import annotations

import uuid
from pathlib import Path

from mlflow import MlflowClient
from podium.core.changes import apply, plan
from podium.core.domain.runs import RunState
from podium.core.journal import Journal

from tests.hosting.tagged import Tagged
from tests.support import wait_until


def test_they_are_shown_first_and_then_moved(server: str, tmp_path: Path) -> None:
    client, model = MlflowClient(server, server), f"flights-{uuid.uuid4().hex[:8]}"
    client.create_registered_model(model)
    made_by = client.create_run(client.create_experiment(model)).info
    for _ in range(3):
        client.create_model_version(model, f"{made_by.artifact_uri}/model", made_by.run_id)
    client.set_registered_model_alias(model, "champion", "3")
    scene = Tagged(tmp_path / "flights")
    scene.model = model
    with (scene.home / "podium.yaml").open("a") as file:
        file.write(f"mlflow: {{tracking_uri: '{server}', model: {model}}}\n")
    one, two = scene.version(1), scene.version(2)
    scene.promote(one)
    scene.promote(two)
    assert len(scene.record().made) == 4
    scene.journal.close()
    for file in (scene.home / ".podium").iterdir():
        file.unlink()
    scene.journal = Journal.open(scene.home / ".podium" / "journal.db")
    made = plan(scene.project, scene.journal, "rebuild", "ledger")
    assert [(each.subject, each.before, each.after) for each in made.changes][1:] == [
        ("alias champion", "v3", "v2"),
        ("alias previous", "none", "v1"),
    ]
    run = apply(scene.project, scene.journal, made, who="mia")
    assert run is not None
    wait_until(lambda: scene.journal.runs.get(run.id).state.finished, 60, what="the rebuild is over")
    assert scene.journal.runs.get(run.id).state is RunState.SUCCEEDED, scene.journal.steps.of(run.id)
    found = client.get_registered_model(model).aliases
    assert {alias: int(version) for alias, version in found.items()} == {"champion": 2, "previous": 1}
    scene.journal.close()
