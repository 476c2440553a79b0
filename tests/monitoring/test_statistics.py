"""What resampling says beside what is known exactly, and estimates beside what windows really have."""

from __future__ import annotations

import math

import numpy as np
import pytest
from podium.core.monitoring.columns import Column
from podium.core.monitoring.comparison import compare
from podium.core.monitoring.statistics import cbpe, distances, resampling
from podium.core.monitoring.statistics.bins import MAX_VALUES, binned
from podium.core.monitoring.statistics.tails import Null, null_of
from scipy import stats

RNG = np.random.default_rng(7)


def test_the_interval_of_an_estimate_holds_what_a_window_really_has() -> None:
    rng = np.random.default_rng(3)
    chances = 1 / (1 + np.exp(-rng.normal(0, 1.5, 400)))
    labels = (chances >= 0.5).astype(float)
    found = cbpe.interval("accuracy", chances, chances, labels)
    assert found.low < found.value < found.high
    real = [float((labels == (rng.random(400) < chances)).mean()) for _ in range(200)]
    assert sum(found.low <= each <= found.high for each in real) >= 180


def test_an_estimate_without_positives_says_that_it_has_none() -> None:
    none = np.zeros(20)
    assert math.isnan(cbpe.estimate("precision", none, none, none))
    assert math.isnan(cbpe.interval("roc_auc", none, none, none).value)


@pytest.mark.parametrize(("kind", "size"), [("i", 25), ("f", 25), ("i", 3)])
def test_a_column_of_one_value_or_of_huge_numbers_is_compared(kind: str, size: int) -> None:
    huge = np.array([2**53 + n for n in range(size)] * 4, dtype="int64" if kind == "i" else float)
    same = np.full(40, 7.0)
    for measure in ("psi", "js", "ks", "wasserstein"):
        assert distances.distance(measure, huge, huge) == pytest.approx(0.0)
        assert distances.distance(measure, same, same) == 0.0
        assert distances.distance(measure, same, same + 1) > 0.3
        assert math.isfinite(distances.distance(measure, huge, huge[:12]))


def test_few_numbers_are_bins_of_their_own() -> None:
    values = np.arange(MAX_VALUES) % MAX_VALUES
    assert binned(np.repeat(values, 3), values).edges is None
    assert binned(np.arange(MAX_VALUES + 1), values).edges is not None


# -- what is known without any change --------------------------------------------------------------------------------


def test_resampled_distances_are_those_of_fresh_samples() -> None:
    """The reference's bootstrap beside what two new samples of the same distribution really have."""
    rows, size = 300, 500
    reference = np.sort(RNG.lognormal(0, 1, rows))
    for measure in ("psi", "js", "ks", "wasserstein"):
        drawn = resampling.null(measure, {"a": reference}, size, resamples=1000)["a"]
        fresh = [distances.distance(measure, RNG.lognormal(0, 1, rows), RNG.lognormal(0, 1, size)) for _ in range(300)]
        assert np.median(drawn) == pytest.approx(np.median(fresh), rel=0.2), measure


def test_one_draw_of_ranks_is_what_drawing_rows_would_be() -> None:
    """Distances by rank beside the same distances of the rows themselves."""
    values = np.sort(np.round(RNG.normal(0, 1, 60), 2))
    drawn = next(resampling._draws(len(values), 25, 5, seed=1))
    for place in range(5):
        counts = [np.diff(each[place]) for each in (drawn.reference, drawn.current)]
        rows = [np.repeat(values, np.round(c * n).astype(int)) for c, n in zip(counts, (60, 25), strict=True)]
        for measure in ("psi", "js", "wasserstein"):
            judged = resampling._JUDGES[measure](values, 25)(drawn)[place]
            if measure in ("psi", "js") and len(np.unique(rows[0])) <= MAX_VALUES:
                continue
            assert judged == pytest.approx(distances.distance(measure, *rows), abs=1e-9), measure


def test_words_have_room_for_one_that_was_never_seen() -> None:
    """Of a column of one word, a window with a new one is rare and not impossible: the reference is a sample."""
    drawn = resampling.null("psi", {"a": np.array(["x"] * 200, dtype=object)}, 100, resamples=2000)["a"]
    assert 0.1 < (drawn > 0).mean() < 0.9


@pytest.mark.parametrize("measure", ["psi", "ks"])
def test_p_values_and_critical_values_agree(measure: str) -> None:
    null = null_of(measure, np.abs(np.random.default_rng(5).normal(0, 1, 4000)))
    for chance in (0.3, 0.04, 0.01, 1e-3, 1e-4, 1e-5, 1e-8):
        critical = null.critical(chance)
        assert null.p_value(critical * 1.0001) <= chance * 1.001 or chance > 0.05
        assert null.p_value(critical * 0.98) > chance * 0.7
    assert null.p_value(0.0) == pytest.approx(1.0)
    assert null.p_value(1e9) < 1e-12


