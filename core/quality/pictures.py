"""What a report keeps to be drawn: which classes were taken for which, and whether probabilities mean what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..domain.metrics import BINARY, MULTICLASS
from ..domain.verdicts import CalibrationBin, Confusion, FlippedRow, Flips

if TYPE_CHECKING:
    from .metrics import ModelAnswers

MOST_CLASSES = 20
BINS = 10
MOST_FLIPS = 100


def confusion(answers: ModelAnswers) -> Confusion | None:
    """Returns how many rows of each class were taken for which; None for other tasks, without labels, or of more than
    MOST_CLASSES classes."""
    import numpy as np

    if answers.task not in (BINARY, MULTICLASS) or answers.labels is None:
        return None
    names = tuple(str(name) for name in answers.classes)
    if not 2 <= len(names) <= MOST_CLASSES:
        return None
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (_whole(answers.truth), _whole(answers.labels)), 1)
    return Confusion(names, tuple(tuple(int(each) for each in row) for row in counts))


def calibration(answers: ModelAnswers) -> tuple[CalibrationBin, ...]:
    """Returns for each tenth of the probabilities what was predicted and what came true: of the positive class, or of
    several the most likely one. Empty without probabilities."""
    import numpy as np

    if answers.task not in (BINARY, MULTICLASS) or answers.scores is None or not answers.probabilities:
        return ()
    scores = np.asarray(answers.scores, dtype=float)
    truth = _whole(answers.truth)
    if scores.ndim == 2:
        best = scores.argmax(axis=1)
        predicted, came_true = scores[np.arange(len(best)), best], truth == best
    else:
        predicted, came_true = scores, truth == 1
    places = np.minimum((predicted * BINS).astype(int), BINS - 1)
    found: list[CalibrationBin] = []
    for place in range(BINS):
        here = places == place
        if here.any():
            found.append(CalibrationBin(float(predicted[here].mean()), float(came_true[here].mean()), int(here.sum())))
    return tuple(found)


def flips(answers: ModelAnswers, before: ModelAnswers) -> Flips | None:
    """Returns on which rows a model is right where another one was wrong, and the other way round; at most MOST_FLIPS
    of them by name. None for other tasks, without labels, and where both were not asked the same."""
    import numpy as np

    if answers.task not in (BINARY, MULTICLASS) or answers.task != before.task or answers.classes != before.classes:
        return None
    if answers.labels is None or before.labels is None or not np.array_equal(answers.truth, before.truth):
        return None
    truth, mine, other = (_whole(each) for each in (answers.truth, answers.labels, before.labels))
    worse = np.flatnonzero((other == truth) & (mine != truth))
    better = np.flatnonzero((other != truth) & (mine == truth))
    shown = worse[: max(MOST_FLIPS // 2, MOST_FLIPS - len(better))]
    shown = [*shown, *better[: MOST_FLIPS - len(shown)]]
    names = [str(each) for each in answers.classes]
    numbers = answers.index if answers.index is not None else np.arange(len(truth))
    rows = (FlippedRow(int(numbers[at]) + 1, *(names[int(each[at])] for each in (truth, other, mine))) for at in shown)
    return Flips(len(better), len(worse), tuple(rows))


def _whole(values: Any) -> Any:
    import numpy as np

    return np.asarray(values).astype(np.int64)
