"""Turns what a pyfunc model returns into Answers: labels, scores, probabilities or numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from .metrics import ModelAnswers, Unmeasurable

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A whole-number target with at most this many values is a class, not a quantity.
_MAX_CLASSES = 2


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


def answers_of(output: Any, truth: NDArray[Any], classes: tuple[Any, ...]) -> ModelAnswers:
    """Returns the model's answers, one per row. Raises Unmeasurable if they are missing, too few or cannot be
    interpreted."""
    import numpy as np

    values = np.asarray(output)
    if values.ndim == 0 or len(values) != len(truth):
        raise Unmeasurable(f"the model gave {len(values) if values.ndim else 1} answers for {len(truth)} rows")
    if values.ndim > 1:
        values = _one_column(values.reshape(len(values), -1))
        table = True
    else:
        table = False
    if not classes:
        return ModelAnswers(truth, _numbers(values), None, binary=False)
    if values.dtype.kind in "f" or table:
        return _from_scores(_numbers(values), truth)
    labels = _labels(values, classes)
    return ModelAnswers(truth, None, labels, binary=True)


def _one_column(values: NDArray[Any]) -> NDArray[Any]:
    if values.shape[1] > 2:
        raise Unmeasurable(f"the model gives {values.shape[1]} numbers a row; a gate measures two classes or a number")
    return values[:, -1]


def _numbers(values: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

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


def _labels(values: NDArray[Any], classes: tuple[Any, ...]) -> NDArray[Any]:
    import numpy as np

    known = {value for value in classes if value is not None}
    strange = [value for value in values.tolist() if value not in known]
    if strange and None not in classes:
        raise Unmeasurable(
            f"the model answers {str(strange[0])[:40]!r}, which is none of the target's classes"
            f" {sorted(map(str, known))}"
        )
    return np.asarray(values == classes[1], dtype=float)
