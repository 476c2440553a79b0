"""Every metric against scikit-learn's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from podium.core.quality.answers import PROBABILITY, truth_of
from podium.core.quality.answers import answers_of as interpreted
from podium.core.quality.metrics import MAXIMIZE, METRICS, ModelAnswers, Unmeasurable, measure, named
from podium.core.quality.outputs import Output
from sklearn import metrics as reference

BINARY = {
    "roc_auc": lambda y, p: reference.roc_auc_score(y, p),
    "accuracy": lambda y, p: reference.accuracy_score(y, p >= 0.5),
    "precision": lambda y, p: reference.precision_score(y, p >= 0.5, zero_division=0),
    "recall": lambda y, p: reference.recall_score(y, p >= 0.5, zero_division=0),
    "f1": lambda y, p: reference.f1_score(y, p >= 0.5, zero_division=0),
    "log_loss": lambda y, p: reference.log_loss(y, p, labels=[0, 1]),
    "brier": lambda y, p: reference.brier_score_loss(y, p),
}
NUMBERS = {
    "rmse": lambda y, p: reference.mean_squared_error(y, p) ** 0.5,
    "mae": lambda y, p: reference.mean_absolute_error(y, p),
    "r2": lambda y, p: reference.r2_score(y, p),
}


def answers_of(returned: object, truth: np.ndarray, classes: tuple[object, ...], said: str = "") -> ModelAnswers:
    return interpreted(Output.of(returned), truth, classes, said=said)


def binary(truth: object, scores: object) -> ModelAnswers:
    return answers_of(np.asarray(scores, dtype=float), np.asarray(truth, dtype=float), (0, 1), PROBABILITY)


def test_every_metric_is_compared_with_a_reference() -> None:
    assert set(BINARY) | set(NUMBERS) == set(METRICS)


SCORED = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 20).map(lambda number: number / 20)), min_size=2, max_size=60
)
MEASURED = st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=3, max_size=60)


@settings(max_examples=60, deadline=None)
@given(SCORED.filter(lambda rows: len({truth for truth, _ in rows}) == 2))
def test_classification_agrees_with_scikit_learn(rows: list[tuple[int, float]]) -> None:
    truth, scores = (np.asarray(column, dtype=float) for column in zip(*rows, strict=True))
    for name, expected in BINARY.items():
        assert measure(METRICS[name], binary(truth, scores)) == pytest.approx(expected(truth, scores), abs=1e-9), name


@settings(max_examples=60, deadline=None)
@given(MEASURED.filter(lambda rows: float(np.std([truth for truth, _ in rows])) > 1e-3), st.sampled_from([0.0, 1e6]))
def test_regression_agrees_with_scikit_learn(rows: list[tuple[float, float]], shift: float) -> None:
    truth, answers = (np.asarray(column) + shift for column in zip(*rows, strict=True))
    for name, expected in NUMBERS.items():
        value = measure(METRICS[name], answers_of(answers, truth, ()))
        assert value == pytest.approx(expected(truth, answers), rel=1e-6, abs=1e-6), name


def test_direction_is_the_metrics_own() -> None:
    assert {name for name, metric in METRICS.items() if metric.goal == MAXIMIZE} == {
        "roc_auc",
        "accuracy",
        "precision",
        "recall",
        "f1",
        "r2",
    }
    assert named("rmse", "minimize").sign == -1.0
    with pytest.raises(Unmeasurable, match="lower"):
        named("rmse", "maximize")
    with pytest.raises(Unmeasurable, match="does not know"):
        named("auprc")


@pytest.mark.parametrize("name", sorted(METRICS))
def test_no_rows_is_not_a_figure(name: str) -> None:
    nothing = np.zeros(0)
    answers = binary(nothing, nothing) if name in BINARY else answers_of(nothing, nothing, ())
    with pytest.raises(Unmeasurable):
        measure(METRICS[name], answers)


def test_one_class_has_no_area_and_a_constant_target_no_r2() -> None:
    with pytest.raises(Unmeasurable, match="both classes"):
        measure(METRICS["roc_auc"], binary([1, 1, 1], [0.1, 0.2, 0.3]))
    with pytest.raises(Unmeasurable, match="not defined"):
        measure(METRICS["r2"], answers_of(np.asarray([1.0, 2.0]), np.asarray([3.0, 3.0]), ()))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_missing_answers_never_become_a_figure(bad: float) -> None:
    with pytest.raises(Unmeasurable, match="1 of 3 answers are missing"):
        binary([0, 1, 1], [0.1, bad, 0.3])


def test_labels_are_told_from_scores() -> None:
    truth = np.asarray([0.0, 1.0, 1.0])
    labels = answers_of(np.asarray([0, 1, 0]), truth, (0, 1))
    assert measure(METRICS["recall"], labels) == 0.5
    with pytest.raises(Unmeasurable, match="labels only") as caught:
        measure(METRICS["roc_auc"], labels)
    assert "predict_proba" in caught.value.hint
    table = answers_of(np.asarray([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), truth, (0, 1))
    assert measure(METRICS["roc_auc"], table) == 1.0
    margins = answers_of(np.asarray([-2.0, 3.0, 1.0]), truth, (0, 1))
    assert measure(METRICS["roc_auc"], margins) == 1.0
    for name in ("recall", "log_loss"):
        with pytest.raises(Unmeasurable, match="outside 0"):
            measure(METRICS[name], margins)


def test_targets_of_every_kind() -> None:
    import pandas

    truth, classes = truth_of(pandas.Series(["no", "yes", "no"]), "late")
    assert (truth.tolist(), classes) == ([0, 1, 0], ("no", "yes"))
    assert measure(
        METRICS["accuracy"], answers_of(np.asarray(["no", "yes", "yes"], dtype=object), truth, classes)
    ) == pytest.approx(2 / 3)
    assert truth_of(pandas.Series([True, False]), "late")[0].tolist() == [1, 0]
    assert truth_of(pandas.Series([1.5, 2.5, 3.5]), "delay")[1] == ()
    assert truth_of(pandas.Series([1, 1]), "late")[0].tolist() == [1, 1]
    with pytest.raises(Unmeasurable, match="missing in 1 of 2"):
        truth_of(pandas.Series([1, None]), "late")
    with pytest.raises(Unmeasurable, match="3 classes"):
        truth_of(pandas.Series(["a", "b", "c"]), "late")
    with pytest.raises(Unmeasurable, match="2 answers for 3 rows"):
        answers_of(np.asarray([0.1, 0.2]), np.asarray([0.0, 1.0, 1.0]), (0, 1))
    with pytest.raises(Unmeasurable, match="3 numbers a row"):
        answers_of(np.zeros((3, 3)), np.asarray([0.0, 1.0, 1.0]), (0, 1))
    with pytest.raises(Unmeasurable, match="none of the target's classes"):
        answers_of(np.asarray(["no", "maybe", "yes"]), truth, classes)


def test_a_target_of_more_than_two_classes_is_called_that() -> None:
    classes = ModelAnswers(np.array([0.0, 1.0, 2.0, 1.0]), np.zeros(4), None, binary=False)
    with pytest.raises(Unmeasurable, match="a target with 3 classes: a gate measures two classes or a number"):
        measure(named("accuracy"), classes)
    numbers = ModelAnswers(np.array([0.1, 1.0, 2.0]), np.zeros(3), None, binary=False)
    with pytest.raises(Unmeasurable, match="a target that is a number"):
        measure(named("accuracy"), numbers)
