"""Every metric against scikit-learn's, on random answers, as the value of all rows and as its quick form on any rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from podium.core.domain.metrics import FACTS, MAXIMIZE, MULTICLASS, MULTILABEL, RANKING, REGRESSION, TEXT
from podium.core.quality.answers import PROBABILITY
from podium.core.quality.metrics import METRICS, Metric, ModelAnswers, Options, Units, Unmeasurable, measure, named
from podium.core.quality.metrics.words import shared
from sklearn import metrics as reference
from sklearn.linear_model import LogisticRegression

from tests.quality.reading import of_two, read, read_truth

GENERATOR_SEED = 5


def on(metric: Metric, answers: ModelAnswers, rows: Any = None) -> float:
    """The quick form's value, on all rows or some."""
    chosen = np.arange(answers.rows) if rows is None else np.asarray(rows)
    return metric.statistic(answers, metric.options).value(chosen)


def binary(truth: object, scores: object) -> ModelAnswers:
    return read(np.asarray(scores, dtype=float), of_two(truth), PROBABILITY)


def with_options(name: str, **options: Any) -> Metric:
    return named(name, "", Options(**options))


BINARY = {
    "roc_auc": reference.roc_auc_score,
    "accuracy": lambda y, p: reference.accuracy_score(y, p >= 0.5),
    "precision": lambda y, p: reference.precision_score(y, p >= 0.5, zero_division=0),
    "recall": lambda y, p: reference.recall_score(y, p >= 0.5, zero_division=0),
    "f1": lambda y, p: reference.f1_score(y, p >= 0.5, zero_division=0),
    "log_loss": lambda y, p: reference.log_loss(y, p, labels=[0, 1]),
    "brier": reference.brier_score_loss,
}
NUMBERS = {
    "rmse": lambda y, p: reference.mean_squared_error(y, p) ** 0.5,
    "mae": reference.mean_absolute_error,
    "median_ae": reference.median_absolute_error,
    "mape": reference.mean_absolute_percentage_error,
    "r2": reference.r2_score,
}
SCORED = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 20).map(lambda number: number / 20)), min_size=2, max_size=60
)
MEASURED = st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=3, max_size=60)


@settings(max_examples=60, deadline=None)
@given(SCORED.filter(lambda rows: len({truth for truth, _ in rows}) == 2))
def test_two_classes_agree_with_scikit_learn(rows: list[tuple[int, float]]) -> None:
    truth, scores = (np.asarray(column, dtype=float) for column in zip(*rows, strict=True))
    answers = binary(truth, scores)
    for name, expected in BINARY.items():
        assert measure(METRICS[name], answers) == pytest.approx(expected(truth, scores), abs=1e-9), name
        assert on(METRICS[name], answers) == pytest.approx(expected(truth, scores), abs=1e-9), name


@settings(max_examples=60, deadline=None)
@given(MEASURED.filter(lambda rows: float(np.std([truth for truth, _ in rows])) > 1e-3), st.sampled_from([0.0, 1e6]))
def test_numbers_agree_with_scikit_learn(rows: list[tuple[float, float]], shift: float) -> None:
    truth, answered = (np.asarray(column) + shift for column in zip(*rows, strict=True))
    answers = read(answered, read_truth(truth, task=REGRESSION))
    for name, expected in NUMBERS.items():
        for value in (measure(METRICS[name], answers), on(METRICS[name], answers)):
            assert value == pytest.approx(expected(truth, answered), rel=1e-6, abs=1e-6), name
    pinball = with_options("pinball", quantile=0.8)
    expected = reference.mean_pinball_loss(truth, answered, alpha=0.8)
    assert measure(pinball, answers) == pytest.approx(expected) == on(pinball, answers)


