"""The area under the ROC curve: of two classes, of each of many against the rest, and of several labels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ...domain.metrics import BINARY, MULTILABEL
from .model import ModelAnswers, Statistic, Unmeasurable
from .options import Options, place_of
from .reference import scored
from .statistics import Areas, Influence, below_and_above, one_hot

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .model import Floats, Rows

# An area below 0.5 by this many standard errors of a model that knows nothing, and below MOST_SUSPICIOUS, is called so.
SUSPICIOUS_ERRORS = 4.0
MOST_SUSPICIOUS = 0.45
# With more curves than this, resamples are of what each row does to the average, not of every curve again.
MAX_CURVES = 20


def roc_auc(answers: ModelAnswers, options: Options) -> Statistic:
    """Returns the area of the positive class, or of the chosen one, or the average over the classes, each against the
    rest."""
    outcomes, scores = curves(answers, options)
    if outcomes.shape[1] > MAX_CURVES:
        return Influence(*_influences(outcomes, scores, options.average))
    if options.average == "micro":
        return _Micro(outcomes, scores)
    return Areas(list(outcomes.T), list(scores.T), lambda areas, there: _averaged(areas, there, options.average))


def exact_roc_auc(answers: ModelAnswers, options: Options) -> float:
    import numpy as np

    outcomes, scores = curves(answers, options)
    if options.average == "micro":
        return scored("roc_auc_score", outcomes.ravel(), scores.ravel())
    areas = [scored("roc_auc_score", outcomes[:, place], scores[:, place]) for place in range(outcomes.shape[1])]
    return _averaged(np.asarray(areas), outcomes.sum(axis=0), options.average)


def curves(answers: ModelAnswers, options: Options) -> tuple[NDArray[Any], Floats]:
    """Returns the outcomes (1 or 0) and the scores, a column per curve. A class of which the rows have all or none has
    no curve. Raises Unmeasurable if no class has one."""
    import numpy as np

    assert answers.scores is not None
    outcomes, scores = _columns(answers)
    if options.of_class is not None:
        place = [place_of(options.of_class, answers)]
        outcomes, scores = outcomes[:, place], scores[:, place]
    elif answers.task == BINARY and not options.average:
        outcomes, scores = outcomes[:, 1:], scores[:, 1:]
    there = outcomes.sum(axis=0)
    drawn = (there > 0) & (there < answers.rows)
    if not drawn.any():
        what = "both classes" if answers.task != MULTILABEL else "rows with and without a label"
        raise Unmeasurable(f"roc_auc needs {what}; all {answers.rows:,} rows are of one")
    return np.ascontiguousarray(outcomes[:, drawn]), scores[:, drawn]


def _columns(answers: ModelAnswers) -> tuple[NDArray[Any], Floats]:
    import numpy as np

    truth, scores = answers.truth, answers.scores
    assert scores is not None
    if answers.task == MULTILABEL:
        return truth, scores
    if answers.task == BINARY:
        return np.column_stack([1 - truth, truth]), np.column_stack([-scores, scores])
    return one_hot(truth, scores.shape[1]), scores


def _averaged(areas: Floats, there: Floats, average: str) -> float:
    return float((areas * there).sum() / there.sum()) if average == "weighted" else float(areas.mean())


def _influences(outcomes: NDArray[Any], scores: Floats, average: str) -> tuple[float, Floats]:
    """Returns the average, and for each row how much it would change if the row were drawn as often again (DeLong,
    DeLong and Clarke-Pearson 1988, for each of the curves)."""
    import numpy as np

    rows, many = outcomes.shape
    there = outcomes.sum(axis=0, dtype=float)
    shares = there / there.sum() if average == "weighted" else np.full(many, 1.0 / many)
    if average == "micro":
        area, moved = _moved(outcomes.ravel(), scores.ravel())
        return area, rows * moved.reshape(rows, many).sum(axis=1)
    areas, total = np.empty(many), np.zeros(rows)
    for place in range(many):
        areas[place], moved = _moved(outcomes[:, place], scores[:, place])
        total += shares[place] * moved
    average_of_all = float((shares * areas).sum())
    if average == "weighted":  # a row also gives weight to the classes that it is of
        total += outcomes @ (areas - average_of_all) / there.sum()
    return average_of_all, rows * total


def _moved(outcome: NDArray[Any], scores: Floats) -> tuple[float, Floats]:
    """Returns the area under one curve, and what each row adds to it beyond the mean."""
    import numpy as np

    positive = outcome == 1
    below, above = below_and_above(positive, scores)
    area = float(below[positive].mean())
    number = int(positive.sum())
    return area, np.where(positive, (below - area) / number, (above - area) / (len(scores) - number))


class _Micro:
    """One curve over every class of every row."""

    def __init__(self, outcomes: NDArray[Any], scores: Floats) -> None:
        import numpy as np

        self._many = outcomes.shape[1]
        self._areas = Areas([outcomes.ravel()], [scores.ravel()], lambda areas, _: float(areas[0]))
        self._offsets: Any = np.arange(self._many)

    def value(self, rows: Rows) -> float:
        return self._areas.value((rows[:, None] * self._many + self._offsets).ravel())


def suspicion(name: str, value: float, answers: ModelAnswers) -> str:
    """Returns what is said of an area that is far under 0.5: a model that knows nothing has one of about 0.5, so that
    far under it most likely something is the wrong way round. Empty for any other metric or value.

    The standard error under no knowledge is that of the Mann-Whitney statistic (Mann and Whitney 1947).
    """
    if name != "roc_auc" or value >= MOST_SUSPICIOUS or answers.task != BINARY:
        return ""
    positive = float(answers.truth.sum())
    negative = answers.rows - positive
    error = math.sqrt((positive + negative + 1) / (12 * positive * negative))
    if value >= 0.5 - SUSPICIOUS_ERRORS * error:
        return ""
    return (
        "; far under 0.5 is suspicious: are the classes the wrong way round? The positive one is"
        f" {str(answers.classes[-1])[:40]} (gates.*.classes says their order)"
    )
