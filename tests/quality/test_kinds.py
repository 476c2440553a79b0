"""Gates of every kind over real scikit-learn models, and metrics of the project's own."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from podium.core.domain.models import Version
from podium.core.domain.project import Check, Gate, Git, Mlflow, Project, Series
from podium.core.domain.verdicts import GateReport, Verdict
from podium.core.hosting.comment import gate_lines
from podium.core.quality.evaluate import evaluate
from podium.core.quality.own import functions

from tests.runner.scale import scaled

ROWS = 900
FEATURES = ["x", "z"]


def table(seed: int, rows: int = ROWS) -> pandas.DataFrame:
    generator = np.random.default_rng(seed)
    frame = pandas.DataFrame(generator.normal(size=(rows, 2)), columns=FEATURES)
    noise = generator.normal(size=(rows, 3))
    place = np.column_stack([frame.x, frame.z, -frame.x - frame.z]) + 0.7 * noise
    return frame.assign(
        kind=np.asarray(["low", "mid", "top"])[place.argmax(axis=1)],
        red=(place[:, 0] > 0.3).astype(int),
        blue=(place[:, 1] > 0.0).astype(int),
        amount=10 + 3 * frame.x + frame.z + noise[:, 0],
        gain=np.clip(np.round(place[:, 0] + 1), 0, 3).astype(int),
        query=np.arange(rows) // 9,
        shop=np.asarray(["n", "s"])[np.arange(rows) % 2],
        day=np.arange(rows) // 2,
        ahead=1 + np.arange(rows) // 2 % 3,
        cost=np.abs(noise[:, 1]),
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Saved once, each with a poor form that learned from half of the features."""
    import mlflow
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.multioutput import MultiOutputClassifier

    home = tmp_path_factory.mktemp("kinds")
    train = table(1)
    blind = train.assign(x=0.0)

    def save(name: str, estimator: Any, target: Any, predict: str) -> None:
        for prefix, inputs in (("", train), ("poor-", blind)):
            fitted = estimator().fit(inputs[FEATURES], train[target])
            options: dict[str, Any] = {"pip_requirements": ["scikit-learn"], "serialization_format": "cloudpickle"}
            signature = mlflow.models.infer_signature(train[FEATURES])
            where = str(home / f"{prefix}{name}")
            mlflow.sklearn.save_model(fitted, where, pyfunc_predict_fn=predict, signature=signature, **options)

    save("kind", LogisticRegression, "kind", "predict_proba")
    save("kind-labels", LogisticRegression, "kind", "predict")
    save("colours", lambda: MultiOutputClassifier(LogisticRegression()), ["red", "blue"], "predict")
    save("amount", LinearRegression, "amount", "predict")
    save("gain", LinearRegression, "gain", "predict")
    return {path.name: path for path in home.iterdir()}


@pytest.fixture
def gate(models: Mapping[str, Path], tmp_path: Path) -> Callable[..., GateReport]:
    frame = table(0)
    frame.to_parquet(tmp_path / "test.parquet")
    frame.assign(day=frame.day - 1000).to_parquet(tmp_path / "before.parquet")
    mlflow = Mlflow("sqlite:////x", "e", "m")
    project = Project("p", tmp_path, tmp_path, Git(), mlflow, {}, {}, {}, {}, {}, {}, secrets=("very secret",))

    def run(candidate: str, champion: str | None, target: str, *checks: Check, **keys: Any) -> GateReport:
        names = {1: champion, 2: candidate}
        return evaluate(
            project,
            Gate("quality", "test.parquet", target, checks, **keys),
            Version("m", 2, 0.0),
            Version("m", 1, 0.0) if champion else None,
            fetch=lambda version: models[str(names[version.version])],
        )

    return run


def at_least(metric: str, limit: float, **more: Any) -> Check:
    return Check("metric", metric=metric, at_least=limit, **more)


def against(metric: str, **more: Any) -> Check:
    return Check("metric", metric=metric, compare="champion", margin=0.02, **more)


