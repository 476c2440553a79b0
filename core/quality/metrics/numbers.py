"""Metrics of numbers: regression, quantiles and forecasts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .model import ModelAnswers, Statistic, Unmeasurable
from .options import Options
from .reference import scored
from .statistics import OfRows, Sums, beside_ones, mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .model import Floats


def _errors(answers: ModelAnswers) -> NDArray[Any]:
    assert answers.scores is not None
    return answers.scores - answers.truth


def rmse(answers: ModelAnswers, options: Options) -> Statistic:
    return Sums(beside_ones(_errors(answers) ** 2), lambda sums: mean(sums) ** 0.5)


def exact_rmse(answers: ModelAnswers, options: Options) -> float:
    return scored("mean_squared_error", answers.truth, answers.scores) ** 0.5


def mae(answers: ModelAnswers, options: Options) -> Statistic:
    return Sums(beside_ones(abs(_errors(answers))), mean)


def exact_mae(answers: ModelAnswers, options: Options) -> float:
    return scored("mean_absolute_error", answers.truth, answers.scores)


def median_ae(answers: ModelAnswers, options: Options) -> Statistic:
    import numpy as np

    return OfRows(abs(_errors(answers)), lambda errors: float(np.median(errors)))


def exact_median_ae(answers: ModelAnswers, options: Options) -> float:
    return scored("median_absolute_error", answers.truth, answers.scores)


def mape(answers: ModelAnswers, options: Options) -> Statistic:
    """Returns the mean of the errors as shares of the truth. A truth of 0 counts as the smallest step of a double, as
    in scikit-learn, which makes the value enormous."""
    import numpy as np

    smallest = np.finfo(np.float64).eps
    return Sums(beside_ones(abs(_errors(answers)) / np.maximum(abs(answers.truth), smallest)), mean)


def exact_mape(answers: ModelAnswers, options: Options) -> float:
    return scored("mean_absolute_percentage_error", answers.truth, answers.scores)


def smape(answers: ModelAnswers, options: Options) -> Statistic:
    """Returns the mean of 2 |error| / (|truth| + |answer|), between 0 and 2 (Makridakis 1993); two zeros are no
    error."""
    from .statistics import ratio

    assert answers.scores is not None
    return Sums(beside_ones(ratio(2 * abs(_errors(answers)), abs(answers.truth) + abs(answers.scores))), mean)


def pinball(answers: ModelAnswers, options: Options) -> Statistic:
    """Returns the mean loss of a quantile (Koenker and Bassett 1978)."""
    import numpy as np

    quantile, missed = _quantile(options), -_errors(answers)
    return Sums(beside_ones(np.maximum(quantile * missed, (quantile - 1) * missed)), mean)


def exact_pinball(answers: ModelAnswers, options: Options) -> float:
    return scored("mean_pinball_loss", answers.truth, answers.scores, alpha=_quantile(options))


def _quantile(options: Options) -> float:
    if options.quantile is None:
        raise Unmeasurable("pinball is the loss of a quantile", hint="Add quantile: 0.9 to the check.")
    return options.quantile


def r2(answers: ModelAnswers, options: Options) -> Statistic:
    """Returns the share of the variance that is explained. The truth is centred first, so that a large mean does not
    cost the variance its digits."""
    centred = answers.truth - answers.truth.mean()
    return Sums(beside_ones(_errors(answers) ** 2, centred, centred**2), _explained)


def _explained(sums: Floats) -> float:
    wrong, first, second, rows = (float(each) for each in sums)
    spread = second - first**2 / rows
    return 1.0 - wrong / spread if spread > 0 else float("nan")


def exact_r2(answers: ModelAnswers, options: Options) -> float:
    constant = not (answers.truth != answers.truth[0]).any()
    return float("nan") if constant or answers.rows < 2 else scored("r2_score", answers.truth, answers.scores)


def mase(answers: ModelAnswers, options: Options) -> Statistic:
    """Returns the mean of the absolute errors, each as a multiple of the naive forecast's mean absolute error on the
    series before these rows (Hyndman and Koehler 2006). Raises Unmeasurable without such a history."""
    if answers.scale is None:
        hint = "Say where the series before these rows are: series: {by: …, time: …, history: data/train.parquet}."
        raise Unmeasurable("mase compares with the naive forecast on the series before these rows", hint=hint)
    return Sums(beside_ones(abs(_errors(answers)) / answers.scale), mean)
