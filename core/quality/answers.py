"""Turns what a pyfunc model returns into ModelAnswers: labels, scores, probabilities or numbers.

What an answer means is said, by its type, by the model's signature or by the gate's key `answers`. Where it is not,
that is an error: a label that is taken for a probability passes or fails a gate for no reason.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, cast

from .metrics import ModelAnswers, Unmeasurable
from .outputs import Column, Output

if TYPE_CHECKING:
    from numpy.typing import NDArray

LABEL = "label"
PROBABILITY = "probability"
# A whole-number target with at most this many values is a class, not a quantity.
_MAX_CLASSES = 2
# How far the sum of a row of probabilities may be from 1: float32 models round.
_SUM_TOLERANCE = 1e-3
_LABEL_TYPES = ("integer", "long", "boolean", "string")
# Words of an output's name that say what it is.
_WORDS = {
    PROBABILITY: frozenset({"prob", "probs", "proba", "probability", "probabilities"}),
    LABEL: frozenset({"label", "labels", "class"}),
}
_PAIR_HINT = (
    "A gate measures one output. If these are the probabilities of two classes, say answers: probability on the gate."
)
_SETTLE = "Say answers: label or answers: probability on the gate"


def truth_of(column: Any, name: str) -> tuple[NDArray[Any], tuple[Any, ...]]:
    """Returns the target as an array, and its two classes in order (the positive one last), or no classes if it is a
    quantity.

    Raises Unmeasurable if the target has gaps, or more than two classes that are not numbers.
    """
    import numpy as np

    gaps = int(column.isna().sum())
    if gaps:
        raise Unmeasurable(
            f"the target {name!r} is missing in {gaps} of {len(column)} rows",
            hint="Leave those rows out of the gate's data.",
        )
    values: NDArray[Any] = column.to_numpy()
    distinct: set[Any] = set(cast("list[Any]", values.tolist()))
    classes = tuple(sorted(distinct, key=lambda value: (type(value).__name__, value)))
    if values.dtype.kind in "fiu" and len(classes) > _MAX_CLASSES:
        return values.astype(float), ()
    if values.dtype.kind == "f" and not set(classes) <= {0.0, 1.0}:
        return values.astype(float), ()
    if len(classes) > _MAX_CLASSES:
        raise Unmeasurable(f"the target {name!r} has {len(classes)} classes; a gate measures two classes or a number")
    if len(classes) == 1:
        # One class only: which of the two it is can be told for truth values, and must be for recall to mean anything.
        classes = (0, 1) if classes[0] in (0, 1) else (None, classes[0])
    return np.asarray(values == classes[1], dtype=float), classes


def answers_of(
    output: Output, truth: NDArray[Any], classes: tuple[Any, ...], *, said: str = "", declared: str = ""
) -> ModelAnswers:
    """Returns the model's answers, one per row.

    `said` is the gate's `answers` and `declared` what the model's signature tells (`declared_by`): LABEL, PROBABILITY
    or "". Raises Unmeasurable if answers are missing, too few, or may mean two things.
    """
    if output.width == 0 or output.rows != len(truth):
        raise Unmeasurable(f"the model gave {output.rows} answers for {len(truth)} rows")
    if output.width > len(output.columns):
        names = f" ({', '.join(output.names)})" if any(output.names) else ""
        raise Unmeasurable(
            f"the model gives {output.width} numbers a row{names}; a gate measures two classes or a number"
        )
    if not classes:
        return _quantities(output, truth, said)
    if output.width == 1:
        column = output.columns[0]
        meaning = said or declared or _of_name(column.name)
        return _of_column(column, truth, classes, meaning, said=bool(said))
    return _of_pair(output, truth, classes, said)


def declared_by(outputs: str) -> str:
    """Returns what the signature (MLflow's JSON of the outputs) says that a single output is: LABEL for whole
    numbers, truth values and words, or by its name; "" where it does not tell."""
    entries: list[dict[str, Any]] = json.loads(outputs) if outputs else []
    if len(entries) != 1:
        return ""
    kind = str(entries[0].get("tensor-spec", {}).get("dtype") or entries[0].get("type", ""))
    if kind in _LABEL_TYPES or kind.startswith(("int", "uint", "bool", "str")):
        return LABEL
    return _of_name(str(entries[0].get("name", "")))


def _of_name(name: str) -> str:
    words = set(re.split(r"[^a-z]+", name.lower()))
    return next((meaning for meaning, known in _WORDS.items() if words & known), "")


def _quantities(output: Output, truth: NDArray[Any], said: str) -> ModelAnswers:
    if said:
        raise Unmeasurable(
            f"the gate says answers: {said}, but its target has more than two values",
            hint="A gate measures two classes or a number; leave out answers for a number.",
        )
    if output.width > 1:
        raise Unmeasurable(f"the model gives {output.width} numbers a row; a target that is a number needs one")
    return ModelAnswers(truth, _numbers(output.columns[0]), None, binary=False)


def _of_column(
    column: Column, truth: NDArray[Any], classes: tuple[Any, ...], meaning: str, *, said: bool
) -> ModelAnswers:
    if column.strange or column.values.dtype.kind == "O":
        if meaning == PROBABILITY and said:
            shown = column.strange or column.values[0]
            raise Unmeasurable(f"the gate says answers: probability, but the model answers {str(shown)[:40]!r}")
        return _of_labels(column, truth, classes)
    whole = column.values.dtype.kind in "iub"
    if meaning == LABEL or (whole and not (said and meaning == PROBABILITY)):
        return _of_labels(column, truth, classes)
    scores = _numbers(column)
    if meaning == PROBABILITY:
        _ensure_probabilities(scores, said=said)
    elif _may_be_labels(scores, classes):
        raise Unmeasurable(
            f"the model's answers are only {_listed(scores)}: these may be labels or probabilities", hint=f"{_SETTLE}."
        )
    return _from_scores(scores, truth)


def _of_pair(output: Output, truth: NDArray[Any], classes: tuple[Any, ...], said: str) -> ModelAnswers:
    """Takes two columns for the probabilities of two classes if each row is a distribution, or the gate says so."""
    first, second = (_numbers(column) for column in output.columns)
    names = [column.name for column in output.columns]
    positive = first if names == [str(classes[1]), str(classes[0])] else second
    within = (first >= 0) & (first <= 1) & (second >= 0) & (second <= 1)
    good = within & (abs(first + second - 1) <= _SUM_TOLERANCE)
    hard = bool(good.all()) and set(positive.tolist()) <= {0.0, 1.0}
    if said == LABEL:
        if not hard:
            raise Unmeasurable(
                "the gate says answers: label, but the model gives two numbers a row, which are no labels",
                hint="A gate measures one output.",
            )
        return ModelAnswers(truth, None, positive, binary=True)
    if said == PROBABILITY:
        _ensure_pair(first, second, within, "0 … 1", "The gate says answers: probability.")
    else:
        _ensure_pair(first, second, good, "0 … 1 with the sum 1", _PAIR_HINT)
        if hard:
            raise Unmeasurable(
                "the model gives two numbers a row, which are only 0 and 1: these may be labels or probabilities",
                hint=f"{_SETTLE}.",
            )
    return _from_scores(positive, truth)


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


def _numbers(column: Column) -> NDArray[Any]:
    import numpy as np

    if column.strange:
        raise Unmeasurable(f"the model's answers are no numbers, but {column.strange!r} and the like")
    values = column.values
    try:
        numbers = values.astype(float)
    except (TypeError, ValueError) as error:
        raise Unmeasurable(f"the model's answers are no numbers, but {str(values[0])[:40]!r} and the like") from error
    bad = int((~np.isfinite(numbers)).sum())
    if bad:
        raise Unmeasurable(
            f"{bad} of {len(numbers)} answers are missing or infinite",
            hint="A model must answer every row with a number.",
        )
    return numbers


def _from_scores(scores: NDArray[Any], truth: NDArray[Any]) -> ModelAnswers:
    bounded = bool((scores >= 0).all() and (scores <= 1).all())
    return ModelAnswers(
        truth, scores, (scores >= 0.5).astype(float) if bounded else None, binary=True, probabilities=bounded
    )


def _of_labels(column: Column, truth: NDArray[Any], classes: tuple[Any, ...]) -> ModelAnswers:
    import numpy as np

    if column.strange:
        raise Unmeasurable(f"the model answers {column.strange!r}, which is no label")
    values = column.values
    if values.dtype.kind == "f":
        _numbers(column)
    known = {value for value in classes if value is not None}
    strange = [value for value in values.tolist() if value not in known]
    if None in strange:
        raise Unmeasurable(f"{strange.count(None)} of {len(values)} answers are missing")
    if strange and None not in classes:
        raise Unmeasurable(
            f"the model answers {str(strange[0])[:40]!r}, which is none of the target's classes"
            f" {sorted(map(str, known))}"
        )
    return ModelAnswers(truth, None, np.asarray(values == classes[1], dtype=float), binary=True)
