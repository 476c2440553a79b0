"""Paired, stratified bootstrap of the difference between candidate and champion.

Both models are measured on the same resampled rows, so that rows that are hard for both cancel out. Classes keep
their share in every resample, so the interval holds for data with this class balance. A percentile interval is
reported.

Above MAX_RESAMPLED_ROWS rows each resample draws only so many of them, and the deviations from the point estimate
are scaled by sqrt(drawn / rows): the m-out-of-n bootstrap, which is consistent for all metrics here and bounds the
cost of a gate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..domain.frozen import Frozen
from .metrics import Metric, ModelAnswers, area_of_counts, check, measure

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator
    from numpy.typing import NDArray

RESAMPLES = 2000
MAX_RESAMPLED_ROWS = 25_000
SEED = 20130101
# Distinct scores told apart while resampling; the point estimate tells apart all of them.
_MAX_GROUPS = 4096
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
    """Number of rows of the smallest class."""

    def p_below(self, bound: float) -> float:
        """Returns the p-value of the hypothesis that the true difference is at least `bound`: small means
        significantly below."""
        if self.error == 0:
            return by_chance(self.least) if self.value < bound else 1.0
        return 0.5 * math.erfc((bound - self.value) / self.error / math.sqrt(2))


def differences(
    metrics: Sequence[Metric],
    candidate: ModelAnswers,
    champion: ModelAnswers,
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Mapping[str, MetricDifference]:
    """Returns one MetricDifference per metric, all from the same resamples. Raises Unmeasurable if one of them cannot
    be computed for either model."""
    import numpy as np

    points = [metric.sign * (measure(metric, candidate) - measure(metric, champion)) for metric in metrics]
    for metric in metrics:
        check(metric, champion)
    spread = np.asarray(_resampled(metrics, candidate, champion, resamples, seed))
    found: dict[str, MetricDifference] = {}
    for metric, point, drawn in zip(metrics, points, spread.T, strict=True):
        found[metric.name] = _summary(point, drawn[np.isfinite(drawn)], candidate, confidence)
    return found


def spread_of(metric: Metric, answers: ModelAnswers, *, resamples: int = RESAMPLES, seed: int = SEED) -> float:
    """Returns the standard error of one model's metric on these rows."""
    import numpy as np

    drawn = np.asarray([values[0] for values in _one(metric, answers, resamples, seed)])
    drawn = drawn[np.isfinite(drawn)]
    return float(drawn.std()) if drawn.size else math.inf


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


def smallest_class(answers: ModelAnswers) -> int:
    """Returns the number of rows of the rarest class that occurs; all rows if the target is not a class."""
    if not answers.binary:
        return answers.rows
    positive = int((answers.truth == 1).sum())
    return min(count for count in (positive, answers.rows - positive, answers.rows) if count)


def by_chance(rows: int) -> float:
    """Returns the p-value that `rows` rows have the same outcome by chance (a sign test). Resampling rows that are
    all equal has no spread, which is not certainty."""
    return 0.5**rows


def _summary(point: float, drawn: NDArray[Any], answers: ModelAnswers, confidence: float) -> MetricDifference:
    import numpy as np

    rows, least = answers.rows, smallest_class(answers)
    if drawn.size == 0:
        return MetricDifference(point, -math.inf, math.inf, math.inf, math.inf, rows, least)
    tail = (1.0 - confidence) / 2
    low, high = (float(bound) for bound in np.quantile(drawn, [tail, 1.0 - tail]))
    error = float(drawn.std())
    return MetricDifference(point, low, high, error, (_z(1.0 - tail) + _POWER_Z) * error, rows, least)


def _z(share: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(share)


def _resampled(
    metrics: Sequence[Metric], one: ModelAnswers, other: ModelAnswers, resamples: int, seed: int
) -> list[list[float]]:
    pairs = [(_Resampler(metric, one), _Resampler(metric, other), metric.sign) for metric in metrics]
    values: list[list[float]] = []
    for rows, shrink in _draws(one, resamples, seed):
        values.append([first.shrunk(rows, shrink, second, sign) for first, second, sign in pairs])
    return values


def _one(metric: Metric, answers: ModelAnswers, resamples: int, seed: int) -> Iterator[list[float]]:
    resampler = _Resampler(metric, answers)
    for rows, shrink in _draws(answers, resamples, seed):
        yield [resampler.point + shrink * (resampler.value(rows) - resampler.whole)]


def _draws(answers: ModelAnswers, resamples: int, seed: int) -> Iterator[tuple[NDArray[np.intp], float]]:
    """Returns row numbers drawn with replacement, class by class, and the factor that scales their deviation."""
    import numpy as np

    generator: Generator = np.random.default_rng(seed)
    strata = (
        [np.flatnonzero(answers.truth == value) for value in (0, 1)] if answers.binary else [np.arange(answers.rows)]
    )
    strata = [stratum for stratum in strata if stratum.size]
    share = min(1.0, MAX_RESAMPLED_ROWS / answers.rows)
    sizes = [max(1, round(stratum.size * share)) for stratum in strata]
    for _ in range(resamples):
        yield (
            np.concatenate(
                [
                    stratum[generator.integers(0, stratum.size, size)]
                    for stratum, size in zip(strata, sizes, strict=True)
                ]
            ),
            share**0.5,
        )


class _Resampler:
    """One metric of one model on resampled rows. `point` is its exact value; `whole` is its value on all rows as the
    resamples see them, with close scores grouped."""

    def __init__(self, metric: Metric, answers: ModelAnswers) -> None:
        import numpy as np

        self._metric = metric
        self.point = measure(metric, answers)
        self.whole = self.point
        self._terms: NDArray[Any] | None = None
        if not metric.ranks:
            assert metric.sums is not None
            self._terms = metric.sums(answers)
            return
        assert answers.scores is not None
        _, groups = np.unique(answers.scores, return_inverse=True)
        distinct = int(groups.max()) + 1
        if distinct > _MAX_GROUPS:
            groups = groups * _MAX_GROUPS // distinct
        # One number says both the score's group and the class, so that one count of the drawn rows answers for both.
        self._keys: NDArray[np.intp] = groups * 2 + answers.truth.astype(np.intp)
        self._length = 2 * (int(groups.max()) + 1)
        self.whole = self._area(self._keys)

    def value(self, rows: NDArray[np.intp]) -> float:
        if self._terms is None:
            return self._area(self._keys[rows])
        assert self._metric.combine is not None
        return float(self._metric.combine(self._terms[rows].sum(axis=0)))

    def shrunk(self, rows: NDArray[np.intp], shrink: float, other: _Resampler, sign: float) -> float:
        """Returns the resampled difference to `other`, centred on the exact one."""
        moved = (self.value(rows) - self.whole) - (other.value(rows) - other.whole)
        return sign * (self.point - other.point + shrink * moved)

    def _area(self, keys: NDArray[np.intp]) -> float:
        import numpy as np

        counts = np.bincount(keys, minlength=self._length).astype(float)
        return area_of_counts(counts[1::2], counts[0::2])
