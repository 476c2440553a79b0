"""Quality of labelled requests, and what is estimated without labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from podium.core.domain.labels import NewLabel
from podium.core.domain.monitoring import Measurement
from podium.core.domain.project import Project
from podium.core.domain.verdicts import GateReport, Verdict
from podium.core.journal import Journal
from podium.core.labels.store import LabelStore
from podium.core.monitoring import estimated, realised
from podium.core.monitoring.moment import Moment, measured
from podium.core.monitoring.statistics import cbpe

from .conftest import Write
from .test_drift import capture

GATE = "gates: {q: {data: test.csv, target: late, answers: probability, checks: [{metric: roc_auc, at_least: 0.5}]}}\n"


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cbpe, "RESAMPLES", 60)


@pytest.fixture
def project(write: Write, tmp_path: Path) -> Callable[[str], Project]:
    pd.DataFrame({"x": [1, 2, 3, 4], "late": [0, 1, 0, 1]}).to_csv(tmp_path / "test.csv", index=False)
    return lambda text: write(GATE + f"monitors: {{m: {{environment: production, {text}, gate: q}}}}\n")


def measure(project: Project, journal: Journal, kind: Callable[[Moment], Measurement]) -> Measurement:
    return measured(Moment(project, journal, project.monitors["m"]), kind)


def serve(home: Path, number: int, *, seed: int, ago: float, power: float = 1.0, flipped: bool = False) -> list[int]:
    """Answers requests with probabilities; returns the truth, which they tell as well as their `power` says."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 1.5, number)
    said = 1 / (1 + np.exp(-power * odds))
    chances = 1 / (1 + np.exp(odds if flipped else -odds))
    answers = [round(float(each), 4) for each in said]
    capture(home, [{"x": place} for place in range(number)], ago=ago, answers=answers)
    return [int(each) for each in rng.random(number) < chances]


def label(project: Project, truth: Sequence[int | list[int]]) -> None:
    with LabelStore.open(project.state, "production") as store:
        store.collect()
        known = [each for each in store.requests() if not each.labelled]
        store.add([NewLabel(value, id=each.id) for value, each in zip(truth, known, strict=False)], "test")


def test_quality_is_the_gates_metric_beside_its_value_when_promoted(
    project: Callable[[str], Project], journal: Journal, tmp_path: Path
) -> None:
    shop = project("quality: roc_auc")
    assert measure(shop, journal, realised.measure).message == "no request to version 3 has a label"
    label(shop, serve(tmp_path, 60, seed=1, ago=10.0))
    journal.gates.add(GateReport("q", "shop", 3, None, Verdict.PASS, (), 0.0, metrics={"roc_auc": 0.91}))
    found = measure(shop, journal, realised.measure)
    assert found.value is not None and found.low is not None and found.high is not None, found.message
    assert 0.6 < found.low < found.value < found.high and found.baseline == 0.91
    assert (found.rows, found.warnings) == (60, ("only 60 rows have a label",))
    accuracy = measure(project("quality: accuracy"), journal, realised.measure)
    assert accuracy.value is not None and 0.5 < accuracy.value < 1.0


def test_a_window_of_one_class_is_no_other_task(
    project: Callable[[str], Project], journal: Journal, tmp_path: Path
) -> None:
    shop = project("quality: accuracy")
    serve(tmp_path, 20, seed=1, ago=10.0)
    label(shop, [0] * 20)
    assert measure(shop, journal, realised.measure).value is not None
    found = measure(project("quality: roc_auc"), journal, realised.measure)
    assert found.value is None and "both classes" in found.message


def test_an_estimate_is_near_the_truth_and_says_what_it_stands_on(
    project: Callable[[str], Project], journal: Journal, tmp_path: Path
) -> None:
    shop = project("estimate: accuracy, window: 400")
    assert measure(shop, journal, estimated.measure).message == "no request to version 3 was answered"
    truth = serve(tmp_path, 400, seed=2, ago=50.0)
    plain = measure(shop, journal, estimated.measure)
    assert plain.value is not None and "probabilities are not calibrated: 0 rows have labels" in plain.warnings[0]
    label(shop, truth)
    later = serve(tmp_path, 400, seed=3, ago=10.0)
    found = measure(shop, journal, estimated.measure)
    assert found.value is not None and found.low is not None and found.high is not None
    assert found.warnings == () and found.rows == 400
    label(shop, later)
    real = measure(project("quality: accuracy, window: 400"), journal, realised.measure)
    assert real.value is not None and found.low <= real.value <= found.high


def test_an_estimate_says_when_the_truth_has_turned(
    project: Callable[[str], Project], journal: Journal, tmp_path: Path
) -> None:
    shop = project("estimate: accuracy, window: 100")
    label(shop, serve(tmp_path, 400, seed=2, ago=90.0))
    label(shop, serve(tmp_path, 100, seed=3, ago=50.0, flipped=True))
    serve(tmp_path, 100, seed=4, ago=10.0, power=4.0)
    found = measure(shop, journal, estimated.measure)
    assert any("it does not hold now" in each for each in found.warnings)
    assert any("scores have drifted" in each for each in found.warnings)
    assert any("only 100 rows" in each for each in found.warnings)


def test_answers_that_are_no_probabilities_are_refused(
    project: Callable[[str], Project], journal: Journal, tmp_path: Path
) -> None:
    shop = project("estimate: f1")
    capture(tmp_path, [{"x": 1}] * 30, answers=["late", "in time"] * 15)
    found = measure(shop, journal, estimated.measure)
    assert found.value is None and found.message


def test_a_window_of_rows_is_of_rows_also_where_a_request_has_several(
    project: Callable[[str], Project], journal: Journal, tmp_path: Path
) -> None:
    answers = [0.9, 0.1] * 60
    capture(tmp_path, [{"x": place} for place in range(120)], answers=answers, together=6)
    shop = project("quality: accuracy, window: 45")
    label(shop, [[0, 1] * 3] * 15 + [[1, 0] * 3] * 5)  # wrong until the newest 30
    found = measure(shop, journal, realised.measure)
    assert (found.rows, found.value) == (45, pytest.approx(30 / 45))
    assert measure(project("estimate: accuracy, window: 45"), journal, estimated.measure).rows == 45


@pytest.mark.parametrize(
    ("text", "kind", "of"),
    [
        ("quality: accuracy, at_least: 61", realised.measure, "requests to version 3 have a label"),
        ("estimate: accuracy, at_least: 61", estimated.measure, "requests to version 3 were answered"),
    ],
)
def test_of_fewer_rows_than_asked_for_nothing_is_measured(
    project: Callable[[str], Project],
    journal: Journal,
    tmp_path: Path,
    text: str,
    kind: Callable[[Moment], Measurement],
    of: str,
) -> None:
    label(project(text), serve(tmp_path, 60, seed=1, ago=10.0))
    found = measure(project(text), journal, kind)
    assert (found.value, found.message) == (None, f"60 rows of {of}, fewer than 61")
    assert measure(project(text.replace("61", "60")), journal, kind).value is not None