def several(seed: int, rows: int = 200, classes: int = 4) -> tuple[ModelAnswers, np.ndarray, np.ndarray]:
    """Answers for several classes, with the truth's class numbers and the probabilities."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, classes, rows)
    logits = generator.normal(size=(rows, classes)) + 1.5 * (truth[:, None] == np.arange(classes))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    names = np.asarray(list("abcdefgh"))[truth]
    return read(chances, read_truth(names, task=MULTICLASS)), truth, chances


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
def test_many_classes_agree_with_scikit_learn(seed: int, average: str) -> None:
    answers, truth, chances = several(seed)
    labels = chances.argmax(axis=1)
    drawn = np.random.default_rng(seed).integers(0, len(truth), len(truth))
    for name in ("precision", "recall", "f1"):
        score = getattr(reference, f"{name}_score")
        metric = with_options(name, average=average)
        assert measure(metric, answers) == pytest.approx(score(truth, labels, average=average, zero_division=0))
        assert on(metric, answers, drawn) == pytest.approx(
            score(truth[drawn], labels[drawn], average=average, zero_division=0)
        )
    area = with_options("roc_auc", average=average)
    expected = reference.roc_auc_score(truth, chances, multi_class="ovr", average=average)
    assert measure(area, answers) == pytest.approx(expected) == on(area, answers)


@pytest.mark.parametrize("seed", range(3))
def test_one_of_many_classes_and_all_of_them(seed: int) -> None:
    answers, truth, chances = several(seed)
    labels = chances.argmax(axis=1)
    for name in ("precision", "recall", "f1"):
        score = getattr(reference, f"{name}_score")(truth == 2, labels == 2)
        one = with_options(name, of_class="c")
        assert measure(one, answers) == pytest.approx(score) == on(one, answers)
    one = with_options("roc_auc", of_class="c")
    assert (
        measure(one, answers) == pytest.approx(reference.roc_auc_score(truth == 2, chances[:, 2])) == on(one, answers)
    )
    assert (
        measure(METRICS["accuracy"], answers)
        == pytest.approx((truth == labels).mean())
        == on(METRICS["accuracy"], answers)
    )
    loss = reference.log_loss(truth, chances)
    assert measure(METRICS["log_loss"], answers) == pytest.approx(loss) == on(METRICS["log_loss"], answers)
    squares = ((chances - np.eye(4)[truth]) ** 2).sum(axis=1).mean()  # scikit-learn 1.7 and later
    assert measure(METRICS["brier"], answers) == pytest.approx(squares)
    with pytest.raises(Unmeasurable, match="no class 'z'") as caught:
        measure(with_options("f1", of_class="z"), answers)
    assert "a, b, c, d" in caught.value.hint


def test_an_average_is_over_the_classes_that_occur() -> None:
    """A slice without a class is not judged by it."""
    answers, truth, chances = several(1)
    part = answers.only(truth < 3)
    labels, kept = chances.argmax(axis=1)[truth < 3], truth[truth < 3]
    for name in ("precision", "recall", "f1"):
        score = getattr(reference, f"{name}_score")(kept, labels, labels=[0, 1, 2], average="macro", zero_division=0)
        metric = with_options(name, average="macro")
        assert measure(metric, part) == pytest.approx(score) == on(metric, part)
    areas = [reference.roc_auc_score(kept == each, chances[truth < 3][:, each]) for each in range(3)]
    assert measure(METRICS["roc_auc"], part) == pytest.approx(np.mean(areas)) == on(METRICS["roc_auc"], part)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
def test_several_labels_agree_with_scikit_learn(seed: int, average: str) -> None:
    generator = np.random.default_rng(seed)
    truth = (generator.random((200, 3)) < [0.2, 0.5, 0.7]).astype(int)
    chances = np.clip(0.5 * truth + generator.random((200, 3)) * 0.6, 0, 1)
    frame = pandas.DataFrame(truth, columns=list("abc"))
    from podium.core.quality.target.truths import truth_of

    from tests.quality.reading import gate_of

    answers = read(chances, truth_of(gate_of(target="a", targets=("a", "b", "c")), frame))
    assert answers.task == MULTILABEL
    for name in ("precision", "recall", "f1"):
        expected = getattr(reference, f"{name}_score")(truth, chances >= 0.5, average=average, zero_division=0)
        metric = with_options(name, average=average)
        assert measure(metric, answers) == pytest.approx(expected) == on(metric, answers)
    area = with_options("roc_auc", average=average)
    assert measure(area, answers) == pytest.approx(reference.roc_auc_score(truth, chances, average=average))
    assert on(area, answers) == pytest.approx(measure(area, answers))
    subset = reference.accuracy_score(truth, chances >= 0.5)
    assert measure(METRICS["accuracy"], answers) == pytest.approx(subset) == on(METRICS["accuracy"], answers)


def ranking(truth: Any, scores: Any, groups: Any) -> ModelAnswers:
    units = Units(np.asarray(groups, dtype=np.intp))
    return ModelAnswers(np.asarray(truth, dtype=float), np.asarray(scores, dtype=float), None, RANKING, units=units)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 3)), min_size=8, max_size=60),
    st.sampled_from([None, 1, 3, 10]),
)
def test_ndcg_agrees_with_scikit_learn_with_ties_and_without_gains(
    rows: list[tuple[int, int, int]], k: int | None
) -> None:
    gains, scores, groups = (np.asarray(column) for column in zip(*rows, strict=True))
    each = [
        reference.ndcg_score([gains[groups == one]], [scores[groups == one]], k=k)
        for one in np.unique(groups)
        if (groups == one).sum() > 1
    ]
    answers = ranking(gains, scores, np.unique(groups, return_inverse=True)[1])
    if each:
        assert measure(with_options("ndcg", k=k), answers) == pytest.approx(np.mean(each))


def test_average_precision_is_scikit_learns_and_of_the_first_k_by_hand() -> None:
    generator = np.random.default_rng(2)
    groups = np.repeat(np.arange(20), 9)
    wanted, scores = (generator.random(180) < 0.4).astype(int), generator.random(180)
    wanted[::9] = 1
    each = [reference.average_precision_score(wanted[groups == one], scores[groups == one]) for one in range(20)]
    assert measure(METRICS["map"], ranking(wanted, scores, groups)) == pytest.approx(np.mean(each))
    answers = ranking([1, 0, 1, 1], [4, 3, 2, 1], [0] * 4)
    assert measure(with_options("map", k=3), answers) == pytest.approx((1 + 2 / 3) / 3)
    assert measure(with_options("map", k=1), answers) == 1.0
    # Of equal scores the unwanted rows come first: a model that answers all alike gains nothing.
    assert measure(METRICS["map"], ranking([1, 0, 0, 0], [1] * 4, [0] * 4)) == 0.25


def test_a_resample_of_queries_counts_each_as_often_as_it_is_drawn() -> None:
    answers = ranking([1, 0, 0, 1], [2, 1, 2, 1], [0, 0, 1, 1])
    metric = METRICS["ndcg"]
    first, second = (on(metric, answers, rows) for rows in ([0, 1], [2, 3]))
    assert on(metric, answers, [0, 1, 0, 1, 2, 3]) == pytest.approx((2 * first + second) / 3)
    with pytest.raises(Unmeasurable, match="query by query") as caught:
        measure(metric, ModelAnswers(answers.truth, answers.scores, None, RANKING))
    assert "group" in caught.value.hint


def test_the_calibration_error_by_its_definition() -> None:
    generator = np.random.default_rng(3)
    chances = generator.random(500)
    truth = (generator.random(500) < chances**2).astype(float)
    bins = np.minimum((chances * 15).astype(int), 14)
    expected = sum(
        (bins == each).mean() * abs(truth[bins == each].mean() - chances[bins == each].mean())
        for each in np.unique(bins)
    )
    assert measure(METRICS["ece"], binary(truth, chances)) == pytest.approx(expected)
    answers, numbers, many = several(4)
    top = (many.argmax(axis=1) == numbers).astype(float)
    assert measure(METRICS["ece"], answers) == pytest.approx(measure(METRICS["ece"], binary(top, many.max(axis=1))))
    assert measure(METRICS["ece"], binary([0, 1, 1], [0.0, 1.0, 1.0])) == 0.0


@pytest.mark.parametrize("power", [0.4, 1.0, 2.5])
def test_the_calibration_slope_is_that_of_a_logistic_regression(power: float) -> None:
    generator = np.random.default_rng(7)
    odds = generator.normal(size=4000)
    truth = (generator.random(4000) < 1 / (1 + np.exp(-power * odds - 0.3))).astype(float)
    answers = binary(truth, 1 / (1 + np.exp(-odds)))
    fitted = LogisticRegression(C=1e12, tol=1e-10, max_iter=1000).fit(odds[:, None], truth).coef_[0, 0]
    assert measure(METRICS["calibration_slope"], answers) == pytest.approx(fitted, rel=1e-4)
    assert on(METRICS["calibration_slope"], answers) == pytest.approx(fitted, rel=1e-3)


@pytest.mark.parametrize(
    ("truth", "chances"), [([0, 1, 1], [0.5] * 3), ([0, 0, 0], [0.1, 0.2, 0.3]), ([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])]
)
def test_a_slope_that_does_not_exist_is_no_figure(truth: list[int], chances: list[float]) -> None:
    with pytest.raises(Unmeasurable, match="calibration_slope is not defined"):
        measure(METRICS["calibration_slope"], binary(truth, chances))


def test_the_best_slope_is_one() -> None:
    metric = METRICS["calibration_slope"]
    assert metric.merit(1.0) > metric.merit(0.9) > metric.merit(2.0)
    assert metric.merit(0.9) == pytest.approx(metric.merit(1.1))
    with pytest.raises(Unmeasurable, match="the nearer to 1"):
        named("calibration_slope", MAXIMIZE)


def test_smape_and_mase_by_hand() -> None:
    answers = read([1.0, 0.0, 4.0], read_truth([3.0, 0.0, 2.0], task=REGRESSION))
    assert measure(METRICS["smape"], answers) == pytest.approx((1 + 0 + 2 / 3) / 3)
    from dataclasses import replace

    forecast = replace(answers, task="forecasting", scale=np.asarray([2.0, 1.0, 4.0]))
    assert measure(METRICS["mase"], forecast) == pytest.approx((1 + 0 + 0.5) / 3)
    with pytest.raises(Unmeasurable, match="naive forecast"):
        measure(METRICS["mase"], replace(forecast, scale=None))


@pytest.mark.parametrize(
    ("truth", "answer", "value"),
    [
        ("The cat sat.", "cat sat", 1.0),
        ("cat sat", "a cat", 2 / 3),
        ("cat", "dog", 0.0),
        ("the", "", 1.0),
        ("cat", "", 0.0),
        ("the the cat", "cat cat", 2 / 3),
        ("Zoë", "Zoe\u0308", 1.0),
    ],
)
def test_words_in_common(truth: str, answer: str, value: float) -> None:
    assert shared(truth, answer) == pytest.approx(value)


def test_text_is_compared_as_it_is() -> None:
    answers = read(["yes ", "No", "Zoe\u0308"], read_truth(["yes", "no", "Zoë"], task=TEXT))
    assert measure(METRICS["exact_match"], answers) == pytest.approx(2 / 3)
    assert measure(METRICS["token_f1"], answers) == 1.0


def test_every_known_metric_is_computed() -> None:
    assert set(METRICS) == set(FACTS)
    assert named("rmse", "minimize").merit(2.0) == -2.0
    with pytest.raises(Unmeasurable, match="lower"):
        named("rmse", "maximize")
    with pytest.raises(Unmeasurable, match="does not know"):
        named("auprc")


@pytest.mark.parametrize("name", [name for name, facts in FACTS.items() if "binary" in facts.tasks])
def test_no_rows_is_not_a_figure(name: str) -> None:
    with pytest.raises(Unmeasurable, match="no rows"):
        measure(METRICS[name], binary([], []))


def test_one_class_has_no_area_and_a_constant_target_no_r2() -> None:
    with pytest.raises(Unmeasurable, match="both classes"):
        measure(METRICS["roc_auc"], binary([1, 1, 1], [0.1, 0.2, 0.3]))
    with pytest.raises(Unmeasurable, match="not defined"):
        measure(METRICS["r2"], read([1.0, 2.0], read_truth([3.5, 3.5])))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_missing_answers_never_become_a_figure(bad: float) -> None:
    with pytest.raises(Unmeasurable, match="1 of 3 answers are missing"):
        binary([0, 1, 1], [0.1, bad, 0.3])


def test_labels_are_told_from_scores() -> None:
    truth = of_two([0, 1, 1])
    labels = read([0, 1, 0], truth)
    assert measure(METRICS["recall"], labels) == 0.5
    with pytest.raises(Unmeasurable, match="labels only") as caught:
        measure(METRICS["roc_auc"], labels)
    assert "predict_proba" in caught.value.hint
    assert measure(METRICS["roc_auc"], read([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], truth)) == 1.0
    margins = read([-2.0, 3.0, 1.0], truth)
    assert measure(METRICS["roc_auc"], margins) == 1.0
    for name in ("recall", "log_loss"):
        with pytest.raises(Unmeasurable, match="outside 0"):
            measure(METRICS[name], margins)


def test_a_metric_of_another_kind_of_model_says_which_key_settles_it() -> None:
    with pytest.raises(Unmeasurable, match="rmse cannot be measured on a classifier with two classes") as caught:
        measure(named("rmse"), binary([0, 1], [0.2, 0.8]))
    assert "task:" in caught.value.hint and "regression or forecasting" in caught.value.hint
    with pytest.raises(Unmeasurable, match="a target that is a number"):
        measure(named("accuracy"), read([0.5, 1.0], read_truth([0.1, 1.5])))
    answers, _, _ = several(0)
    with pytest.raises(Unmeasurable, match="average or that of one"):
        measure(named("f1"), answers)
