"""What is drawn again together: classes, groups, blocks of times; and that intervals are as wide as these say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from podium.core.domain.metrics import BINARY, FORECASTING, MULTICLASS, REGRESSION
from podium.core.quality import bootstrap
from podium.core.quality.bootstrap import difference, expanded, interval
from podium.core.quality.metrics import METRICS, ModelAnswers, Units, Unmeasurable, measure
from podium.core.quality.resampling import draws, least_units, units_of

MAE = METRICS["mae"]


def numbers(truth: np.ndarray, answers: np.ndarray, units: Units, task: str = REGRESSION) -> ModelAnswers:
    return ModelAnswers(truth, answers, None, task, units=units)


def test_classes_keep_their_share() -> None:
    truth = np.repeat([0, 1, 2], [50, 30, 3])
    answers = ModelAnswers(truth, None, truth, MULTICLASS, ("a", "b", "c"))
    for draw in draws(answers, 20, 1):
        assert np.bincount(truth[draw.rows]).tolist() == [50, 30, 3]
    assert (least_units(answers), units_of(answers)) == (3, 83)


def test_a_class_of_few_rows_among_millions_has_its_own_spread() -> None:
    """At least one row of it is drawn, which is a larger share than of the others."""
    truth = np.zeros(3_000_000)
    truth[:10] = 1
    moved = [
        draw.shrink * (draw.rows[draw.rows < 10].mean() - 4.5)
        for draw in draws(ModelAnswers(truth, truth, None, BINARY, (0, 1)), 100, 1)
    ]
    assert float(np.std(moved)) == pytest.approx(float(np.arange(10).std()) / 10**0.5, rel=0.25)


def test_groups_are_drawn_whole() -> None:
    codes = np.asarray([2, 0, 1, 0, 2, 2])
    answers = numbers(np.zeros(6), np.zeros(6), Units(codes))
    for draw in draws(answers, 50, 1):
        counts = np.bincount(draw.rows, minlength=6)
        assert all(len(set(counts[codes == each].tolist())) == 1 for each in range(3))
        assert sum(counts[codes == each][0] for each in range(3)) == 3
    assert least_units(answers) == units_of(answers) == 3


def test_times_are_drawn_in_blocks_of_neighbours() -> None:
    times = np.repeat(np.arange(60), 2)
    answers = numbers(np.zeros(120), np.zeros(120), Units(None, times, 5), FORECASTING)
    for draw in draws(answers, 20, 1):
        drawn = times[draw.rows][::2]
        assert len(drawn) == 60
        steps = (np.diff(drawn) % 60).reshape(-1)
        assert all(steps[place] == 1 for place in range(59) if place % 5 != 4)
    assert units_of(answers) == 12
    both = replace(answers, units=Units(np.tile([0, 1], 60), times, 5))
    assert units_of(both) == 12, "more blocks than series"
    many = replace(answers, units=Units(np.arange(120) % 40, times, 5))
    assert units_of(many) == 40, "few blocks, and many series"


def test_a_part_of_the_rows_has_units_of_its_own() -> None:
    answers = numbers(
        np.arange(6.0), np.zeros(6), Units(np.asarray([0, 0, 3, 3, 5, 5]), np.asarray([0, 1, 2, 3, 4, 5]), 2)
    )
    part = answers.only(np.asarray([False, False, True, True, True, True]))
    assert part.units.groups is not None and part.units.groups.tolist() == [0, 0, 1, 1]
    assert part.units.times is not None and part.units.times.tolist() == [0, 1, 2, 3]
    assert part.index is not None and part.only(part.truth > 3).index.tolist() == [4, 5]  # type: ignore[union-attr]


def clustered(seed: int, groups: int = 40, size: int = 25) -> tuple[ModelAnswers, ModelAnswers]:
    """Two models whose errors go together within a group; their true difference is 0.2."""
    generator = np.random.default_rng(seed)
    codes = np.repeat(np.arange(groups), size)
    shared = generator.normal(size=groups)[codes]
    truth = np.zeros(groups * size)
    errors = 3 + 0.5 * shared + 0.2 * generator.normal(size=len(truth))
    return numbers(truth, errors - 0.1 - 0.4 * shared, Units(codes)), numbers(truth, errors + 0.1, Units(codes))


def test_an_interval_over_groups_covers_where_one_over_rows_does_not() -> None:
    covered = {"groups": 0, "rows": 0}
    for seed in range(60):
        one, other = clustered(seed)
        found = difference(MAE, one, other, resamples=150, seed=seed)
        covered["groups"] += found.low <= 0.2 <= found.high
        alone = difference(MAE, replace(one, units=Units()), replace(other, units=Units()), resamples=150, seed=seed)
        covered["rows"] += alone.low <= 0.2 <= alone.high
    assert covered["groups"] >= 53 and covered["rows"] <= 40


def test_few_units_make_a_wider_interval_and_one_none() -> None:
    drawn = np.random.default_rng(1).normal(size=20_000)
    wide, usual = expanded(drawn, 0.95, 10), expanded(drawn, 0.95, 10_000)
    # Student's quantile for 9 degrees of freedom, and sqrt(10 / 9).
    assert wide[1] == pytest.approx(2.262 * (10 / 9) ** 0.5, rel=0.05) and usual[1] == pytest.approx(1.96, rel=0.03)
    assert expanded(drawn, 0.95, 1) == (-np.inf, np.inf)
    one = numbers(np.zeros(5), np.arange(5.0), Units(np.zeros(5, dtype=int)))
    found = difference(MAE, one, replace(one, scores=one.truth))
    assert (found.low, found.high) == (-np.inf, np.inf)


def test_the_interval_of_one_value() -> None:
    generator = np.random.default_rng(3)
    answers = numbers(np.zeros(4000), generator.normal(size=4000), Units())
    found = interval(MAE, answers, resamples=500)
    expected = (1 - 2 / np.pi) ** 0.5 / 4000**0.5  # the deviation of |x| for a normal x
    assert found.error == pytest.approx(expected, rel=0.15)
    assert found.low < measure(MAE, answers) < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 * expected, rel=0.2)


def test_the_interval_of_a_calibration_error_allows_for_its_bias() -> None:
    """On few rows an error that is never below 0 is not 0 for calibrated answers either: without the allowance a worse
    candidate passed in more than half of all cases."""
    ece = METRICS["ece"]
    passed = failed = 0
    for seed in range(25):
        generator = np.random.default_rng(seed)
        odds = generator.normal(size=2000) * 1.2
        truth = (generator.random(2000) < 1 / (1 + np.exp(-odds))).astype(float)
        good, bad = (
            ModelAnswers(truth, 1 / (1 + np.exp(-factor * odds)), None, BINARY, (0, 1), probabilities=True)
            for factor in (1.0, 1.9)
        )
        found = difference(ece, bad, good, resamples=150, seed=seed)
        passed += found.low >= -0.0958  # what it is on four million rows
        failed += found.high < 0
        assert found.slack == ece.bias(bad) > 0 == METRICS["brier"].bias(bad)
        alone = interval(ece, good, resamples=150, seed=seed)
        assert alone.low < 0.005
    assert passed <= 2 and failed >= 23


class Costly:
    """A statistic that says how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def value(self, rows: np.ndarray) -> float:
        self.asked += 1
        return float(rows.mean())


def test_a_costly_metric_gets_fewer_resamples_and_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    statistic = Costly()
    metric = replace(
        MAE, statistic=lambda answers, options: statistic, exact=lambda answers, options: 1.0, resamples=50
    )
    answers = numbers(np.zeros(9), np.ones(9), Units())
    interval(metric, answers)
    assert statistic.asked == 51
    monkeypatch.setattr(bootstrap, "MAX_SECONDS", -1.0)
    with pytest.raises(Unmeasurable, match="too slow for an interval") as caught:
        interval(metric, answers)
    assert "one value per row" in caught.value.hint
