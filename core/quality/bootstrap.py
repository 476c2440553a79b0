"""Paired bootstrap of the difference between candidate and champion, and of one model's value.

Both models are measured on the same resampled rows (`resampling.py`), so that rows that are hard for both cancel out.
The interval is the expanded percentile interval (Hesterberg 2015, "What Teachers Should Know About the Bootstrap"):
with few units a plain percentile interval is too narrow, by the factor sqrt((n - 1) / n) and by the quantile of the
normal distribution in place of Student's. From some hundred units on there is no difference.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..domain.frozen import Frozen
from .metrics import Metric, ModelAnswers, Statistic, Unmeasurable, measure
from .resampling import Draw, draws, least_units, units_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES = 2000
SEED = 20130101
# Seconds after which a metric whose resamples are costly gets no more of them, and how few are no interval.
MAX_SECONDS = 120.0
_LEAST_RESAMPLES = 40
# The quantile of the normal distribution behind "would be seen four times out of five".
_POWER_Z = 0.8416


class MetricDifference(Frozen):
    """The difference (candidate − champion) in the direction in which more is better: a positive one is an
    improvement, whatever the metric."""

    value: float
    """The difference on all rows."""
    low: float
    """Lower bound of the interval."""
    high: float
    """Upper bound of the interval."""
    error: float
    """Standard error of the difference."""
    detectable: float
    """Smallest true difference that this number of rows would detect in four cases out of five."""
    rows: int
    least: int = 1
    """Number of units (rows, groups or blocks) of the smallest class."""
    slack: float = 0.0
    """How much of the upper bound is for a bias of the metric."""

    def p_below(self, bound: float) -> float:
        """Returns the p-value of the hypothesis that the true difference is at least `bound`: small means
        significantly below."""
        value = self.value + self.slack
        if self.error == 0:
            return by_chance(self.least) if value < bound else 1.0
        return 0.5 * math.erfc((bound - value) / self.error / math.sqrt(2))


class MetricInterval(Frozen):
    """The interval of one model's value."""

    low: float
    high: float
    error: float
    """Standard error of the value."""


def difference(
    metric: Metric,
    candidate: ModelAnswers,
    champion: ModelAnswers,
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> MetricDifference:
    """Returns the difference with its interval. Raises Unmeasurable if the metric cannot be computed for either model,
    or its resamples took too long."""
    mine, theirs = _Centred(metric, candidate), _Centred(metric, champion)
    point = metric.merit(mine.point) - metric.merit(theirs.point)

    def value(draw: Draw) -> float:
        return metric.merit(mine.moved(draw)) - metric.merit(theirs.moved(draw))

    drawn = _drawn(metric, candidate, value, resamples, seed)
    rows, least = candidate.rows, least_units(candidate)
    if drawn.size == 0:
        return MetricDifference(point, -math.inf, math.inf, math.inf, math.inf, rows, least)
    down, up = metric.bias(champion), metric.bias(candidate)
    low, high = expanded(_unbiased(metric, drawn, point), confidence, units_of(candidate))
    error = float(drawn.std())
    least_seen = (_z(1.0 - (1.0 - confidence) / 2) + _POWER_Z) * error + up
    return MetricDifference(point, low - down, high + up, error, least_seen, rows, least, up)


def interval(
    metric: Metric, answers: ModelAnswers, *, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = SEED
) -> MetricInterval:
    """Returns the interval of one model's metric on these rows. Raises Unmeasurable as `difference` does."""
    centred = _Centred(metric, answers)
    drawn = _drawn(metric, answers, centred.moved, resamples, seed)
    if drawn.size == 0:
        return MetricInterval(-math.inf, math.inf, math.inf)
    drawn = _unbiased(metric, drawn, centred.point)
    low, high = expanded(drawn, confidence, units_of(answers))
    return MetricInterval(low - metric.bias(answers), high, float(drawn.std()))


def _unbiased(metric: Metric, drawn: NDArray[Any], point: float) -> NDArray[Any]:
    """Returns resampled values without the bias that resampling adds to a metric that is biased itself. Its own bias is
    not known, only how large it may be (`Metric.bias`), which the bounds allow for."""
    return drawn if metric.floor is None else drawn - drawn.mean() + point


def expanded(drawn: NDArray[Any], confidence: float, units: int) -> tuple[float, float]:
    """Returns the bounds of the expanded percentile interval of resampled values; infinite for a single unit."""
    import numpy as np
    from scipy import stats

    if units < 2:
        return -math.inf, math.inf
    tail = (1.0 - confidence) / 2
    student: Any = stats.t
    wider = math.sqrt(units / (units - 1)) * float(student.ppf(tail, units - 1))
    tail = 0.5 * math.erfc(-wider / math.sqrt(2))
    low, high = np.quantile(drawn, [tail, 1.0 - tail])
    return float(low), float(high)


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns Holm's adjusted p-values in the given order, so that many slices do not produce a finding by their
    number alone."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = highest
    return adjusted


def by_chance(units: int) -> float:
    """Returns the p-value that `units` units have the same outcome by chance (a sign test). Resampling rows that are
    all equal has no spread, which is not certainty."""
    return 0.5**units


def _z(share: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(share)


def _drawn(
    metric: Metric, answers: ModelAnswers, value: Callable[[Draw], float], resamples: int, seed: int
) -> NDArray[Any]:
    """Returns the finite ones of the values on resamples. Costly ones end after MAX_SECONDS."""
    import numpy as np

    wanted = min(resamples, metric.resamples or resamples)
    end = time.monotonic() + MAX_SECONDS if metric.resamples is not None else math.inf
    found: list[float] = []
    for draw in draws(answers, wanted, seed):
        found.append(value(draw))
        if time.monotonic() > end:
            break
    if len(found) < min(wanted, _LEAST_RESAMPLES):
        words = f"{metric.label} is too slow for an interval: {len(found)} resamples took {MAX_SECONDS:g} s"
        raise Unmeasurable(words, hint="Return one value per row, or give the gate fewer rows.")
    values = np.asarray(found, dtype=float)
    return values[np.isfinite(values)]


class _Centred:
    """One metric of one model on resampled rows, centred on its exact value: `whole` is the value on all rows as the
    resamples see them, with close scores grouped."""

    def __init__(self, metric: Metric, answers: ModelAnswers) -> None:
        import numpy as np

        self.point = measure(metric, answers)
        self._statistic: Statistic = metric.statistic(answers, metric.options)
        self._whole = self._statistic.value(np.arange(answers.rows))

    def moved(self, draw: Draw) -> float:
        """Returns the value on drawn rows."""
        return self.point + draw.shrink * (self._statistic.value(draw.rows) - self._whole)
