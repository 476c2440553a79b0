"""The metrics that a gate knows, each with the direction in which it is better.

All but the area under the curve are functions of sums over rows, so that a resample of the rows is a weighted sum,
which `bootstrap.py` relies on. The tests compare them with scikit-learn's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from .. import plugins
from ..domain.frozen import Frozen
from ..errors import PodiumError

if TYPE_CHECKING:
    from numpy import bool_, floating
    from numpy.typing import NDArray

    Floats = NDArray[floating[Any]]
    Flags = NDArray[bool_]

MAXIMIZE = "maximize"
MINIMIZE = "minimize"

# Probabilities are kept this far from 0 and 1 in log_loss, as scikit-learn does for doubles.
_EPSILON = 2.220446049250313e-16


class Unmeasurable(PodiumError):
    """Raised when a metric cannot be computed from these answers. The gate records it as an error."""


class ModelAnswers(Frozen):
    """One model's answers for the rows, beside the truth.

    Classification (`binary`): `truth` is 1 if the row is of the positive class, else 0; `labels` is 0 or 1; `scores`
    are numbers that grow with the model's belief in the positive class. `labels` is None for scores outside 0..1,
    where no threshold is known; `scores` is None for a model that returns labels only. Regression: `truth` and
    `scores` are the numbers themselves.
    """

    truth: Floats
    scores: Floats | None
    labels: Floats | None
    binary: bool
    probabilities: bool = False

    @property
    def rows(self) -> int:
        return int(self.truth.shape[0])

    def only(self, rows: Flags) -> ModelAnswers:
        """Returns the answers of the rows where `rows` is true."""
        return ModelAnswers(
            self.truth[rows],
            None if self.scores is None else self.scores[rows],
            None if self.labels is None else self.labels[rows],
            self.binary,
            self.probabilities,
        )


class Metric(Frozen):
    """A metric: per-row terms and how their weighted sums become a value."""

    name: str
    """Name in podium.yaml."""
    goal: str
    """MAXIMIZE or MINIMIZE: the direction in which it is better."""
    needs: str
    """What it needs of the answers: labels, scores, probabilities or numbers."""
    sums: Callable[[ModelAnswers], Floats] | None = None
    """Per-row terms, of shape (rows, k)."""
    combine: Callable[[Floats], Floats] | None = None
    """Turns weighted sums of the terms, of shape (…, k), into values of shape (…)."""
    ranks: bool = False
    """True for the area under the curve, which is not a function of sums."""

    @property
    def sign(self) -> float:
        return 1.0 if self.goal == MAXIMIZE else -1.0


def measure(metric: Metric, answers: ModelAnswers) -> float:
    """Returns the metric's value. Raises Unmeasurable where it is not defined."""
    check(metric, answers)
    if metric.ranks:
        return area(answers)
    assert metric.sums is not None and metric.combine is not None
    value = float(metric.combine(metric.sums(answers).sum(axis=0)))
    if not math.isfinite(value):
        raise Unmeasurable(f"{metric.name} is not defined on these {answers.rows:,} rows")
    return value


def check(metric: Metric, answers: ModelAnswers) -> None:
    """Raises Unmeasurable, with the reason, if `metric` cannot be computed from these answers."""
    if answers.rows == 0:
        raise Unmeasurable("there are no rows to measure on")
    if (metric.needs == "numbers") == answers.binary:
        kind = "a classifier with two classes" if answers.binary else _kind_of_target(answers.truth)
        raise Unmeasurable(f"{metric.name} cannot be measured on {kind}")
    if metric.needs == "labels" and answers.labels is None:
        raise Unmeasurable(f"{metric.name} needs labels or probabilities; the model answers with scores outside 0 … 1")
    if metric.needs in ("scores", "probabilities") and answers.scores is None:
        raise Unmeasurable(
            f"{metric.name} needs probabilities; the model answers with labels only", hint=PROBABILITIES_HINT
        )
    if metric.needs == "probabilities" and not answers.probabilities:
        raise Unmeasurable(
            f"{metric.name} needs probabilities; the model answers with scores outside 0 … 1", hint=PROBABILITIES_HINT
        )
    if answers.binary and metric.ranks and not 0 < float(answers.truth.sum()) < answers.rows:
        raise Unmeasurable(f"{metric.name} needs both classes; all {answers.rows:,} rows are of one")


def _kind_of_target(truth: Floats) -> str:
    """Returns in words what a target is that does not have two values: a few whole numbers are classes, most likely."""
    import numpy as np

    values = np.unique(truth)
    if len(values) <= _MAX_CLASSES and bool((values == np.round(values)).all()):
        return f"a target with {len(values)} classes: a gate measures two classes or a number"
    return "a target that is a number"


_MAX_CLASSES = 20
PROBABILITIES_HINT = "Log a scikit-learn model with pyfunc_predict_fn='predict_proba'."