@pytest.mark.parametrize(("degrees", "chance"), [(1, 1e-4), (9, 1e-4), (15, 3e-5)])
def test_the_tail_of_a_chi_square_is_met_or_exceeded(degrees: int, chance: float) -> None:
    """Extrapolated from few resamples, a rare critical value errs to silence, and not far."""
    exact = stats.chi2.ppf(1 - chance, degrees)
    found = [
        null_of("psi", np.random.default_rng(seed).chisquare(degrees, resampling.RESAMPLES)).critical(chance)
        for seed in range(20)
    ]
    assert 0.97 * exact < np.median(found) < 1.3 * exact


def test_a_heavy_tail_is_seen() -> None:
    found = null_of("psi", np.random.default_rng(5).pareto(3.0, 4000))
    light = Null(
        found.resamples, found.body, tuple(found.tail[0] + each for each in np.sort(RNG.exponential(0.01, 200))), 1.0
    )
    assert found.critical(1e-5) > 10 * found.tail[0] > light.critical(1e-5)


def test_a_column_without_spread_rings_for_any_other_value() -> None:
    null = null_of("ks", np.zeros(4000))
    assert null.critical(1e-4) == 0.0 and null.p_value(0.0) == 1.0 and null.p_value(0.1) == 0.0


# -- ties, and long tails ---------------------------------------------------------------------------------------------


def test_kolmogorov_and_smirnovs_distance_has_its_exact_chance_without_ties() -> None:
    """A bootstrap repeats rows, and ties make the statistic smaller: its critical values are exceeded too often."""
    rows, size = 300, 100
    drawn = resampling.null("ks", {"a": RNG.normal(0, 1, rows)}, size)["a"]
    for chance in (0.2, 0.05, 0.01):
        critical = float(np.quantile(drawn, 1 - chance, method="higher"))
        exact = stats.ks_2samp(*_order_with(critical, rows, size), method="exact").pvalue
        assert exact == pytest.approx(chance, rel=0.25), chance


def _order_with(distance: float, rows: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns two samples with about this distance."""
    first = round(distance * size)
    window = np.concatenate([-1 - np.arange(first), np.linspace(0.001, rows - 1.001, size - first)])
    return np.arange(rows, dtype=float), window


def test_values_that_occur_often_are_ties_in_both_samples() -> None:
    """Half of the rows are zero: a rank within them is no place where the distributions differ."""
    generator = np.random.default_rng(4)

    def sample(rows: int) -> np.ndarray:
        return np.where(generator.random(rows) < 0.5, 0.0, generator.lognormal(0, 1, rows))

    drawn = resampling.null("ks", {"a": sample(400)}, 200, resamples=2000)["a"]
    fresh = [distances.ks(sample(400), sample(200)) for _ in range(2000)]
    for share in (0.5, 0.9, 0.97):
        assert np.quantile(drawn, share) == pytest.approx(np.quantile(fresh, share), rel=0.06), share


def test_rows_exchanged_between_two_samples_have_the_distances_of_an_exact_test() -> None:
    generator = np.random.default_rng(5)
    before, now = generator.lognormal(0, 1, 60), generator.lognormal(0, 1, 25)
    drawn = resampling.exchanged({"a": (before, now)}, resamples=2000)["a"]
    both, by_hand = np.concatenate([before, now]), []
    for _ in range(2000):
        order = generator.permutation(both)
        by_hand.append(distances.wasserstein(order[:60], order[60:]))
    assert stats.ks_2samp(drawn, by_hand).pvalue > 0.001


def test_a_tail_that_the_reference_happens_not_to_have_is_no_drift() -> None:
    """A reference without its own largest rows: a bootstrap of it has none either, and the real ones look like drift.
    What moves by more than a tail still rings."""
    generator = np.random.default_rng(6)
    rung = {"tail": 0, "moved": 0, "bootstrap": 0}
    for _ in range(12):
        reference = Column("a", np.sort(generator.lognormal(0, 1.5, 420))[:400], 400)
        null = null_of("wasserstein", resampling.null("wasserstein", {"a": reference.cells}, 150)["a"])
        for name, cells in {"tail": (0.0, 1.5), "moved": (1.0, 1.5)}.items():
            now = Column("a", generator.lognormal(*cells, 150), 150)
            found = compare("wasserstein", {"a": reference}, {"a": now}, nulls={"a": null}, chance=0.05)
            assert found.value is not None and found.critical is not None and found.p_value is not None
            assert (found.value > found.critical) == (found.p_value < 0.05)
            rung[name] += found.value > found.critical
            if name == "tail":
                rung["bootstrap"] += found.value > null.critical(0.05)
    assert rung["tail"] < rung["bootstrap"] and rung["moved"] == 12, rung
