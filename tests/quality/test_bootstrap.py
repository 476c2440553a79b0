"""The interval: does it cover, is it paired, does it know which way is better, is it fast enough."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from podium.core.domain.metrics import MULTICLASS
from podium.core.domain.verdicts import Verdict
from podium.core.quality import resampling
from podium.core.quality.bootstrap import MetricDifference, difference, holm, interval
from podium.core.quality.metric_checks import judge
from podium.core.quality.metrics import METRICS, ModelAnswers, Options, Units, curves, measure, named, statistics
from sklearn.metrics import roc_auc_score

from tests.quality.reading import of_two, read, read_truth
from tests.support import calls


def classifier(generator: np.random.Generator, truth: np.ndarray, hardness: np.ndarray, skill: float) -> ModelAnswers:
    scores = 1 / (1 + np.exp(-(skill * (2 * truth - 1) + hardness + 0.5 * generator.normal(size=len(truth)))))
    return read(scores, of_two(truth))


def pair(seed: int, rows: int, one: float, other: float) -> tuple[ModelAnswers, ModelAnswers]:
    generator = np.random.default_rng(seed)
    truth = (np.arange(rows) < 0.3 * rows).astype(float)
    hardness = generator.normal(size=rows)
    return classifier(generator, truth, hardness, one), classifier(generator, truth, hardness, other)


@pytest.mark.parametrize("name", ["roc_auc", "log_loss", "recall"])
def test_the_interval_covers_the_true_difference_about_as_often_as_it_says(name: str) -> None:
    metric = METRICS[name]
    large = pair(999, 400_000, 0.9, 0.7)
    truth = metric.merit(measure(metric, large[0])) - metric.merit(measure(metric, large[1]))
    trials = 150
    covered = 0
    for seed in range(trials):
        found = difference(metric, *pair(seed, 400, 0.9, 0.7), resamples=200, seed=seed)
        covered += found.low <= truth <= found.high
    # 150 trials at 95 %: fewer than 90 % would be seen less than once in a hundred series; the seeds are fixed.
    assert 0.90 <= covered / trials <= 0.995


def test_pairing_narrows_the_interval() -> None:
    one, other = pair(1, 2000, 0.9, 0.85)
    shuffled = pair(2, 2000, 0.9, 0.85)[1]
    unpaired = read(np.resize(shuffled.scores, other.rows), of_two(one.truth))
    paired = difference(METRICS["log_loss"], one, other, resamples=300)
    apart = difference(METRICS["log_loss"], one, unpaired, resamples=300)
    assert paired.error < 0.5 * apart.error


@pytest.mark.parametrize("name", ["roc_auc", "accuracy", "f1", "log_loss", "brier"])
def test_better_is_positive_whichever_way_the_metric_points(name: str) -> None:
    good, bad = pair(3, 3000, 1.5, 0.3)
    assert difference(METRICS[name], good, bad, resamples=200).low > 0
    assert difference(METRICS[name], bad, good, resamples=200).high < 0


def test_regression_too() -> None:
    generator = np.random.default_rng(4)
    truth = generator.normal(size=2000) * 10
    good, bad = (read(truth + noise * generator.normal(size=2000), read_truth(truth)) for noise in (1.0, 3.0))
    for name in ("rmse", "mae", "r2"):
        assert difference(METRICS[name], good, bad, resamples=200).low > 0


def test_the_same_answers_differ_by_nothing_and_seeds_repeat() -> None:
    one, other = pair(5, 500, 0.9, 0.8)
    same = difference(METRICS["roc_auc"], one, one, resamples=100)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    assert judge(same, 0.0) is Verdict.PASS
    first, again = (difference(METRICS["roc_auc"], one, other, resamples=100) for _ in range(2))
    assert first == again


def test_drawing_fewer_rows_gives_the_same_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = pair(6, 20_000, 0.9, 0.8)
    names = ("roc_auc", "log_loss")
    whole = {name: difference(METRICS[name], one, other, resamples=400) for name in names}
    monkeypatch.setattr(resampling, "MAX_RESAMPLED_ROWS", 4000)
    monkeypatch.setattr(statistics, "MAX_GROUPS", 1000)
    drawn = {name: difference(METRICS[name], one, other, resamples=400) for name in names}
    for name in names:
        assert drawn[name].value == whole[name].value
        assert drawn[name].error == pytest.approx(whole[name].error, rel=0.2)
        assert drawn[name].low == pytest.approx(whole[name].low, abs=1.0 * whole[name].error)


def test_two_thousand_resamples_of_twenty_thousand_rows_take_seconds() -> None:
    """Since rows are counted by NumPy: nothing is called for each of the forty million that are drawn."""
    one, other = pair(7, 20_000, 0.9, 0.8)
    assert calls(lambda: difference(METRICS["roc_auc"], one, other)) < 400_000


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.004, 0.01, Verdict.PASS),
        (-0.005, 0.01, Verdict.PASS),
        (-0.02, 0.01, Verdict.INCONCLUSIVE),
        (-0.02, -0.006, Verdict.FAIL),
    ],
)
def test_the_verdict_asks_where_the_interval_lies(low: float, high: float, verdict: Verdict) -> None:
    assert judge(MetricDifference((low + high) / 2, low, high, 0.01, 0.02, 100), 0.005) is verdict


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_never_lowers_a_p_value_and_keeps_their_order(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(after >= before for before, after in zip(p_values, adjusted, strict=True))
    bonferroni = [min(1.0, each * len(p_values)) for each in p_values]
    assert all(after <= most + 1e-12 for most, after in zip(bonferroni, adjusted, strict=True))
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    assert [adjusted[index] for index in order] == sorted(adjusted)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def of_many(seed: int, classes: int, rows: int, groups: bool = False, skill: float = 1.5) -> ModelAnswers:
    generator = np.random.default_rng(seed)
    truth = generator.choice(classes, rows, p=generator.dirichlet(np.full(classes, 2.0)))
    scores = generator.normal(size=(rows, classes))
    scores[np.arange(rows), truth] += skill
    scores = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    units = Units(groups=np.arange(rows) // 4) if groups else Units()
    return ModelAnswers(truth, scores.round(4), None, MULTICLASS, tuple(range(classes)), True, units)


@pytest.mark.parametrize("groups", [False, True])
@pytest.mark.parametrize("average", ["macro", "weighted", "micro"])
def test_curves_of_many_classes_have_the_interval_of_all_curves_again(
    monkeypatch: pytest.MonkeyPatch, average: str, groups: bool
) -> None:
    one, other = of_many(1, 24, 1600, groups), of_many(1, 24, 1600, groups, skill=1.3)
    metric = named("roc_auc", "", Options(average=average))
    quick, compared = interval(metric, one, resamples=800), difference(metric, one, other, resamples=800)
    monkeypatch.setattr(curves, "MAX_CURVES", 1000)
    assert quick.error == pytest.approx(interval(metric, one, resamples=800).error, rel=0.06)
    again = difference(metric, one, other, resamples=800)
    assert compared.value == again.value
    assert compared.error == pytest.approx(again.error, rel=0.08)
    assert (compared.low, compared.high) == pytest.approx((again.low, again.high), abs=0.4 * again.error)


def test_300_classes_are_scikit_learns_value_and_are_ranked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = of_many(2, 300, 1200)
    there = np.unique(answers.truth)
    exact = roc_auc_score(np.equal.outer(answers.truth, there), answers.scores[:, there], average="macro")
    metric = named("roc_auc")
    ranked: list[int] = []
    rank = curves.below_and_above
    monkeypatch.setattr(curves, "below_and_above", lambda *given: (ranked.append(1), rank(*given))[1])
    found = interval(metric, answers)
    assert measure(metric, answers) == pytest.approx(exact, abs=1e-12)
    assert found.low < exact < found.high and len(ranked) == len(there)


def test_many_classes_are_drawn_as_few_are() -> None:
    """Each resample has as many rows of each class as there are, and each row of a class is as likely as another."""
    answers = of_many(3, 40, 600)
    counts = np.zeros(answers.rows)
    for draw in resampling.draws(answers, 300, 1):
        assert (np.sort(answers.truth[draw.rows]) == np.sort(answers.truth)).all()
        counts += np.bincount(draw.rows, minlength=answers.rows)
    assert counts.min() / 300 > 0.7 and counts.max() / 300 < 1.35
