"""The columns of an answer: which are meant, what their names and types say, and their numbers, labels and words."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..metrics import Unmeasurable, listed
from ..outputs import Column, Output

if TYPE_CHECKING:
    from numpy.typing import NDArray

LABEL = "label"
PROBABILITY = "probability"
SETTLE = "Say answers: label or answers: probability on the gate"
_LABEL_TYPES = ("integer", "long", "boolean", "string")
# Words of an output's name that say what it is.
_WORDS = {
    PROBABILITY: frozenset({"prob", "probs", "proba", "probability", "probabilities"}),
    LABEL: frozenset({"label", "labels", "class"}),
}


def chosen(output: Output, prediction: Sequence[str]) -> Output:
    """Returns the answer with the columns that `prediction` names, in its order; as it is without names. Raises
    Unmeasurable if one is not there, or there twice."""
    if not prediction:
        return output
    names = [column.name for column in output.columns]
    if not any(names):
        columns = f"{output.width} column{'s' if output.width != 1 else ''} without names"
        words = f"the model answers with {columns}, so that none is {prediction[0]!r} (prediction)"
        raise Unmeasurable(words, hint="Leave prediction out, or return a DataFrame.")
    for name in prediction:
        if names.count(name) != 1:
            there = "has no column" if name not in names else f"has {names.count(name)} columns"
            raise Unmeasurable(
                f"the model's answer {there} {name!r} (prediction)", hint=f"It has: {listed(output.names)}."
            )
    columns = tuple(output.columns[names.index(name)] for name in prediction)
    return replace(output, width=len(columns), names=tuple(prediction), columns=columns)


def declared_by(outputs: str) -> str:
    """Returns what the signature (MLflow's JSON of the outputs) says that a single output is: LABEL for whole
    numbers, truth values and words, or by its name; "" where it does not tell."""
    entries: list[dict[str, Any]] = json.loads(outputs) if outputs else []
    if len(entries) != 1:
        return ""
    kind = str(entries[0].get("tensor-spec", {}).get("dtype") or entries[0].get("type", ""))
    if kind in _LABEL_TYPES or kind.startswith(("int", "uint", "bool", "str")):
        return LABEL
    return of_name(str(entries[0].get("name", "")))


def of_name(name: str) -> str:
    """Returns what a column's name says that it holds: LABEL, PROBABILITY or ""."""
    words = set(re.split(r"[^a-z]+", name.lower()))
    return next((meaning for meaning, known in _WORDS.items() if words & known), "")


def numbers(column: Column) -> NDArray[Any]:
    """Returns the column as finite floats. Raises Unmeasurable if it holds anything else."""
    import numpy as np

    if column.strange:
        raise Unmeasurable(f"the model's answers are no numbers, but {column.strange!r} and the like")
    values = column.values
    if values.dtype.kind == "O":
        shown = next((value for value in values.tolist() if isinstance(value, str)), values[0])
        raise Unmeasurable(f"the model's answers are no numbers, but {str(shown)[:40]!r} and the like")
    found = values.astype(float)
    bad = int((~np.isfinite(found)).sum())
    if bad:
        raise Unmeasurable(
            f"{bad} of {len(found)} answers are missing or infinite",
            hint="A model must answer every row with a number.",
        )
    return found


def amounts(output: Output) -> NDArray[Any]:
    """Returns the one number of each row."""
    _ensure_one(output, "a target that is a number needs one")
    return numbers(output.columns[0])


def texts(output: Output) -> NDArray[Any]:
    """Returns the one text of each row."""
    _ensure_one(output, "a target of text needs one text")
    column = output.columns[0]
    shown = column.strange or next((value for value in column.values.tolist() if not isinstance(value, str)), None)
    if column.strange or (shown is not None and column.values.dtype.kind != "O"):
        raise Unmeasurable(f"the model's answers are no text, but {str(shown)[:40]!r} and the like")
    missing = sum(value is None for value in column.values.tolist())
    if missing:
        raise Unmeasurable(f"{missing} of {output.rows} answers are missing")
    if shown is not None:
        raise Unmeasurable(f"the model's answers are not all text: one is {str(shown)[:40]!r}")
    return column.values


def _ensure_one(output: Output, what: str) -> None:
    if output.width > 1:
        names = f" ({listed(output.names)})" if any(output.names) else ""
        hint = "Say which column is meant: prediction: on the gate." if names else ""
        raise Unmeasurable(f"the model gives {output.width} numbers a row{names}; {what}", hint=hint)


def places(column: Column, classes: Sequence[Any]) -> list[int]:
    """Returns the place of each answered label among the classes. Raises Unmeasurable if a label is missing or none of
    them."""
    if column.strange:
        raise Unmeasurable(f"the model answers {column.strange!r}, which is no label")
    if column.values.dtype.kind == "f":
        numbers(column)
    known = {value: place for place, value in enumerate(classes) if value is not None}
    values = column.values.tolist()
    strange = [value for value in values if value not in known]
    if None in strange:
        raise Unmeasurable(f"{strange.count(None)} of {len(values)} answers are missing")
    if strange and None not in classes:
        raise Unmeasurable(
            f"the model answers {str(strange[0])[:40]!r}, which is none of the target's classes"
            f" {sorted(map(str, known))[:20]}",
            hint="If it is one that these rows happen not to have, name them all: classes: on the gate.",
        )
    unknown = list(classes).index(None) if None in classes else 0
    return [known.get(value, unknown) for value in values]


def by_classes(output: Output, classes: Sequence[Any]) -> tuple[Column, ...] | None:
    """Returns the columns in the order of the classes, if their names are the classes; None if they are not. Raises
    Unmeasurable if only some of as many columns are classes."""
    names = [column.name for column in output.columns]
    wanted = [_spelled(value) for value in classes]
    if None in classes:  # rows of one class: the other one's name is not known
        last = [column for column in output.columns if column.name == wanted[-1]]
        others = [column for column in output.columns if column.name != wanted[-1]]
        return (others[0], last[0]) if len(last) == len(others) == 1 else None
    if all(names.count(name) == 1 for name in wanted):
        return tuple(output.columns[names.index(name)] for name in wanted)
    some = [name for name in wanted if name in names]
    if some:
        words = f"the answer's columns {listed(names)} are not the classes {listed(wanted)}, but {listed(some)} are"
        raise Unmeasurable(words, hint="Say which column is which: prediction: on the gate, in the order of classes.")
    return None


def _spelled(value: Any) -> str:
    """Returns a class as a column of its name is called: 1.0 as 1."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
