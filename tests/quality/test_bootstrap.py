"""The interval: does it cover, is it paired, does it know which way is better, is it fast enough."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from podium.core.domain.verdicts import Verdict
from podium.core.quality import bootstrap
from podium.core.quality.answers import answers_of
from podium.core.quality.bootstrap import MetricDifference, differences, holm
from podium.core.quality.checks import judge
from podium.core.quality.metrics import METRICS, ModelAnswers, measure
from podium.core.quality.outputs import Output

from tests.support import calls


def classifier(generator: np.random.Generator, truth: np.ndarray, hardness: np.ndarray, skill: float) -> ModelAnswers:
    scores = 1 / (1 + np.exp(-(skill * (2 * truth - 1) + hardness + 0.5 * generator.normal(size=len(truth)))))
    return answers_of(Output.of(scores), truth, (0, 1))


def pair(seed: int, rows: int, one: float, other: float) -> tuple[ModelAnswers, ModelAnswers]:
    generator = np.random.default_rng(seed)
    truth = (np.arange(rows) < 0.3 * rows).astype(float)
    hardness = generator.normal(size=rows)
    return classifier(generator, truth, hardness, one), classifier(generator, truth, hardness, other)


@pytest.mark.parametrize("name", ["roc_auc", "log_loss", "recall"])
def test_the_interval_covers_the_true_difference_about_as_often_as_it_says(name: str) -> None:
    metric = METRICS[name]
    large = pair(999, 400_000, 0.9, 0.7)
    truth = metric.sign * (measure(metric, large[0]) - measure(metric, large[1]))
    trials = 150
    covered = 0
    for seed in range(trials):
        found = differences([metric], *pair(seed, 400, 0.9, 0.7), resamples=200, seed=seed)[name]
        covered += found.low <= truth <= found.high
    # 150 trials at 95 %: fewer than 90 % would be seen less than once in a hundred series; the seeds are fixed.
    assert 0.90 <= covered / trials <= 0.995


def test_pairing_narrows_the_interval() -> None:
    one, other = pair(1, 2000, 0.9, 0.85)
    shuffled = pair(2, 2000, 0.9, 0.85)[1]
    unpaired = answers_of(Output.of(np.resize(shuffled.scores, other.rows)), one.truth, (0, 1))
    paired = differences([METRICS["log_loss"]], one, other, resamples=300)["log_loss"]
    apart = differences([METRICS["log_loss"]], one, unpaired, resamples=300)["log_loss"]
    assert paired.error < 0.5 * apart.error


@pytest.mark.parametrize("name", ["roc_auc", "accuracy", "f1", "log_loss", "brier"])
def test_better_is_positive_whichever_way_the_metric_points(name: str) -> None:
    good, bad = pair(3, 3000, 1.5, 0.3)
    assert differences([METRICS[name]], good, bad, resamples=200)[name].low > 0
    assert differences([METRICS[name]], bad, good, resamples=200)[name].high < 0


def test_regression_too() -> None:
    generator = np.random.default_rng(4)
    truth = generator.normal(size=2000) * 10
    good, bad = (answers_of(Output.of(truth + noise * generator.normal(size=2000)), truth, ()) for noise in (1.0, 3.0))
    for name in ("rmse", "mae", "r2"):
        assert differences([METRICS[name]], good, bad, resamples=200)[name].low > 0


def test_the_same_answers_differ_by_nothing_and_seeds_repeat() -> None:
    one, other = pair(5, 500, 0.9, 0.8)
    same = differences([METRICS["roc_auc"]], one, one, resamples=100)["roc_auc"]
    assert (same.value, same.low, same.high) == (0, 0, 0)
    assert judge(same, 0.0) is Verdict.PASS
    first, again = (differences([METRICS["roc_auc"]], one, other, resamples=100) for _ in range(2))
    assert first == again


def test_drawing_fewer_rows_gives_the_same_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = pair(6, 20_000, 0.9, 0.8)
    names = ("roc_auc", "log_loss")
    whole = differences([METRICS[name] for name in names], one, other, resamples=400)
    monkeypatch.setattr(bootstrap, "MAX_RESAMPLED_ROWS", 4000)
    monkeypatch.setattr(bootstrap, "_MAX_GROUPS", 1000)
    drawn = differences([METRICS[name] for name in names], one, other, resamples=400)
    for name in names:
        assert drawn[name].value == whole[name].value
        assert drawn[name].error == pytest.approx(whole[name].error, rel=0.2)
        assert drawn[name].low == pytest.approx(whole[name].low, abs=1.0 * whole[name].error)


def test_two_thousand_resamples_of_twenty_thousand_rows_take_seconds() -> None:
    """Since rows are counted by NumPy: nothing is called for each of the forty million that are drawn."""
    one, other = pair(7, 20_000, 0.9, 0.8)
    assert calls(lambda: differences([METRICS["roc_auc"]], one, other)) < 200_000


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
    assert all(
        after <= min(1.0, before * len(p_values)) + 1e-12 or after <= 1.0
        for before, after in zip(p_values, adjusted, strict=True)
    )
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    assert [adjusted[index] for index in order] == sorted(adjusted)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
