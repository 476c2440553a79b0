"""Fairness between slices: gaps of the rates at which groups of rows are chosen, and the group that fares worst.

The definitions are fairlearn's: the difference of a rate is that between the highest and the lowest group's, and
equalized odds are the larger one of two such differences. A group without a row that a rate is about has no such rate
and is left out, where fairlearn would call the rate 0.

The interval holds for all pairs of groups at the same time (the maximum of the studentised differences, resampled
within each group): the largest of many differences is large by chance, and a percentile interval of it would not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from ..domain.frozen import Frozen
from ..domain.metrics import BINARY, MAXIMIZE
from ..domain.project import Check
from ..domain.text.format import count
from ..domain.verdicts import CheckResult, Verdict
from .bootstrap import RESAMPLES, SEED, interval
from .checks import CheckInputs
from .limits import limit_words
from .metrics import ModelAnswers, Unmeasurable, asked, measure
from .reasons import told
from .slices import Slice, not_judged, slices_by

if TYPE_CHECKING:
    from numpy.typing import NDArray

WORST_GROUP = "worst_group"
# Each difference, and the rates that it is of: who is chosen of all rows, of the positive ones, of the negative ones.
_RATES = {
    "demographic_parity_difference": ("selection rate",),
    "equal_opportunity_difference": ("true positive rate",),
    "equalized_odds_difference": ("true positive rate", "false positive rate"),
}


class _Rate(Frozen):
    """One rate of every group that has it."""

    what: str
    groups: tuple[Slice, ...]
    hits: NDArray[Any]
    """Rows that were chosen, by group; `of` so many."""
    of: NDArray[Any]

    @property
    def values(self) -> NDArray[Any]:
        return self.hits / self.of


class _Gap(Frozen):
    """The largest difference, with its interval, and between whom it is."""

    value: float
    low: float
    high: float
    words: str


def fairness(check: Check, bench: CheckInputs) -> Sequence[CheckResult]:
    """Judges one result for each column of `by`. The whole interval has to keep the limit to pass, and to break it to
    fail."""
    return [_judged(check, bench, column) for column in check.slices]


def _judged(check: Check, bench: CheckInputs, column: str) -> CheckResult:
    try:
        return _by(check, bench, column)
    except Unmeasurable as error:
        return CheckResult(f"{check.fairness} by {column}", Verdict.ERROR, told(error))


def _by(check: Check, bench: CheckInputs, column: str) -> CheckResult:
    groups, small = _groups(check, bench, column)
    name = f"{check.fairness} of {check.metric}" if check.fairness == WORST_GROUP else check.fairness
    gap = _worst(check, bench, groups) if check.fairness == WORST_GROUP else _difference(check, bench, groups)
    message = f"{gap.value:.4f} {gap.words} ({check.confidence:.0%} interval {gap.low:.4f} … {gap.high:.4f},"
    message += f" {count(len(groups), 'group')})"
    if small:
        message += f"; {not_judged(small, check.min_rows)}"
    verdict = _verdict(check, gap)
    if verdict is Verdict.INCONCLUSIVE:
        message += "; these rows cannot tell which side of the limit it is on"
    limit = check.at_most if check.at_most is not None else check.at_least
    return CheckResult(
        f"{name} by {column} {limit_words(check)}",
        verdict,
        message,
        value=gap.value,
        low=gap.low,
        high=gap.high,
        limit=limit,
        rows=sum(each.rows for each in groups),
    )


def _verdict(check: Check, gap: _Gap) -> Verdict:
    lowest, highest = check.at_least, check.at_most
    if (highest is None or gap.high <= highest) and (lowest is None or gap.low >= lowest):
        return Verdict.PASS
    broken = (highest is not None and gap.low > highest) or (lowest is not None and gap.high < lowest)
    return Verdict.FAIL if broken else Verdict.INCONCLUSIVE


def _groups(check: Check, bench: CheckInputs, column: str) -> tuple[list[Slice], list[str]]:
    """Returns the groups with enough rows, and the names of the others. Raises Unmeasurable if there are not two."""
    groups, small = slices_by(bench.data, column, check.min_rows)
    if len(groups) < 2:
        words = f"{column!r} has {count(len(groups), 'group')} of at least {count(check.min_rows, 'row')}"
        raise Unmeasurable(f"{words}: there is nothing to compare", hint="Lower min_rows, or give the gate more data.")
    return groups, small


# -- differences of rates
# --------------------------------------------------------------------------------------------------------------------


def _difference(check: Check, bench: CheckInputs, groups: Sequence[Slice]) -> _Gap:
    answers = bench.candidate.answers(check.prediction)
    if answers.task != BINARY or answers.labels is None:
        raise Unmeasurable(
            f"{check.fairness} needs labels or probabilities of two classes", hint="worst_group takes any metric."
        )
    rates = [_rate(what, answers, groups) for what in _RATES[check.fairness]]
    widest = max(rates, key=lambda rate: float(rate.values.max() - rate.values.min()))
    values = widest.values
    low, high = _interval(rates, check.confidence)
    first, last = (
        f"{widest.groups[int(at)].name} ({values[int(at)]:.4f})" for at in (values.argmax(), values.argmin())
    )
    return _Gap(float(values.max() - values.min()), low, high, f"between the {widest.what}s of {first} and {last}")


def _rate(what: str, answers: ModelAnswers, groups: Sequence[Slice]) -> _Rate:
    import numpy as np

    assert answers.labels is not None
    about = {"true positive rate": answers.truth == 1, "false positive rate": answers.truth == 0}
    rows = about.get(what, np.ones(answers.rows, dtype=bool))
    found = [
        (group, float(answers.labels[group.mask & rows].sum()), int((group.mask & rows).sum())) for group in groups
    ]
    found = [each for each in found if each[2]]
    if len(found) < 2:
        raise Unmeasurable(f"fewer than two groups have a {what}", hint="Give the gate more data, or raise min_rows.")
    return _Rate(
        what,
        tuple(group for group, _, _ in found),
        np.asarray([hits for _, hits, _ in found]),
        np.asarray([of for _, _, of in found]),
    )


def _interval(rates: Sequence[_Rate], confidence: float) -> tuple[float, float]:
    """Returns bounds of the largest difference. Rows within a group are resampled: a rate is a share of independent
    rows, so that is a binomial draw. A share of 0 or 1 has a spread too: it is drawn from (hits + 1) / (rows + 2)."""
    import numpy as np

    random = np.random.default_rng(SEED)
    largest = np.zeros(RESAMPLES)
    pairs: list[tuple[NDArray[Any], NDArray[Any]]] = []
    for rate in rates:
        share = (rate.hits + 1) / (rate.of + 2)
        moved = random.binomial(rate.of, share, size=(RESAMPLES, len(share))) / rate.of - share
        variance = share * (1 - share) / rate.of
        for place in range(len(share) - 1):
            error = np.sqrt(variance[place] + variance[place + 1 :])
            drawn = np.abs(moved[:, [place]] - moved[:, place + 1 :]) / error
            largest = np.maximum(largest, drawn.max(axis=1))
            pairs.append((np.abs(rate.values[place] - rate.values[place + 1 :]), error))
    factor = float(np.quantile(largest, confidence))
    low = max(float((gap - factor * error).max()) for gap, error in pairs)
    high = max(float((gap + factor * error).max()) for gap, error in pairs)
    return max(0.0, low), min(1.0, high)


# -- the worst group
# --------------------------------------------------------------------------------------------------------------------


def _worst(check: Check, bench: CheckInputs, groups: Sequence[Slice]) -> _Gap:
    """Returns the metric of the group that fares worst. Its bounds hold for all groups at the same time (Bonferroni's
    correction of normal intervals), so that they hold for the worst one. Raises Unmeasurable for a metric that is best
    somewhere in between: a group may be off on either side of it."""
    metric = asked(check)
    if not metric.goal:
        words = f"{metric.name} is best at {metric.facts.ideal:g}: no group fares worst by it"
        raise Unmeasurable(words, hint="Judge it slice by slice, with at_least and at_most.")
    z = NormalDist().inv_cdf(1 - (1 - check.confidence) / (2 * len(groups)))
    values: list[float] = []
    lows: list[float] = []
    highs: list[float] = []
    for group in groups:
        answers = metric.part(bench.candidate.answers(check.prediction).only(group.mask))
        value = measure(metric, answers)
        # Rows that are all alike have no spread when they are resampled, which is not certainty.
        error = interval(metric, answers, resamples=500).error or 1 / (group.rows + 2)
        values.append(value)
        lows.append(value - z * error - metric.bias(answers))
        highs.append(value + z * error)
    worst = min if metric.goal == MAXIMIZE else max
    value = worst(values)
    return _Gap(value, worst(lows), worst(highs), f"of {groups[values.index(value)].name}")
