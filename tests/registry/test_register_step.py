"""`register` and `gate` as the engine calls them, from the user's training to the kept report, over both kinds of
store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from podium.core.domain.models import TAG_COMMIT, TAG_KEY, TAG_RUN, TAG_STEP
from podium.core.domain.project import Check, Gate
from podium.core.domain.runs import PIPELINE, Run, RunState, StepState, Trigger
from podium.core.domain.verdicts import Verdict
from podium.core.engine.context import StepContext, UpstreamStep
from podium.core.errors import NotFound, RunFailed, UsageError
from podium.core.quality.gate_step import gate
from podium.core.quality.outside.datasets import locator
from podium.core.registry.aliases import move_alias
from podium.core.registry.register_step import choose, register
from podium.core.registry.store import TrackedRun

from .conftest import Store

RUN = Run(17, PIPELINE, "release", RunState.RUNNING, Trigger.PERSON, "anna", 0.0, commit="c0ffee1", dirty=True)
CHECKS = (
    Check("metric", metric="roc_auc", at_least=0.6),
    Check("metric", metric="roc_auc", compare="champion", margin=0.01),
    Check("schema"),
)


class House:
    """A project with a gate, and a way to run its built-in steps."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.project = replace(store.project, gates={"quality": Gate("quality", "test.parquet", "late", CHECKS)})
        self.open: list[StepContext] = []
        rows(0).to_parquet(self.project.root / "test.parquet")

    def context(self, options: dict[str, Any], **upstream: UpstreamStep) -> StepContext:
        self.open.append(StepContext(self.project, RUN, "step", options, upstream))
        return self.open[-1]

    def register(self, *keys: str, origin: int | None = None, **options: Any) -> dict[str, Any]:
        steps = {key: UpstreamStep(key, StepState.SUCCEEDED, {}, key, origin) for key in keys}
        return dict(register(self.context({"metric": "roc_auc", **options}, **steps)))

    def gate(self, version: int | None) -> dict[str, Any]:
        upstream = (
            {}
            if version is None
            else {"candidate": UpstreamStep("candidate", StepState.SUCCEEDED, {"version": version})}
        )
        return dict(gate(self.context({"gate": "quality"}, **upstream)))

    def train(self, key: str, columns: list[str], *, run: int = RUN.id, **metrics: float) -> str:
        import mlflow
        from mlflow.models import infer_signature
        from sklearn.linear_model import LogisticRegression

        made = self.store.train(
            tags={TAG_KEY: key, TAG_RUN: str(run), TAG_STEP: "train", TAG_COMMIT: "c0ffee1"}, model=False, **metrics
        )
        data = rows(1)
        model = LogisticRegression().fit(
            data[["x", "z"]].assign(**dict.fromkeys({"x", "z"} - set(columns), 0.0)), data.late
        )
        inputs = data[["x", "z"]]
        with mlflow.start_run(run_id=made):
            signature = infer_signature(inputs, model.predict_proba(inputs))
            mlflow.sklearn.log_model(
                model,
                name="model",
                signature=signature,
                pyfunc_predict_fn="predict_proba",
                pip_requirements=["scikit-learn"],
                serialization_format="cloudpickle",
            )
        return made


def rows(seed: int) -> pandas.DataFrame:
    generator = np.random.default_rng(seed)
    table = pandas.DataFrame({"x": generator.normal(size=3000), "z": generator.normal(size=3000)})
    return table.assign(late=(generator.random(3000) < 1 / (1 + np.exp(-(1.2 * table.x + 0.8 * table.z)))).astype(int))


@pytest.fixture
def house(store: Store) -> Iterator[House]:
    made = House(store)
    yield made
    for context in made.open:
        context.close()


def test_the_whole_way_from_training_to_a_refusal_with_numbers(house: House, tmp_path: Path) -> None:
    house.train("a", ["z"], roc_auc=0.6)
    best = house.train("b", ["x", "z"], roc_auc=0.8)
    results = house.register("a", "b")
    assert {name: results[name] for name in ("version", "mlflow_run", "value", "goal", "candidates")} == {
        "version": 1,
        "mlflow_run": best,
        "value": 0.8,
        "goal": "maximize",
        "candidates": 2,
    }
    registry, model, journal = house.store.registry, house.store.mlflow.model, house.context({}).journal
    version = registry.version(model, 1)
    assert (version.aliases, version.commit, version.run_id, version.tags[TAG_STEP]) == (
        ("challenger",),
        "c0ffee1",
        17,
        "train",
    )
    assert version.digest == results["digest"] != ""
    assert journal.versions.of(model) == [version]

    assert house.gate(1)["verdict"] == "pass"
    report = journal.gates.latest(model, 1)
    assert report is not None and (report.verdict, report.run_id, report.champion) == (Verdict.PASS, 17, None)
    assert registry.version(model, 1).verdict is Verdict.PASS
    kept = Path(house.store.client.download_artifacts(best, "podium/gate-quality.json", str(tmp_path)))
    assert json.loads(kept.read_text())["verdict"] == "pass"

    move_alias(house.project, journal, registry, model, "champion", 1, expected=None, who="anna")
    house.train("c", ["z"], roc_auc=0.7)
    assert house.register("c")["version"] == 2
    with pytest.raises(RunFailed, match="worse than champion 1") as caught:
        house.gate(2)
    assert caught.value.results["verdict"] == "fail"  # type: ignore[attr-defined]
    assert journal.versions.of(model)[0].verdict is Verdict.FAIL
    assert house.gate(1)["champion"] == 1  # the champion itself may be asked again


