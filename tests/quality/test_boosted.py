"""Real models of LightGBM and XGBoost in gates and monitors: what their answers are taken for, and that what they learned
is measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from podium.core.domain.models import Version
from podium.core.domain.project import Check, Gate, Git, Mlflow, Project
from podium.core.domain.verdicts import GateReport, Verdict
from podium.core.monitoring.columns import Column
from podium.core.monitoring.comparison import compare
from podium.core.monitoring.statistics import resampling
from podium.core.monitoring.statistics.tails import null_of
from podium.core.quality.evaluate import evaluate
from sklearn import metrics as reference

FEATURES = ["x", "z"]
CLASSES = ["high", "low", "mid"]
FLAVORS = ["lightgbm", "xgboost"]


def table(seed: int, rows: int = 600) -> pandas.DataFrame:
    generator = np.random.default_rng(seed)
    frame = pandas.DataFrame(generator.normal(size=(rows, 2)), columns=FEATURES)
    frame.loc[::17, "z"] = np.nan  # trees take gaps
    place = frame.x + 0.5 * frame.z.fillna(0.0) + 0.6 * generator.normal(size=rows)
    kind = np.where(place > 0.6, "high", np.where(place < -0.6, "low", "mid"))
    return frame.assign(late=(place > 0).astype(int), amount=place, kind=kind)


def learned(flavor: str, objective: str, target: str, seed: int = 1, features: list[str] = FEATURES) -> Any:
    """Returns a booster of the library's own interface, which answers as its objective says."""
    rows = table(seed, 1200)
    truth = rows[target].map(CLASSES.index) if target == "kind" else rows[target]
    many = {"num_class": 3} if target == "kind" else {}
    library = pytest.importorskip(flavor)
    if flavor == "lightgbm":
        names = {"probability": "binary", "classes": "multiclass", "number": "regression"}
        settings = {"objective": names[objective], "verbosity": -1, "num_threads": 1, "seed": 1, **many}
        return library.train(settings, library.Dataset(rows[features], truth), num_boost_round=30)
    names = {"probability": "binary:logistic", "classes": "multi:softprob", "number": "reg:squarederror"}
    settings = {"objective": names[objective], "max_depth": 3, "nthread": 1, "seed": 1, **many}
    return library.train(settings, library.DMatrix(rows[features], truth), num_boost_round=30)


@pytest.fixture
def judge(tmp_path: Path) -> Callable[..., GateReport]:
    """Judges a model of a flavour, beside a champion where there is one."""
    import mlflow

    table(2).to_parquet(tmp_path / "test.parquet")
    project = Project("p", tmp_path, tmp_path, Git(), Mlflow("sqlite:////x", "e", "m"), {}, {}, {}, {}, {}, {})

    def run(flavor: str, models: list[Any], target: str, *checks: Check, **keys: Any) -> GateReport:
        signature = mlflow.models.infer_signature(table(1)[FEATURES])
        places = {n: str(tmp_path / f"{flavor}-{target}-{n}") for n in range(1, len(models) + 1)}
        for number, model in enumerate(models, 1):
            if not Path(places[number]).exists():
                save = getattr(mlflow, flavor).save_model
                save(model, places[number], signature=signature, pip_requirements=[flavor])
        versions = [Version("m", number, 0.0) for number in places]
        gate = Gate("g", data="test.parquet", target=target, checks=checks, **keys)
        champion = versions[1] if len(versions) > 1 else None
        return evaluate(project, gate, versions[0], champion, fetch=lambda each: Path(places[each.version]))

    return run


@pytest.mark.parametrize("flavor", FLAVORS)
def test_probabilities_of_a_booster(flavor: str, judge: Callable[..., GateReport]) -> None:
    model = learned(flavor, "probability", "late")
    checks = (
        Check("metric", metric="roc_auc", at_least=0.75),
        Check("metric", metric="log_loss", at_most=0.6),
        Check("metric", metric="roc_auc", compare="champion", margin=0.02, goal="maximize"),
        Check("latency", percentile="p95", at_most=5.0),
        Check("schema"),
    )
    report = judge(flavor, [model, model], "late", *checks, task="binary")
    assert [each.verdict for each in report.checks] == [Verdict.PASS] * 5, report.checks
    rows = table(2)
    exact = reference.roc_auc_score(rows.late, answers(flavor, model, rows))
    assert report.checks[0].value == pytest.approx(exact, abs=1e-6)


@pytest.mark.parametrize("flavor", FLAVORS)
def test_a_column_for_each_class(flavor: str, judge: Callable[..., GateReport]) -> None:
    model = learned(flavor, "classes", "kind")
    checks = (
        Check("metric", metric="f1", average="macro", at_least=0.5),
        Check("metric", metric="roc_auc", at_least=0.7),
        Check("metric", metric="log_loss", at_most=1.0),
    )
    report = judge(flavor, [model], "kind", *checks, task="multiclass", classes=tuple(CLASSES))
    assert report.verdict is Verdict.PASS, report.checks
    rows = table(2)
    scores = answers(flavor, model, rows)
    exact = reference.f1_score(rows.kind.map(CLASSES.index), scores.argmax(axis=1), average="macro")
    assert report.checks[0].value == pytest.approx(exact)


@pytest.mark.parametrize("flavor", FLAVORS)
def test_a_number(flavor: str, judge: Callable[..., GateReport]) -> None:
    model = learned(flavor, "number", "amount")
    report = judge(flavor, [model], "amount", Check("metric", metric="rmse", at_most=1.0), task="regression")
    assert report.verdict is Verdict.PASS, report.checks
    rows = table(2)
    exact = reference.mean_squared_error(rows.amount, answers(flavor, model, rows)) ** 0.5
    assert report.checks[0].value == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("flavor", FLAVORS)
@pytest.mark.parametrize("measure", ["psi", "js", "ks", "wasserstein"])
def test_drift_of_what_a_booster_answers(flavor: str, measure: str) -> None:
    """Trees answer in steps: many equal values among many different ones, in single precision."""
    model = learned(flavor, "probability", "late")
    before = Column("answer", np.asarray(answers(flavor, model, table(3, 1000))), 1000)
    nulls = {"answer": null_of(measure, resampling.null(measure, {"answer": before.cells}, 300)["answer"])}
    rung = {"same": 0, "moved": 0}
    for seed in range(20):
        rows = table(100 + seed, 300)
        for name, frame in {"same": rows, "moved": rows.assign(x=rows.x + 0.7)}.items():
            now = Column("answer", np.asarray(answers(flavor, model, frame)), 300)
            found = compare(measure, {"answer": before}, {"answer": now}, nulls=nulls, chance=0.01)
            assert found.value is not None and found.critical is not None
            rung[name] += found.value > found.critical
    assert rung["same"] <= 2 and rung["moved"] == 20, rung


def answers(flavor: str, model: Any, rows: pandas.DataFrame) -> Any:
    library = pytest.importorskip(flavor)
    return model.predict(rows[FEATURES] if flavor == "lightgbm" else library.DMatrix(rows[FEATURES]))
