"""Metrics of probabilities: log loss, Brier score, and how well they are calibrated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...domain.metrics import BINARY
from .model import EPSILON, ModelAnswers, Statistic, Unmeasurable
from .options import Options, place_of
from .reference import scored
from .statistics import Sums, beside_ones, grouped, mean, one_hot, ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .model import Floats, Rows

# Bins of equal width for the calibration error, as in Guo et al. 2017.
BINS = 15
# Probabilities are kept this far from 0 and 1 for the slope: one certain mistake would else decide it.
_CLIP = 1e-6
_NEWTON_STEPS = 50
_MAX_SLOPE = 1e3


def log_loss(answers: ModelAnswers, options: Options) -> Statistic:
    import numpy as np

    given = _of_truth(answers)
    return Sums(beside_ones(-np.log(np.clip(given, EPSILON, 1 - EPSILON))), mean)


def exact_log_loss(answers: ModelAnswers, options: Options) -> float:
    chances = _normalised(answers)
    return scored("log_loss", answers.truth, chances, labels=list(range(chances.shape[1])))


def brier(answers: ModelAnswers, options: Options) -> Statistic:
    """Returns the mean squared distance of the probabilities from the outcome: of the positive class for two classes,
    summed over all classes for more (Brier 1950), as scikit-learn does."""
    assert answers.scores is not None
    if answers.task == BINARY:
        return Sums(beside_ones((answers.scores - answers.truth) ** 2), mean)
    outcome = one_hot(answers.truth, answers.scores.shape[1])
    return Sums(beside_ones(((answers.scores - outcome) ** 2).sum(axis=1)), mean)


def ece(answers: ModelAnswers, options: Options) -> Statistic:
    """Returns the expected calibration error: the mean distance, over BINS bins of equal width weighted by their rows,
    between the probability and the share of rows where it came true (Naeini et al. 2015). For more than two classes
    it is that of the most probable class (Guo et al. 2017), or of the class that the check names."""
    return _Calibration(*_chances(answers, options, top=True))


def ece_floor(answers: ModelAnswers, options: Options) -> float:
    """Returns the calibration error that perfectly calibrated answers have on these rows by chance, since the distance
    in each bin is never below 0: the mean of a half-normal distribution, sqrt(2 / pi) of the standard error, in
    each."""
    import numpy as np

    chance, _ = _chances(answers, options, top=True)
    bins = np.minimum((chance * BINS).astype(int), BINS - 1)
    spread = np.bincount(bins, weights=chance * (1 - chance), minlength=BINS)
    return float(np.sqrt(2 / np.pi) * np.sqrt(spread).sum() / len(chance))


def calibration_slope(answers: ModelAnswers, options: Options) -> Statistic:
    """Returns the slope of a logistic regression of the outcome on the log odds of the probability (Cox 1958): 1 is
    best; below it the probabilities are too extreme, above it too timid."""
    return _Slope(*_chances(answers, options, top=False))


def exact_calibration_slope(answers: ModelAnswers, options: Options) -> float:
    import numpy as np

    chance, outcome = _chances(answers, options, top=False)
    return _slope(_log_odds(chance), outcome, np.ones(len(chance)))


def _normalised(answers: ModelAnswers) -> Floats:
    """Returns a column per class. Sums that are 1 but for the rounding of float32 are made 1."""
    import numpy as np

    assert answers.scores is not None
    if answers.task == BINARY:
        return np.column_stack([1 - answers.scores, answers.scores])
    return answers.scores / answers.scores.sum(axis=1, keepdims=True)


def _of_truth(answers: ModelAnswers) -> Floats:
    """Returns the probability that each row's class was given."""
    import numpy as np

    return _normalised(answers)[np.arange(answers.rows), answers.truth.astype(int)]


def _chances(answers: ModelAnswers, options: Options, *, top: bool) -> tuple[Floats, Floats]:
    """Returns probabilities, and 1 where they came true, else 0. Raises Unmeasurable if it is not said of which
    class."""
    assert answers.scores is not None
    if options.of_class is not None:
        place = place_of(options.of_class, answers)
        return _normalised(answers)[:, place], (answers.truth == place).astype(float)
    if answers.task == BINARY:
        return answers.scores, answers.truth.astype(float)
    if not top:
        raise Unmeasurable("calibration_slope of more than two classes is that of one", hint="Add class: to the check.")
    return answers.scores.max(axis=1), (answers.scores.argmax(axis=1) == answers.truth).astype(float)


class _Calibration:
    def __init__(self, chance: Floats, outcome: Floats) -> None:
        import numpy as np

        self._bins = np.minimum((chance * BINS).astype(int), BINS - 1)
        self._excess = outcome - chance

    def value(self, rows: Rows) -> float:
        import numpy as np

        excess = np.bincount(self._bins[rows], weights=self._excess[rows], minlength=BINS)
        return float(ratio(abs(excess).sum(), len(rows)))


class _Slope:
    def __init__(self, chance: Floats, outcome: Floats) -> None:
        import numpy as np

        groups = grouped(chance)
        many = int(groups.max(initial=0)) + 1
        sizes = np.bincount(groups, minlength=many)
        self._odds = np.bincount(groups, weights=_log_odds(chance), minlength=many) / np.maximum(sizes, 1)
        self._keys = groups * 2 + outcome.astype(int)

    def value(self, rows: Rows) -> float:
        import numpy as np

        counts = np.bincount(self._keys[rows], minlength=2 * len(self._odds)).astype(float)
        there = counts[0::2] + counts[1::2]
        used = there > 0
        return _slope(self._odds[used], counts[1::2][used] / there[used], there[used])


def _log_odds(chance: Floats) -> NDArray[Any]:
    import numpy as np

    kept = np.clip(chance, _CLIP, 1 - _CLIP)
    return np.log(kept) - np.log1p(-kept)


def _slope(odds: Floats, share: Floats, weight: Floats) -> float:
    """Returns the slope that maximises the likelihood, by Newton's method; NaN where it is not defined: one outcome
    only, one probability only, or outcomes that a threshold parts."""
    import numpy as np

    happened = float((share * weight).sum())
    if len(np.unique(odds)) < 2 or not 0 < happened < float(weight.sum()):
        return float("nan")
    level, slope = 0.0, 1.0
    for _ in range(_NEWTON_STEPS):
        expected = 1 / (1 + np.exp(-np.clip(level + slope * odds, -700, 700)))
        wrong, spread = weight * (share - expected), weight * expected * (1 - expected)
        a, b, c = float(spread.sum()), float((spread * odds).sum()), float((spread * odds**2).sum())
        scale = a * c - b * b
        if not scale > 1e-12 * max(1.0, a * c):
            return float("nan")
        first, second = float(wrong.sum()), float((wrong * odds).sum())
        moved, turned = (c * first - b * second) / scale, (a * second - b * first) / scale
        level, slope = level + moved, slope + turned
        if abs(slope) > _MAX_SLOPE:
            return float("nan")
        if abs(moved) + abs(turned) < 1e-10 * (1 + abs(slope)):
            return slope
    return float("nan")
