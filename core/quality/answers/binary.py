"""Answers for two classes: labels, probabilities or scores in one column, or the probabilities of both in two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..metrics import ModelAnswers, Unmeasurable, listed
from ..outputs import Column, Output
from ..target.truths import Truth
from .columns import LABEL, PROBABILITY, SETTLE, by_classes, numbers, of_name, places
from .several import SUM_TOLERANCE

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PAIR_HINT = (
    "If one of them is meant, name it: prediction: on the gate. If these are the probabilities of two classes, say"
    " answers: probability."
)


def binary(output: Output, truth: Truth, *, said: str, declared: str) -> ModelAnswers:
    """Returns the answers for two classes. Raises Unmeasurable if they may mean two things."""
    if output.width > 2:
        pair = by_classes(output, truth.classes)
        if pair is None:
            names = f" ({listed(output.names)})" if any(output.names) else ""
            raise Unmeasurable(
                f"the model gives {output.width} numbers a row{names}; two classes need one or two",
                hint="Say which column is meant: prediction: on the gate.",
            )
        return _of_pair(pair, truth, said)
    if output.width == 1:
        column = output.columns[0]
        return _of_column(column, truth, said or declared or of_name(column.name), said=bool(said))
    return _of_pair(by_classes(output, truth.classes) or output.columns, truth, said)


def _of_column(column: Column, truth: Truth, meaning: str, *, said: bool) -> ModelAnswers:
    if column.strange or column.values.dtype.kind == "O":
        if meaning == PROBABILITY and said:
            shown = column.strange or column.values[0]
            raise Unmeasurable(f"the gate says answers: probability, but the model answers {str(shown)[:40]!r}")
        return _of_labels(column, truth)
    whole = column.values.dtype.kind in "iub"
    if meaning == LABEL or (whole and not (said and meaning == PROBABILITY)):
        return _of_labels(column, truth)
    scores = numbers(column)
    if meaning == PROBABILITY:
        _ensure_probabilities(scores, said=said)
    elif _may_be_labels(scores, truth.classes):
        raise Unmeasurable(
            f"the model's answers are only {_listed(scores)}: these may be labels or probabilities", hint=f"{SETTLE}."
        )
    return _from_scores(scores, truth)


def _of_pair(columns: tuple[Column, ...], truth: Truth, said: str) -> ModelAnswers:
    """Takes two columns, that of the positive class last, for the probabilities of two classes if each row is a
    distribution, or the gate says so."""
    first, second = (numbers(column) for column in columns)
    within = (first >= 0) & (first <= 1) & (second >= 0) & (second <= 1)
    good = within & (abs(first + second - 1) <= SUM_TOLERANCE)
    hard = bool(good.all()) and set(second.tolist()) <= {0.0, 1.0}
    if said == LABEL:
        if not hard:
            raise Unmeasurable(
                "the gate says answers: label, but the model gives two numbers a row, which are no labels",
                hint="If one of them is meant, name it: prediction: on the gate.",
            )
        return _answers(truth, None, second)
    if said == PROBABILITY:
        _ensure_pair(first, second, within, "0 … 1", "The gate says answers: probability.")
    else:
        _ensure_pair(first, second, good, "0 … 1 with the sum 1", _PAIR_HINT)
        if hard:
            raise Unmeasurable(
                "the model gives two numbers a row, which are only 0 and 1: these may be labels or probabilities",
                hint=f"{SETTLE}.",
            )
    return _from_scores(second, truth)


def _ensure_pair(first: NDArray[Any], second: NDArray[Any], good: NDArray[Any], limits: str, hint: str) -> None:
    import numpy as np

    bad = int((~good).sum())
    if bad:
        row = int(np.argmin(good))
        raise Unmeasurable(
            f"the model gives two numbers a row, which are not the probabilities of two classes: {bad} of {len(good)}"
            f" rows are not in {limits}, such as {first[row]:.6g}, {second[row]:.6g}",
            hint=hint,
        )


def _may_be_labels(scores: NDArray[Any], classes: tuple[Any, ...]) -> bool:
    values = set(scores.tolist())
    return values <= {0.0, 1.0} or values <= set(classes)


def _listed(scores: NDArray[Any]) -> str:
    return " and ".join(f"{value:g}" for value in sorted(set(scores.tolist())))


def _ensure_probabilities(scores: NDArray[Any], *, said: bool) -> None:
    outside = scores[(scores < 0) | (scores > 1)]
    if len(outside):
        who = "the gate says answers: probability" if said else "the model's output is called a probability"
        raise Unmeasurable(
            f"{who}, but {len(outside)} of {len(scores)} answers are not in 0 … 1, such as {outside[0]:.6g}"
        )


def _from_scores(scores: NDArray[Any], truth: Truth) -> ModelAnswers:
    bounded = bool((scores >= 0).all() and (scores <= 1).all())
    return _answers(truth, scores, (scores >= 0.5).astype(float) if bounded else None, probabilities=bounded)


def _of_labels(column: Column, truth: Truth) -> ModelAnswers:
    import numpy as np

    return _answers(truth, None, np.asarray(places(column, truth.classes), dtype=float))


def _answers(
    truth: Truth, scores: NDArray[Any] | None, labels: NDArray[Any] | None, *, probabilities: bool = False
) -> ModelAnswers:
    return ModelAnswers(truth.values, scores, labels, truth.task, truth.classes, probabilities)