KINDS: dict[str, tuple[str, dict[str, Any], tuple[Check, ...]]] = {
    "kind": (
        "kind",
        {},
        (
            against("roc_auc"),
            against("f1", average="macro"),
            against("recall", of_class="top"),
            against("log_loss"),
            against("brier"),
        ),
    ),
    "kind-labels": ("kind", {}, (against("accuracy"), against("precision", average="weighted"))),
    "colours": ("red", {"targets": ("red", "blue")}, (against("f1", average="micro"), against("accuracy"))),
    "amount": (
        "amount",
        {"series": Series("shop", "day", "ahead", "before.parquet", 2)},
        (
            against("mase"),
            against("mae", horizon=2),
            against("smape"),
            against("median_ae"),
            against("pinball", quantile=0.7),
        ),
    ),
    "gain": ("gain", {"group": "query"}, (against("ndcg", k=5), against("map", k=5))),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_gate_of_every_kind_tells_the_better_model(gate: Callable[..., GateReport], kind: str) -> None:
    target, keys, checks = KINDS[kind]
    worse = gate(f"poor-{kind}", kind, target, *checks, **keys)
    assert [check.verdict for check in worse.checks] == [Verdict.FAIL] * len(checks), worse.checks
    better = gate(kind, f"poor-{kind}", target, *checks, **keys)
    assert better.verdict is Verdict.PASS
    for check in better.checks:
        assert check.low is not None and check.high is not None and -0.02 <= check.low <= check.high
    assert better.metrics, "every metric that these answers allow is in the report"


def test_names_and_numbers_of_the_options_are_in_the_report(gate: Callable[..., GateReport]) -> None:
    report = gate(
        "kind",
        None,
        "kind",
        at_least("f1", 0.5, average="macro"),
        at_least("recall", 0.1, of_class="mid", slices=("shop",)),
    )
    assert [(check.name, check.slice) for check in report.checks] == [
        ("f1 macro ≥ 0.5", ""),
        ("recall of class mid ≥ 0.1", "shop=n"),
        ("recall of class mid ≥ 0.1", "shop=s"),
    ]
    first = report.checks[0]
    assert first.value is not None and first.value_low is not None and first.value_high is not None
    assert first.value_low < first.value < first.value_high and f"interval {first.value_low:.4f}" in first.message
    assert {"f1 macro", "roc_auc macro", "accuracy", "log_loss", "ece"} <= set(report.metrics)
    written = "\n".join(gate_lines(report, ()))
    assert "f1 macro" in written and f"{first.value_low:.4g}" in written


def test_horizons_are_judged_one_by_one_as_slices(gate: Callable[..., GateReport]) -> None:
    series = Series("shop", "day", "ahead")
    report = gate(
        "amount", None, "amount", Check("metric", metric="mae", at_most=3.0, slices=("ahead",)), series=series
    )
    assert [check.slice for check in report.checks] == ["ahead=1", "ahead=2", "ahead=3"]
    missing = gate("amount", None, "amount", Check("metric", metric="mae", at_most=3.0, horizon=9), series=series)
    assert missing.checks[0].verdict is Verdict.ERROR and "no row looks 9 ahead" in missing.checks[0].message


def test_what_a_gate_cannot_know_is_an_error_that_names_the_key(gate: Callable[..., GateReport]) -> None:
    report = gate("gain", None, "gain", Check("latency", percentile="p95", at_most=9.0))
    assert report.verdict is Verdict.ERROR and "task: multiclass or task: regression" in report.checks[0].message
    report = gate("kind", None, "kind", at_least("accuracy", 0.1), classes=("low", "mid"))
    assert "has the class top, which is not said" in report.checks[0].message
    report = gate(
        "amount", None, "amount", Check("metric", metric="mase", at_most=1.0), series=Series(history="no.parquet")
    )
    assert "history no.parquet does not exist" in report.checks[0].message


METRICS_PY = """
    import os
    import pandas as pd

    LIMIT = int(os.environ.get("LIMIT", "0"))

    def profit(truth, answer, rows):
        assert isinstance(truth, pd.Series) and isinstance(rows, pd.DataFrame) and list(rows.index) == list(range(len(rows)))
        print("noise")
        return (5 - (truth - answer).abs()) * rows["cost"]

    def worst(truth, answer, rows):
        return (truth - answer).abs().max()

    def total(truth, answer, rows):
        rows["cost"] = 0  # harms nobody
        return float(((truth - answer).abs()).mean())

    def shape(truth, answer, rows):
        return [1, 2, 3]

    def nothing(truth, answer, rows):
        return float("nan")

    def gaps(truth, answer, rows):
        return rows["cost"].where(rows["cost"] > 1)

    def breaks(truth, answer, rows):
        return rows["price"]

    def tells(truth, answer, rows):
        raise ValueError("the key is very secret")

    def exits(truth, answer, rows):
        os._exit(7)

    def secret(truth, answer, rows):
        return LIMIT

    def columns(truth, answer, rows):
        return float(list(answer.columns) == ["0", "1", "2"] and answer.shape == (len(rows), 3))

    def turned(truth, answer, rows):
        return profit(truth, answer, rows).sort_values()
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "metrics.py").write_text(textwrap.dedent(METRICS_PY).lstrip())
    return tmp_path


def mine(name: str, **more: Any) -> Check:
    return Check("metric", metric=f"metrics.py:{name}", goal="maximize", **more)


def test_a_metric_of_the_projects_own_has_an_interval_and_slices(gate: Callable[..., GateReport], own: Path) -> None:
    checks = (
        mine("profit", at_least=1.0),
        mine("profit", compare="champion"),
        mine("profit", at_least=0.5, slices=("shop",)),
    )
    report = gate("amount", "poor-amount", "amount", *checks)
    assert [check.verdict for check in report.checks] == [Verdict.PASS] * 4, report.checks
    assert report.checks[0].name == "metrics.py:profit ≥ 1"
    compared = report.checks[1]
    assert compared.low is not None and compared.value is not None and compared.low > 0
    frame = table(0)
    assert compared.value == pytest.approx(float(np.mean((5 - abs(frame.amount - predicted(own))) * frame.cost)))
    assert gate("poor-amount", "amount", "amount", checks[1]).verdict is Verdict.FAIL
    turned = gate("amount", None, "amount", mine("turned", at_least=0.5, slices=("shop",)))
    assert [each.value for each in turned.checks] == [each.value for each in report.checks[2:]], "by their index"


def predicted(own: Path) -> Any:
    from sklearn.linear_model import LinearRegression

    train = table(1)
    return LinearRegression().fit(train[FEATURES], train.amount).predict(table(0)[FEATURES])


def test_a_number_is_computed_again_on_resamples(
    gate: Callable[..., GateReport], own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(functions, "RESAMPLES", 60)
    known = Check("metric", metric="mae", compare="champion", margin=0.02)
    check = Check("metric", metric="metrics.py:total", goal="minimize", compare="champion", margin=0.02)
    sliced = Check("metric", metric="metrics.py:total", goal="minimize", at_most=2.0, slices=("shop",))
    report = gate("amount", "poor-amount", "amount", known, check, sliced)
    expected, found, *slices = report.checks
    assert found.value == pytest.approx(expected.value) and found.baseline == pytest.approx(expected.baseline)
    assert found.low is not None and expected.low is not None and found.low == pytest.approx(expected.low, rel=0.1)
    assert [each.verdict for each in slices] == [Verdict.PASS] * 2
    assert sum(float(each.value or 0) for each in slices) / 2 == pytest.approx(found.value)


def test_it_gets_the_answers_as_the_model_gave_them(
    gate: Callable[..., GateReport], own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(functions, "RESAMPLES", 41)
    monkeypatch.setenv("LIMIT", "3")
    # A target that may mean several things is no matter where only functions look at it.
    report = gate("kind", None, "kind", mine("columns", at_least=1.0), mine("secret", at_least=3.0))
    assert [check.verdict for check in report.checks] == [Verdict.PASS] * 2, report.checks


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("breaks", "metrics.py failed: metrics.py:28: KeyError: 'price'"),
        ("tells", "metrics.py:31: ValueError: the key is ***."),
        ("shape", "returned a list of 3 values: it has to return a number, or one for each of 900 rows"),
        ("nothing", "it returned nan"),
        ("gaps", "values that it returned are missing or infinite"),
        ("exits", "its process ended with exit code 7"),
        ("luck", "has no function 'luck'. It has: breaks, columns"),
    ],
)
def test_what_goes_wrong_in_it_is_said_with_its_place(
    gate: Callable[..., GateReport], own: Path, name: str, words: str
) -> None:
    check = gate("amount", None, "amount", mine(name, at_least=0.0)).checks[0]
    assert check.verdict is Verdict.ERROR and words in check.message, check.message
    assert "Traceback" not in check.message and str(own) not in check.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def profit(:\n", "metrics.py:1: SyntaxError"),
        ("import nowhere_at_all\n", "metrics.py:1: ModuleNotFoundError"),
        (None, "no such file"),
    ],
)
def test_a_file_that_does_not_load(
    gate: Callable[..., GateReport], tmp_path: Path, text: str | None, words: str
) -> None:
    if text is not None:
        (tmp_path / "metrics.py").write_text(text)
    check = gate("amount", None, "amount", mine("profit", at_least=0.0)).checks[0]
    assert check.verdict is Verdict.ERROR and words in check.message, check.message


def test_one_that_hangs_or_says_much_is_ended(
    gate: Callable[..., GateReport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = scaled(3.0)
    monkeypatch.setattr(functions, "CALL_TIMEOUT", limit)
    (tmp_path / "metrics.py").write_text(
        "import os, sys, time\nsys.stderr.write('y' * 3_000_000)\n"
        "def hangs(truth, answer, rows):\n    print(os.getpid())\n    time.sleep(600)\n"
    )
    check = gate("amount", None, "amount", mine("hangs", at_least=0.0)).checks[0]
    assert check.verdict is Verdict.ERROR and f"no answer within {limit:g} s" in check.message


def test_what_one_function_does_to_the_process_is_not_told_of_the_next(
    gate: Callable[..., GateReport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is the answer that came too late taken for that of the next one."""
    limit = scaled(3.0)
    monkeypatch.setattr(functions, "CALL_TIMEOUT", limit)
    (tmp_path / "metrics.py").write_text(
        "import os, time\n"
        "def exits(truth, answer, rows):\n    os._exit(7)\n"
        f"def late(truth, answer, rows):\n    time.sleep({limit + 0.5})\n    return truth * 0 + 111.0\n"
        "def two(truth, answer, rows):\n    return truth * 0 + 2.0\n"
    )
    checks = [mine(name, at_least=0.0) for name in ("exits", "late", "two", "nope")]
    exits, late, two, nope = gate("amount", None, "amount", *checks).checks
    assert "ended with exit code 7" in exits.message and f"no answer within {limit:g} s" in late.message
    assert (two.verdict, two.value) == (Verdict.PASS, 2.0), two.message
    assert "has no function 'nope'" in nope.message


def test_numbers_of_any_size_are_told_as_what_they_are(gate: Callable[..., GateReport], tmp_path: Path) -> None:
    (tmp_path / "costs.py").write_text("def tiny(truth, answer, rows):\n    return (truth - answer).abs() * 1e-7\n")
    same = Check("metric", metric="costs.py:tiny", compare="champion", goal="minimize", at_most=1.0)
    found = gate("amount", "poor-amount", "amount", same)
    assert len(found.checks) == 2 and all(each.verdict is Verdict.PASS for each in found.checks), found
    assert all("e-0" in each.message and "0.0000" not in each.message for each in found.checks), found
