"""What a gate takes from the MLflow run of a version: metrics and datasets that training logged, in both kinds of
store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas
import pytest
from podium.core.domain.models import CHAMPION, Version
from podium.core.domain.project import Check
from podium.core.domain.runs import PIPELINE, Run, RunState, Trigger
from podium.core.domain.verdicts import CheckResult, Verdict
from podium.core.engine.context import StepContext
from podium.core.quality.metrics import Unmeasurable
from podium.core.quality.outside.datasets import NoChampion, locator
from podium.core.quality.outside.logged import gate_check

from .conftest import Store

RUN = Run(17, PIPELINE, "release", RunState.RUNNING, Trigger.PERSON, "anna", 0.0)


def logged(store: Store, run: str, **values: Sequence[float]) -> None:
    for name, series in values.items():
        for step, value in enumerate(series):
            store.client.log_metric(run, name, value, step=step)


def judge(store: Store, check: Check, candidate: Version) -> Sequence[CheckResult]:
    return gate_check(StepContext(store.project, RUN, "gate", {"gate": "quality"}), check, candidate)


def test_a_logged_metric_is_its_last_finite_value(store: Store) -> None:
    first, second = (store.train() for _ in range(2))
    logged(store, first, auc=[0.7, 0.8], broken=[float("nan"), float("inf")])
    logged(store, second, auc=[0.72, 0.79, float("nan")])
    model = store.mlflow.model
    old, new = (store.registry.register(model, run, tags={}) for run in (first, second))
    for limit, verdict in ((0.79, Verdict.PASS), (0.795, Verdict.FAIL)):
        (found,) = judge(store, Check("logged", metric="auc", at_least=limit), new)
        assert (found.verdict, found.value, found.low, found.limit) == (verdict, 0.79, None, limit)
        assert "without an interval" in found.message
    for metric, words in {"broken": "none of the 2 values", "loss": "has no metric 'loss'"}.items():
        (found,) = judge(store, Check("logged", metric=metric, at_least=0.0), old)
        assert found.verdict is Verdict.ERROR and words in found.message
    against = Check("logged", metric="auc", compare="champion", margin=0.005, goal="maximize")
    assert judge(store, against, new)[0].message == "no champion to compare with"
    store.registry.set_alias(model, CHAMPION, old.version)
    assert judge(store, against, old)[0].message == "the candidate is the champion"
    (found,) = judge(store, against, new)
    assert (found.verdict, found.value, found.baseline) == (Verdict.FAIL, 0.79, 0.8)
    smaller = Check("logged", metric="auc", compare="champion", goal="minimize")
    assert judge(store, smaller, new)[0].verdict is Verdict.PASS


def with_dataset(store: Store, *datasets: Any) -> str:
    import mlflow

    run = store.train()
    with mlflow.start_run(run_id=run):
        for dataset in datasets:
            mlflow.log_input(dataset, context="testing")
    return run


def test_a_dataset_of_the_run_is_its_local_file(store: Store, tmp_path: Path) -> None:
    import mlflow

    frame = pandas.DataFrame({"x": [1.0, 2.0], "late": [0, 1]})
    (tmp_path / "data").mkdir()
    frame.to_parquet(tmp_path / "data" / "test.parquet")
    of = mlflow.data.from_pandas
    run = with_dataset(
        store,
        of(frame, source=str(tmp_path / "data" / "test.parquet"), name="test"),
        of(frame, name="in-memory"),
        of(frame, source="/etc/hostname", name="outside"),
        of(frame, source="s3://bucket/test.parquet", name="bucket"),
        of(frame, source=str(tmp_path / "data" / "test.parquet"), name="two"),
        of(frame.assign(x=3.0), source=str(tmp_path / "data" / "other.parquet"), name="two"),
    )
    version = store.registry.register(store.mlflow.model, run, tags={})
    assert store.registry.run(run).datasets[0].context == "testing"
    locate = locator(store.registry, tmp_path, tmp_path, version, None)
    assert locate("dataset:test") == tmp_path / "data" / "test.parquet"
    assert locate("data/x.csv") == tmp_path / "data" / "x.csv"
    for name, words in {
        "in-memory": "which Podium does not read",
        "outside": "not below the project's directory",
        "bucket": "which Podium does not read",
        "two": "2 datasets 'two' with different sources",
        "none": "has no dataset 'none'",
    }.items():
        with pytest.raises(Unmeasurable, match=words):
            locate(f"dataset:{name}")
    with pytest.raises(NoChampion):
        locate("dataset:test@champion")
    assert locator(store.registry, tmp_path, tmp_path, None, version)("dataset:test@champion").is_file()
    with pytest.raises(Unmeasurable, match="there is no version yet"):
        locator(store.registry, tmp_path, tmp_path, None, version)("dataset:test")


def test_a_source_that_is_no_json_is_no_file(tmp_path: Path) -> None:
    from podium.core.quality.outside.datasets import _source
    from podium.core.registry.store import LoggedDataset

    for source, path in {"": "", "[1]": "", "{": "", json.dumps({"uri": "file:///a%20b.csv"}): "/a b.csv"}.items():
        assert _source(LoggedDataset("d", "", "", "local", source)) == path
