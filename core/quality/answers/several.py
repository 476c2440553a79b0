"""Answers for more than two classes, and for several labels at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..metrics import ModelAnswers, Unmeasurable, listed
from ..outputs import Column, Output
from ..target.truths import Truth
from .columns import LABEL, PROBABILITY, SETTLE, by_classes, numbers, of_name, places

if TYPE_CHECKING:
    from numpy.typing import NDArray

# How far the sum of a row of probabilities may be from 1: float32 models round.
SUM_TOLERANCE = 1e-3


def multiclass(output: Output, truth: Truth, said: str, *, ordered: bool) -> ModelAnswers:
    """Returns the answers for more than two classes: a column of labels, or one of probabilities or scores for each
    class. `ordered` says that the columns are in the order of the classes. Raises Unmeasurable for anything else."""
    import numpy as np

    classes = truth.classes
    if output.width == 1:
        _ensure_labels(output.columns[0], classes, said)
        labels = np.asarray(places(output.columns[0], classes), dtype=np.intp)
        return ModelAnswers(truth.values, None, labels, truth.task, classes)
    columns = (None if ordered else by_classes(output, classes)) or output.columns
    if len(columns) != len(classes):
        names = f" ({listed(output.names)})" if any(output.names) else ""
        raise Unmeasurable(
            f"the model gives {output.width} numbers a row{names} for the target's {len(classes)} classes"
            f" ({listed(classes)})",
            hint="Name all classes of the model in order (classes:), or the columns that are meant (prediction:).",
        )
    scores = np.column_stack([numbers(column) for column in columns])
    return _of_scores(scores, truth, said)


def _ensure_labels(column: Column, classes: tuple[Any, ...], said: str) -> None:
    if said == PROBABILITY or (not said and of_name(column.name) == PROBABILITY):
        raise Unmeasurable(
            f"one number a row ({column.name or 'without a name'}) is not the probabilities of {len(classes)} classes",
            hint="The model has to answer with a column for each class, or with labels.",
        )


def _of_scores(scores: NDArray[Any], truth: Truth, said: str) -> ModelAnswers:
    """Takes a column per class for probabilities if each row is a distribution, for scores if some are outside
    0 … 1."""
    within = ((scores >= 0) & (scores <= 1)).all(axis=1)
    spread = within & (abs(scores.sum(axis=1) - 1) <= SUM_TOLERANCE)
    hard = bool(spread.all()) and set(scores.ravel().tolist()) <= {0.0, 1.0}
    labels = scores.argmax(axis=1)
    if said == LABEL:
        if not hard:
            raise Unmeasurable("the gate says answers: label, but the model gives numbers that are not one 1 a row")
        return ModelAnswers(truth.values, None, labels, truth.task, truth.classes)
    if hard and not said:
        raise Unmeasurable(
            f"the model gives {scores.shape[1]} numbers a row, which are only 0 and 1: these may be labels or"
            " probabilities",
            hint=f"{SETTLE}.",
        )
    if spread.all():
        return ModelAnswers(truth.values, scores, labels, truth.task, truth.classes, probabilities=True)
    if within.all() or said == PROBABILITY:
        row = int(spread.argmin())
        shown = ", ".join(f"{value:.4g}" for value in scores[row, :6])
        raise Unmeasurable(
            f"the model's numbers are not the probabilities of {scores.shape[1]} classes: {int((~spread).sum())} of"
            f" {len(scores)} rows are not in 0 … 1 with the sum 1, such as {shown}",
            hint="If a row may have several labels, its target is several columns: target: [a, b].",
        )
    return ModelAnswers(truth.values, scores, labels, truth.task, truth.classes)


def multilabel(output: Output, truth: Truth, said: str, *, ordered: bool) -> ModelAnswers:
    """Returns the answers for several labels at a time: a column of 0 and 1, of probabilities or of scores for each.
    Raises Unmeasurable for anything else."""
    import numpy as np

    classes = truth.classes
    columns = (None if ordered else by_classes(output, classes)) or output.columns
    if len(columns) != len(classes):
        names = f" ({listed(output.names)})" if any(output.names) else ""
        words = f"the model gives {output.width} numbers a row{names} for {len(classes)} labels ({listed(classes)})"
        raise Unmeasurable(words, hint="Say which columns are meant: prediction: on the gate, in the order of target.")
    scores = np.column_stack([numbers(column) for column in columns])
    hard = set(np.unique(scores).tolist()) <= {0.0, 1.0}
    whole = all(column.values.dtype.kind in "iub" for column in columns)
    within = bool(((scores >= 0) & (scores <= 1)).all())
    if said == LABEL or (whole and said != PROBABILITY):
        if not hard:
            raise Unmeasurable("the model's labels have to be 0 or 1 in each column")
        return ModelAnswers(truth.values, None, scores.astype(np.int8), truth.task, classes)
    if said == PROBABILITY and not within:
        outside = scores[(scores < 0) | (scores > 1)]
        raise Unmeasurable(f"the gate says answers: probability, but {outside[0]:.6g} is not in 0 … 1")
    if hard and not said:
        words = "the model's answers are only 0 and 1: these may be labels or probabilities"
        raise Unmeasurable(words, hint=f"{SETTLE}.")
    labels = (scores >= 0.5).astype(np.int8) if within else None
    return ModelAnswers(truth.values, scores, labels, truth.task, classes, probabilities=within)