def area(answers: ModelAnswers) -> float:
    """Returns the area under the ROC curve: the share of (positive, negative) pairs in which the positive one has
    the higher score, ties counting half."""
    import numpy as np

    assert answers.scores is not None
    _, group = np.unique(answers.scores, return_inverse=True)
    positive = np.bincount(group, weights=answers.truth).astype(float)
    negative = np.bincount(group, weights=1.0 - answers.truth).astype(float)
    return area_of_counts(positive, negative)


def area_of_counts(positive: Floats, negative: Floats) -> float:
    """Returns the same area from the number of positives and negatives per score, scores ascending."""
    below = negative.cumsum() - negative / 2
    # Not `positive @ below`: BLAS would start threads for so small a product, and on a busy machine wait for them.
    return float((positive * below).sum() / (positive.sum() * negative.sum()))


def _columns(*columns: Any) -> Floats:
    import numpy as np

    return cast("Floats", np.column_stack(columns).astype(float))


def _hits(answers: ModelAnswers) -> Floats:
    assert answers.labels is not None
    return _columns(answers.labels == answers.truth, answers.truth * 0 + 1)


def _confusion(answers: ModelAnswers) -> Floats:
    """Returns the columns true positives, predicted positives, positives."""
    assert answers.labels is not None
    return _columns(answers.labels * answers.truth, answers.labels, answers.truth)


def _log_losses(answers: ModelAnswers) -> Floats:
    import numpy as np

    assert answers.scores is not None
    p = np.clip(answers.scores, _EPSILON, 1 - _EPSILON)
    return _columns(-(answers.truth * np.log(p) + (1 - answers.truth) * np.log1p(-p)), answers.truth * 0 + 1)


def _squares(answers: ModelAnswers) -> Floats:
    assert answers.scores is not None
    return _columns((answers.scores - answers.truth) ** 2, answers.truth * 0 + 1)


def _absolutes(answers: ModelAnswers) -> Floats:
    assert answers.scores is not None
    return _columns(abs(answers.scores - answers.truth), answers.truth * 0 + 1)


def _variances(answers: ModelAnswers) -> Floats:
    """Returns the columns squared error, 1, y, y²; y is centred first, so that a large mean does not cost the
    variance its digits."""
    assert answers.scores is not None
    centred = answers.truth - answers.truth.mean()
    return _columns((answers.scores - answers.truth) ** 2, answers.truth * 0 + 1, centred, centred**2)


def _ratio(top: Any, bottom: Any) -> Any:
    """Returns top / bottom, and 0 where the bottom is 0: scikit-learn's convention for precision without
    predictions."""
    import numpy as np

    return np.divide(top, bottom, out=np.zeros_like(np.asarray(top, dtype=float)), where=np.asarray(bottom) != 0)


def _mean(sums: Floats) -> Floats:
    return _ratio(sums[..., 0], sums[..., 1])


def _r2(sums: Floats) -> Floats:
    import numpy as np

    spread = sums[..., 3] - sums[..., 2] ** 2 / sums[..., 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return cast("Floats", 1.0 - sums[..., 0] / np.where(spread > 0, spread, np.nan))


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("roc_auc", MAXIMIZE, "scores", ranks=True),
        Metric("accuracy", MAXIMIZE, "labels", _hits, _mean),
        Metric("precision", MAXIMIZE, "labels", _confusion, lambda sums: _ratio(sums[..., 0], sums[..., 1])),
        Metric("recall", MAXIMIZE, "labels", _confusion, lambda sums: _ratio(sums[..., 0], sums[..., 2])),
        Metric(
            "f1", MAXIMIZE, "labels", _confusion, lambda sums: _ratio(2 * sums[..., 0], sums[..., 1] + sums[..., 2])
        ),
        Metric("log_loss", MINIMIZE, "probabilities", _log_losses, _mean),
        Metric("brier", MINIMIZE, "probabilities", _squares, _mean),
        Metric("rmse", MINIMIZE, "numbers", _squares, lambda sums: _mean(sums) ** 0.5),
        Metric("mae", MINIMIZE, "numbers", _absolutes, _mean),
        Metric("r2", MAXIMIZE, "numbers", _variances, _r2),
    )
}


def named(name: str, goal: str = "") -> Metric:
    """Returns the metric of that name. Raises Unmeasurable for an unknown name, and for a `goal` that contradicts
    it."""
    metric = METRICS.get(name) or _of_a_package(name)
    if goal and goal != metric.goal:
        raise Unmeasurable(
            f"{name} is better the {'higher' if metric.goal == MAXIMIZE else 'lower'} it is, but the check says goal:"
            f" {goal}"
        )
    return metric


def _of_a_package(name: str) -> Metric:
    """Returns a Metric that another package brings by an entry point of `podium.metrics`."""
    added = plugins.added("metrics")
    if name not in added:
        hint = f"It knows {', '.join([*METRICS, *added])}."
        raise Unmeasurable(f"the gate does not know the metric {name!r}", hint=hint)
    found = plugins.load("metrics", name)
    if not isinstance(found, Metric):
        raise Unmeasurable(f"the metric {name!r} that a package brings is no podium.core.quality.metrics.Metric")
    return found
