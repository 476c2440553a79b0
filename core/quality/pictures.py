"""What a report keeps to be drawn: which classes were taken for which, and whether probabilities mean what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..domain.metrics import BINARY, MULTICLASS
from ..domain.verdicts import CalibrationBin, Confusion

if TYPE_CHECKING:
    from .metrics import ModelAnswers

MOST_CLASSES = 20
BINS = 10


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


def _whole(values: Any) -> Any:
    import numpy as np

    return np.asarray(values).astype(np.int64)
