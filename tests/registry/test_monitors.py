"""Monitors whose reference or gate names a dataset that training logged to MLflow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from podium.core.config import load
from podium.core.domain.delivery import DeploymentState, How
from podium.core.domain.models import CHAMPION
from podium.core.domain.monitoring import Measurement
from podium.core.domain.project import Project
from podium.core.journal import Journal
from podium.core.monitoring import drift, estimated
from podium.core.monitoring.moment import Moment, measured

from tests.monitoring.conftest import HEAD
from tests.monitoring.test_drift import capture, rows

from .conftest import Store

GATE = "gates: {q: {data: 'dataset:test', target: late, checks: [{metric: roc_auc, at_least: 0.5}]}}\n"
MONITORS = """\
monitors:
  train: {environment: production, drift: psi, reference: 'dataset:train'}
  champion: {environment: production, drift: psi, reference: 'dataset:train@champion'}
  gate: {environment: production, drift: psi, reference: {gate: q}}
  estimate: {environment: production, estimate: accuracy, gate: q}
"""


def trained(store: Store, home: Path, **tables: pd.DataFrame) -> int:
    """Registers a version whose run has logged these tables; returns its number."""
    import mlflow

    run = store.train()
    with mlflow.start_run(run_id=run):
        for name, table in tables.items():
            file = home / f"{name}-{run}.parquet"
            table.to_parquet(file)
            mlflow.log_input(mlflow.data.from_pandas(table, source=str(file), name=name))
    return store.registry.register(store.mlflow.model, run, tags={}).version


@pytest.fixture
def shop(embedded: Store, tmp_path: Path) -> Iterator[tuple[Project, Journal]]:
    """A project whose version 2 serves; the champion, version 1, has learned from requests that differ."""
    before, now, test = (pd.DataFrame(rows(300, shift, seed)) for shift, seed in ((2.0, 3), (0.0, 4), (0.0, 5)))
    first = trained(embedded, tmp_path, train=before)
    second = trained(embedded, tmp_path, train=now, test=test.assign(late=[0, 1] * 150))
    embedded.registry.set_alias(embedded.mlflow.model, CHAMPION, first)
    mlflow = f"mlflow: {{tracking_uri: '{embedded.mlflow.tracking_uri}', model: {embedded.mlflow.model}}}\n"
    (tmp_path / "podium.yaml").write_text(HEAD + mlflow + GATE + MONITORS)
    with Journal.open(embedded.state / "journal.db") as journal:
        row = journal.ledger.begin(
            environment="production",
            how=How.DEPLOY,
            model=embedded.mlflow.model,
            to_version=second,
            from_version=None,
            who="anna",
        )
        journal.ledger.finish(row.id, DeploymentState.SUCCEEDED)
        yield load(tmp_path, environ={}), journal


def test_a_reference_is_what_the_version_that_serves_or_the_champion_learned_from(
    shop: tuple[Project, Journal], tmp_path: Path
) -> None:
    capture(tmp_path, rows(200, seed=6), version=2)
    found = {name: of(shop, name, drift.measure) for name in ("train", "champion", "gate")}
    assert all(each.value is not None for each in found.values()), [each.message for each in found.values()]
    assert (found["train"].value or 9.0) < 0.4 < 1.0 < (found["champion"].value or 0.0)
    assert (found["gate"].value or 9.0) < 0.4
    assert [each.column for each in found["gate"].columns] == ["hour", "origin"]


def test_an_estimate_knows_the_task_by_the_gates_dataset(shop: tuple[Project, Journal], tmp_path: Path) -> None:
    answers = [round(float(each), 3) for each in np.random.default_rng(7).random(60)]
    capture(tmp_path, rows(60), version=2, answers=answers)
    found = of(shop, "estimate", estimated.measure)
    assert found.value is not None and 0.5 < found.value < 1.0, found.message


def test_a_dataset_that_nobody_logged_is_said(shop: tuple[Project, Journal], tmp_path: Path) -> None:
    text = (tmp_path / "podium.yaml").read_text()
    (tmp_path / "podium.yaml").write_text(text.replace("dataset:train'", "dataset:years'").replace(":test'", ":none'"))
    changed = load(tmp_path, environ={}), shop[1]
    capture(tmp_path, rows(60), version=2, answers=[0.5] * 60)
    assert "the MLflow run of version 2 has no dataset 'years'" in of(changed, "train", drift.measure).message
    words = "dataset:none is not there to tell what gate q judges: write its `task: binary`"
    assert of(changed, "estimate", estimated.measure).message == words


def of(shop: tuple[Project, Journal], name: str, kind: Callable[[Moment], Measurement]) -> Measurement:
    project, journal = shop
    return measured(Moment(project, journal, project.monitors[name]), kind)
