"""Quality estimated without labels, from the probabilities that a model answers (confidence-based performance
estimation; NannyML's definition, which the tests compare with).

If an answer of 0.8 is right in 80 of 100 cases, the answers alone say how many of them are right. So probabilities are
calibrated on earlier rows that have labels, where that makes them better, and each row then counts as so much of a
positive one and so much of a negative one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

from ...domain.frozen import Frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

RESAMPLES = 500
SEED = 20_240_229
_SPLITS, _TEST_SHARE, _SPLIT_SEED, _BINS = 10, 0.1, 42, 10
# Scores that separate the classes so well are not made better.
_PERFECT = 0.999
_CONFIDENCE = 0.95


class Calibration(Frozen):
    """What turns a model's scores into probabilities."""

    calibrate: Callable[[Array], Array]
    needed: bool
    """Calibrated scores were closer to the truth on rows that were left out."""
    error_before: float = 0.0
    """The expected calibration error of the scores, and of the calibrated ones, on rows that were left out."""
    error_after: float = 0.0


class Estimate(Frozen):
    value: float
    low: float
    """Lower bound of the 95 % interval of the metric on these rows; also `high`."""
    high: float


def unchanged(scores: Array) -> Array:
    """Returns scores as they are."""
    return scores


def calibration(truth: Array, scores: Array) -> Calibration:
    """Returns an isotonic calibration of scores (0..1) by rows whose truth (0 or 1) is known, if it makes the expected
    calibration error smaller on rows that were left out; the scores themselves otherwise."""
    from sklearn import metrics
    from sklearn.isotonic import IsotonicRegression
    from sklearn.model_selection import StratifiedShuffleSplit

    positive = int(truth.sum())
    if min(positive, len(truth) - positive) < 2 or float(cast("Any", metrics).roc_auc_score(truth, scores)) > _PERFECT:
        return Calibration(unchanged, False)
    splits: Any = StratifiedShuffleSplit(n_splits=_SPLITS, test_size=_TEST_SHARE, random_state=_SPLIT_SEED)
    left: list[tuple[Array, Array, Array]] = []
    for train, test in splits.split(scores, truth):
        fitted = _isotonic(IsotonicRegression, scores[train], truth[train])
        left.append((truth[test], scores[test], fitted(scores[test])))
    known, before, after = (_joined(left, part) for part in range(3))
    errors = expected_error(known, before), expected_error(known, after)
    if errors[0] <= errors[1]:
        return Calibration(unchanged, False, *errors)
    return Calibration(_isotonic(IsotonicRegression, scores, truth), True, *errors)


def _isotonic(kind: Any, scores: Array, truth: Array) -> Callable[[Array], Array]:
    return kind(out_of_bounds="clip", increasing=True).fit(scores, truth).predict


def _joined(parts: list[tuple[Array, Array, Array]], part: int) -> Array:
    import numpy as np

    return np.concatenate([each[part] for each in parts])


def expected_error(truth: Array, scores: Array, bins: int = _BINS) -> float:
    """Returns the expected calibration error over bins of equally many rows (Naeini and others, 2015)."""
    import numpy as np

    order = scores.argsort()
    number = min(bins, max(1, len(scores) // 2))
    width = len(scores) // number
    edges = [*range(0, width * number, width), len(scores)]
    total = 0.0
    for start, end in pairwise(edges):
        rows = order[start:end]
        total += len(rows) * abs(float(np.mean(scores[rows])) - float(np.mean(truth[rows])))
    return total / len(scores)


def estimate(metric: str, scores: Array, probabilities: Array, labels: Array) -> float:
    """Returns the expected value of a metric of two classes. `scores` are the model's answers, `probabilities` the
    calibrated ones, `labels` the classes (0 or 1) that it says."""
    return METRICS[metric](scores, probabilities, labels)


def interval(metric: str, scores: Array, probabilities: Array, labels: Array, seed: int = SEED) -> Estimate:
    """Returns the expected value with an interval: rows are drawn again, and their truth by their probabilities, so
    that it holds what a window of this size would have had by chance. Metrics that cannot be computed on what was
    drawn are left out."""
    import numpy as np

    value = estimate(metric, scores, probabilities, labels)
    generator = np.random.default_rng(seed)
    drawn: list[float] = []
    for _ in range(RESAMPLES):
        rows = generator.integers(0, len(scores), len(scores))
        truth = (generator.random(len(rows)) < probabilities[rows]).astype(float)
        drawn.append(estimate(metric, scores[rows], truth, labels[rows]))
    known = np.asarray(drawn)[np.isfinite(drawn)]
    if not len(known):
        return Estimate(value, value, value)
    low, high = (float(each) for each in np.quantile(known, [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2]))
    return Estimate(value, min(low, value), max(high, value))


def _roc_auc(scores: Array, probabilities: Array, labels: Array) -> float:
    """The area under the curve of expected true and false positives; rows of one score are one step."""
    import numpy as np

    _, places = np.unique(scores, return_inverse=True)
    positive = np.bincount(places, weights=probabilities)
    negative = np.bincount(places, weights=1.0 - probabilities)
    below = negative.cumsum() - negative / 2
    return _ratio(float((positive * below).sum()), float(positive.sum() * negative.sum()))


def _accuracy(scores: Array, probabilities: Array, labels: Array) -> float:
    return float((labels * probabilities + (1 - labels) * (1 - probabilities)).mean())


def _precision(scores: Array, probabilities: Array, labels: Array) -> float:
    return _ratio(float((labels * probabilities).sum()), float(labels.sum()))


def _recall(scores: Array, probabilities: Array, labels: Array) -> float:
    return _ratio(float((labels * probabilities).sum()), float(probabilities.sum()))


def _f1(scores: Array, probabilities: Array, labels: Array) -> float:
    return _ratio(2.0 * float((labels * probabilities).sum()), float(labels.sum() + probabilities.sum()))


def _ratio(top: float, bottom: float) -> float:
    return top / bottom if bottom else float("nan")


METRICS: Mapping[str, Callable[[Array, Array, Array], float]] = {
    "roc_auc": _roc_auc,
    "accuracy": _accuracy,
    "precision": _precision,
    "recall": _recall,
    "f1": _f1,
}