def test_a_champion_alias_on_a_version_that_is_gone_never_passes(embedded: Store) -> None:
    import sqlite3

    house = House(embedded)
    house.train("a", ["x", "z"], roc_auc=0.8)
    house.register("a")
    embedded.registry.set_alias(embedded.mlflow.model, "champion", 1)
    with sqlite3.connect(embedded.state / "mlflow.db") as database:
        database.execute("UPDATE registered_model_aliases SET version = 7 WHERE alias = 'champion'")
    with pytest.raises(RunFailed, match="points at version 7, which does not exist") as caught:
        house.gate(1)
    assert caught.value.results["verdict"] == "error"  # type: ignore[attr-defined]


def test_a_cached_training_keeps_its_version_and_its_origin(house: House) -> None:
    house.train("a", ["x", "z"], run=3, roc_auc=0.8)
    house.train("a", ["x", "z"], run=9, roc_auc=0.9)
    results = house.register("a", origin=3)
    assert (results["version"], results["value"]) == (1, 0.8)
    assert house.register("a", origin=3)["version"] == 1
    assert house.store.registry.version(house.store.mlflow.model, 1).run_id == 3
    assert house.register("a", origin=9)["version"] == 2


def test_what_is_missing_is_said(house: House) -> None:
    with pytest.raises(RunFailed, match="left no finished MLflow run"):
        house.register("nothing")
    with pytest.raises(UsageError, match="no version to judge"):
        house.gate(None)
    with pytest.raises(NotFound):
        house.gate(99)


def test_a_script_that_sets_its_own_experiment_is_found_and_told(
    house: House, capfd: pytest.CaptureFixture[str]
) -> None:
    name = house.store.mlflow.experiment
    house.store = replace(house.store, mlflow=replace(house.store.mlflow, experiment=f"{name}-x"))
    made = house.train(f"own-{name}", ["x", "z"], roc_auc=0.8)
    assert house.register(f"own-{name}")["mlflow_run"] == made
    said = capfd.readouterr()
    assert f"in the experiment {name}-x, and mlflow.experiment is {name}" in " ".join((said.out + said.err).split())


def tracked(name: str, models: tuple[str, ...] = ("m-1",), **metrics: float) -> TrackedRun:
    return TrackedRun(name, "1", "FINISHED", float(len(name)), metrics=metrics, models=models)


def test_the_best_is_chosen_in_the_right_direction() -> None:
    runs = [
        tracked("a", loss=0.3),
        tracked("bb", loss=0.1),
        tracked("ccc", loss=float("nan")),
        tracked("dd", (), loss=0.01),
    ]
    runs.append(tracked("eee", loss=0.3))
    assert choose(runs, "loss", "minimize").id == "bb"
    assert choose(runs, "loss", "maximize").id == "eee"
    with pytest.raises(RunFailed, match="finite metric 'auc'") as caught:
        choose(runs, "auc", "maximize")
    assert "loss" in caught.value.hint
    ends = [tracked("a", loss=0.3, auc=float("nan")), tracked("b", auc=float("inf"))]
    with pytest.raises(RunFailed, match=r"the last value of the metric 'auc' is nan in all 2 MLflow runs") as caught:
        choose(ends, "auc", "maximize")
    assert "log a finite one last" in caught.value.hint and "these have one: loss" in caught.value.hint
    with pytest.raises(RunFailed, match="logged a model"):
        choose([tracked("dd", (), loss=0.01)], "loss", "minimize")


@pytest.mark.parametrize("logged", [False, True])
def test_rows_of_requests_are_an_input_of_the_run_once(store: Store, logged: bool) -> None:
    import mlflow

    house, digest = House(store), "ab" * 32
    line = f"sha256:{digest} 12 rows, requests to production 2027-01-15T08:00:00Z to 2027-01-16T08:00:00Z"
    trained = store.train(tags={TAG_KEY: "k", TAG_RUN: "17"}, roc_auc=0.7)
    if logged:  # as training itself may
        frame = pandas.DataFrame({"x": [1]})
        noted = mlflow.data.from_pandas(frame, source="data/recent.parquet", name="recent", digest=digest[:36])
        with mlflow.start_run(run_id=trained):
            mlflow.log_input(noted, context="training")
    wrote = {
        "dataset": line,
        "dataset_input": {
            "source": "data/recent.parquet",
            "digest": f"sha256:{digest}",
            "profile": {"num_rows": 12, "environment": "production"},
        },
    }
    upstream = {
        "rows": UpstreamStep("rows", StepState.SUCCEEDED, wrote),
        "train": UpstreamStep("train", StepState.SUCCEEDED, {}, "k", None),
    }
    for _ in range(2):
        done = register(house.context({"metric": "roc_auc"}, **upstream))
    version = store.registry.version(done["model"], done["version"])
    assert version.learned is not None and version.learned.rows == 12 and version.learned.digest.endswith(digest)
    (found,) = store.registry.run(trained).datasets
    assert (found.name, found.context, found.kind) == ("recent", "training", "local")
    assert json.loads(found.source) == {"uri": "data/recent.parquet"} and found.digest == digest[:36]
    (house.project.root / "data").mkdir(exist_ok=True)
    seen = locator(store.registry, house.project.root, house.project.home, version, None)("dataset:recent")
    assert seen == house.project.root / "data/recent.parquet", "a gate can read it by its name"
