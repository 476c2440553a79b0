"""Whole gates over real pyfunc models in real files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from podium.core.domain.models import Version
from podium.core.domain.project import Check, Environment, Gate, Git, Mlflow, Project
from podium.core.domain.verdicts import GateReport, Verdict
from podium.core.errors import NotFound
from podium.core.quality.bootstrap import difference
from podium.core.quality.evaluate import evaluate
from podium.core.quality.metric_checks import judge
from podium.core.quality.metrics import ModelAnswers, named
from podium.core.quality.report import sentence, to_json, to_markdown
from podium.core.quality.resampling import least_units

from tests.quality.reading import read, read_truth

ROWS = 3000


def rows(seed: int = 0, count: int = ROWS) -> pandas.DataFrame:
    generator = np.random.default_rng(seed)
    table = pandas.DataFrame({"x": generator.normal(size=count), "z": generator.normal(size=count)})
    table["carrier"] = generator.choice(["AA", "B6", "UA"], count)
    chance = 1 / (1 + np.exp(-(1.2 * table.x + 0.8 * table.z)))
    return table.assign(late=(generator.random(count) < chance).astype(int))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Saved once: good, like it, poor, labels, broken, silent (answers NaN), other (another signature), bare (none)."""
    import mlflow
    from mlflow.models import infer_signature
    from sklearn.linear_model import LogisticRegression

    home = tmp_path_factory.mktemp("models")
    train = rows(1)
    both, one = train[["x", "z"]], train[["z"]]
    options: dict[str, Any] = {"pip_requirements": ["scikit-learn"], "serialization_format": "cloudpickle"}
    whole, poor = LogisticRegression().fit(both, train.late), LogisticRegression().fit(one, train.late)
    alike = LogisticRegression(C=0.5).fit(both, train.late)

    def save(name: str, model: Any, inputs: pandas.DataFrame, **more: Any) -> None:
        more = {
            "pyfunc_predict_fn": "predict_proba",
            "signature": infer_signature(inputs, model.predict_proba(inputs)),
            **more,
        }
        mlflow.sklearn.save_model(model, str(home / name), **options, **more)

    save("good", whole, both)
    save("backwards", LogisticRegression().fit(both, 1 - train.late), both)
    save("alike", alike, both)
    save("poor", poor, one)
    save("poor-both", LogisticRegression().fit(both.assign(x=0.0), train.late), both)
    save("labels", whole, both, pyfunc_predict_fn="predict", signature=infer_signature(both, whole.predict(both)))
    save("bare", whole, both, signature=None)

    class Silent(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
            return np.full(len(model_input), np.nan)

    class Leaving(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
            print("noise")
            raise SystemExit(3)

    for name, made in (("silent", Silent()), ("leaving", Leaving())):
        mlflow.pyfunc.save_model(str(home / name), python_model=made, pip_requirements=[])
    (home / "broken").mkdir()
    (home / "broken" / "MLmodel").write_text("flavors: {python_function: {loader_module: nowhere.at.all}}\n")
    return {path.name: path for path in home.iterdir()}


@pytest.fixture
def gate(models: dict[str, Path], tmp_path: Path) -> Callable[..., GateReport]:
    rows().to_parquet(tmp_path / "test.parquet")
    project = Project("p", tmp_path, tmp_path, Git(), Mlflow("sqlite:////x", "e", "m"), {}, {}, {}, {}, {}, {})

    def run(
        candidate: str,
        champion: str | None,
        *checks: Check,
        data: str = "test.parquet",
        target: str = "late",
        problem: str = "",
        redact: tuple[str, ...] = (),
    ) -> GateReport:
        names = {1: champion, 2: candidate}

        def fetch(version: Version) -> Path:
            found = models.get(str(names[version.version]))
            if found is None:
                raise NotFound("gone")
            return found

        other = Version("m", 1, 0.0) if champion else None
        return evaluate(
            replace(project, environments={"live": Environment("live", redact=redact)}),
            Gate("quality", data, target, checks),
            Version("m", 2, 0.0),
            other,
            fetch=fetch,
            run_id=5,
            champion_problem=problem,
        )

    return run


AUC = Check("metric", metric="roc_auc", at_least=0.7)
AGAINST = Check("metric", metric="roc_auc", compare="champion", margin=0.01)
LOSS = Check("metric", metric="log_loss", compare="champion", margin=0.01)
SCHEMA = Check("schema")


def test_an_area_far_under_one_half_is_called_suspicious_by_every_check(gate: Callable[..., GateReport]) -> None:
    """Beside a limit and beside the champion: the order of the classes is what is wrong, not the model."""
    checks = gate("backwards", "good", AUC, AGAINST).checks
    assert all(check.verdict is Verdict.FAIL for check in checks)
    assert all("far under 0.5 is suspicious" in check.message for check in checks), checks
    assert not any("suspicious" in check.message for check in gate("good", "backwards", AUC, AGAINST).checks)


def test_a_good_first_version_passes_with_nobody_to_beat(gate: Callable[..., GateReport]) -> None:
    report = gate("good", None, AUC, AGAINST, SCHEMA)
    assert [check.verdict for check in report.checks] == [Verdict.PASS] * 3
    assert report.verdict is Verdict.PASS
    assert report.checks[1].message == "no champion to compare with"
    assert (report.rows, report.champion, report.run_id) == (ROWS, None, 5)
    assert report.checks[0].message.endswith(" on 3,000 rows")
    assert report.metrics["roc_auc"] > 0.7
    assert {"recall", "log_loss"} <= set(report.metrics)
    assert report.confusion is not None and sum(map(sum, report.confusion.counts)) == report.rows
    assert report.flips is None, "there is no champion"
    assert len(report.calibration) == 10 and all(
        abs(each.predicted - each.observed) < 0.2 for each in report.calibration
    )


def test_one_like_the_champion_passes_and_a_worse_one_fails_with_numbers(gate: Callable[..., GateReport]) -> None:
    assert gate("alike", "good", AGAINST, LOSS, SCHEMA).verdict is Verdict.PASS
    report = gate("poor-both", "good", AGAINST, LOSS)
    assert [check.verdict for check in report.checks] == [Verdict.FAIL, Verdict.FAIL]
    check = report.checks[0]
    assert check.high is not None and check.low is not None and check.low < check.high < -0.01
    assert check.value is not None and check.baseline is not None and check.value < check.baseline
    assert f"{check.baseline:.4f}" in sentence(report) and "worse than champion 1" in sentence(report)
    flips = report.flips
    assert flips is not None and flips.worse > flips.better > 0 and len(flips.rows) == 100
    first = flips.rows[0]
    assert first.truth == first.before != first.after and 1 <= first.row <= report.rows
    assert {*flips.columns[:2]} == {"x", "z"}, "the candidate knows nothing of x; nobody of the carrier"
    table = rows()
    assert dict(zip(flips.columns, first.values, strict=True)) == {
        "x": f"{table.x[first.row - 1]:.6g}",
        "z": f"{table.z[first.row - 1]:.6g}",
        "carrier": table.carrier[first.row - 1],
    }
    hidden = gate("poor-both", "good", AGAINST, redact=("x", " Carrier")).flips
    assert hidden is not None and hidden.columns == ("z",) and len(hidden.rows[0].values) == 1


def test_too_few_rows_are_inconclusive_not_a_pass(gate: Callable[..., GateReport], tmp_path: Path) -> None:
    rows(2, 60).to_csv(tmp_path / "few.csv", index=False)
    report = gate(
        "poor-both", "good", Check("metric", metric="roc_auc", compare="champion", margin=0.2), data="few.csv"
    )
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "smallest difference" in report.checks[0].message


def test_a_limit_that_is_broken(gate: Callable[..., GateReport]) -> None:
    report = gate(
        "good", None, Check("metric", metric="roc_auc", at_least=0.99), Check("metric", metric="brier", at_most=0.001)
    )
    assert [check.verdict for check in report.checks] == [Verdict.FAIL, Verdict.FAIL]
    assert "is below 0.99" in report.checks[0].message and "is above 0.001" in report.checks[1].message


BROKEN = {
    "broken": "failed to load",
    "silent": "missing or infinite",
    "leaving": "SystemExit",
    "gone": "cannot be fetched",
}


@pytest.mark.parametrize("candidate", BROKEN)
def test_a_model_that_does_not_work_is_an_error(
    gate: Callable[..., GateReport], candidate: str, capsys: pytest.CaptureFixture[str]
) -> None:
    report = gate(candidate, "good", AUC, AGAINST)
    assert report.verdict is Verdict.ERROR
    assert BROKEN[candidate] in report.checks[0].message
    assert "noise" not in capsys.readouterr().out


def test_a_champion_that_does_not_work_never_passes(gate: Callable[..., GateReport]) -> None:
    report = gate("good", "broken", AUC, AGAINST)
    assert [check.verdict for check in report.checks] == [Verdict.PASS, Verdict.ERROR]
    assert report.verdict is Verdict.ERROR
    assert gate("good", None, AGAINST, problem="points at version 7").checks[0].message == "points at version 7"


def test_labels_have_no_area(gate: Callable[..., GateReport]) -> None:
    report = gate("labels", None, AUC, Check("metric", metric="accuracy", at_least=0.6))
    assert [check.verdict for check in report.checks] == [Verdict.ERROR, Verdict.PASS]
    assert "predict_proba" in report.checks[0].message


def test_data_that_is_missing_broken_empty_or_of_one_class(gate: Callable[..., GateReport], tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"no parquet")
    (tmp_path / "data.txt").write_text("x")
    rows(0, 0).to_csv(tmp_path / "empty.csv", index=False)
    rows().assign(late=1).to_csv(tmp_path / "one.csv", index=False)
    rows().drop(columns="z").to_csv(tmp_path / "narrow.csv", index=False)
    for name, words in {
        "nowhere.parquet": "does not exist",
        "bad.parquet": "cannot be read",
        "data.txt": "neither",
        "empty.csv": "no rows",
        "one.csv": "both classes",
        "narrow.csv": "failed to predict",
    }.items():
        report = gate("good", None, AUC, data=name)
        assert report.verdict is Verdict.ERROR, name
        assert words in report.checks[0].message, name
    assert "no column 'delay'" in gate("good", None, AUC, target="delay").checks[0].message


def test_a_gate_without_checks_is_an_error(gate: Callable[..., GateReport]) -> None:
    assert gate("good", None).verdict is Verdict.ERROR


def test_schema(gate: Callable[..., GateReport]) -> None:
    failed = gate("poor", "good", SCHEMA).checks[0]
    assert (failed.verdict, "input x is gone" in failed.message) == (Verdict.FAIL, True)
    assert "output" in gate("labels", "good", SCHEMA).checks[0].message
    assert gate("bare", "good", SCHEMA).verdict is Verdict.ERROR


def test_latency(gate: Callable[..., GateReport]) -> None:
    slow, fast = Check("latency", percentile="p95", at_most=1e-6), Check("latency", percentile="p95", at_most=5.0)
    report = gate("good", None, slow, fast)
    assert [check.verdict for check in report.checks] == [Verdict.FAIL, Verdict.PASS]
    assert report.checks[1].rows == 200


def by_carrier(**more: Any) -> Check:
    return Check("metric", metric="roc_auc", slices=("carrier",), **more)


def test_slices(gate: Callable[..., GateReport]) -> None:
    bound, against = by_carrier(at_least=0.7), by_carrier(compare="champion", margin=0.02)
    report = gate("good", "alike", bound, against)
    assert [check.slice for check in report.checks] == ["carrier=AA", "carrier=B6", "carrier=UA"] * 2
    assert report.verdict is Verdict.PASS
    assert sum(check.rows or 0 for check in report.checks[:3]) == ROWS
    assert gate("poor-both", "good", by_carrier(compare="champion", margin=0.01)).verdict is Verdict.FAIL
    assert gate("good", None, by_carrier(at_least=0.7, min_rows=ROWS)).verdict is Verdict.ERROR
    assert (
        gate("good", None, Check("metric", metric="roc_auc", at_least=0.7, slices=("nothing",))).verdict
        is Verdict.ERROR
    )
    assert (
        "values"
        in gate("good", None, Check("metric", metric="accuracy", at_least=0.1, slices=("x",))).checks[0].message
    )


def test_a_limit_beside_a_comparison_counts_too(gate: Callable[..., GateReport]) -> None:
    both = Check("metric", metric="roc_auc", at_least=0.99, compare="champion", margin=0.01)
    for champion in (None, "alike"):
        report = gate("good", champion, both)
        assert [(check.name, check.verdict) for check in report.checks] == [
            ("roc_auc ≥ 0.99", Verdict.FAIL),
            ("roc_auc against champion", Verdict.PASS),
        ]


@pytest.mark.parametrize(
    ("size", "verdict"), [(1, Verdict.INCONCLUSIVE), (2, Verdict.INCONCLUSIVE), (12, Verdict.FAIL)]
)
def test_a_few_rows_that_came_out_alike_prove_nothing(size: int, verdict: Verdict) -> None:
    """A resampling of them has no width, and no width is no certainty."""
    assert least_units(answers([1] * size, [0.1] * size)) == size
    bad, good = answers([1, 0] * size, [0.1, 0.9] * size), answers([1, 0] * size, [0.9, 0.1] * size)
    found = difference(named("roc_auc", ""), bad, good, resamples=50)
    assert found.error == 0 and found.value == -1.0
    assert judge(found, 0.01, found.p_below(-0.01) < 0.05) is verdict


def answers(truth: list[int], scores: list[float]) -> ModelAnswers:
    return read(np.asarray(scores), read_truth(truth))


def test_a_slice_barely_below_its_limit_is_inconclusive(gate: Callable[..., GateReport]) -> None:
    values = [check.value for check in gate("good", None, by_carrier(at_least=0.1)).checks]
    limit = max(value for value in values if value is not None) + 0.001
    assert Verdict.INCONCLUSIVE in {check.verdict for check in gate("good", None, by_carrier(at_least=limit)).checks}
    assert {check.verdict for check in gate("good", None, by_carrier(at_least=0.99)).checks} == {Verdict.FAIL}


def test_the_report_as_json_and_markdown(gate: Callable[..., GateReport]) -> None:
    report = gate("poor-both", "good", AUC, AGAINST, Check("metric", metric="a|b", at_least=1.0))
    written = json.loads(to_json(report))
    assert (written["verdict"], written["version"], len(written["checks"])) == ("fail", 2, 3)
    text = to_markdown(report)
    assert "# Gate quality: fail" in text and "a\\|b" in text
    assert all(line.count("|") - line.count("\\|") in (0, 3, 5) for line in text.splitlines())
