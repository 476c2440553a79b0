"""The truth of a gate's rows: what the target's values mean, and how the rows belong together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from ...domain.frozen import Frozen
from ...domain.metrics import BINARY, MULTICLASS, MULTILABEL, RANKING, TEXT, is_function
from ...domain.project import Gate
from ..metrics import Units, Unmeasurable, listed, same
from .tasks import ensure_task, task_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

# More different values than this are no classes, but an id or an amount.
MAX_CLASSES = 1000


class Truth(Frozen):
    """The truth, as `ModelAnswers` has it, with what is the same for every model."""

    task: str
    """Empty if nothing but the project's own functions looks at it."""
    values: NDArray[Any]
    classes: tuple[Any, ...] = ()
    """In order; the columns of the target, if there are several. A class that is not known is None."""
    units: Units = Units()
    steps: NDArray[Any] | None = None
    """How far ahead each row looks."""
    scale: NDArray[Any] | None = None
    """The naive forecast's error on each row's series."""


def truth_of(gate: Gate, frame: Any) -> Truth:
    """Returns the truth of a gate's table. Raises Unmeasurable if the target is missing somewhere, if it may mean
    several things, or if it contradicts what the gate says; not if only functions of the project's own look at it."""
    metrics = [check.metric for check in gate.checks if check.kind in ("metric", "fairness")]
    try:
        return _truth_of(gate, frame)
    except Unmeasurable:
        if not metrics or not all(map(is_function, metrics)):
            raise
    import numpy as np

    return Truth("", np.zeros(len(frame)))


def _truth_of(gate: Gate, frame: Any) -> Truth:
    if gate.targets or gate.task == MULTILABEL:
        return Truth(MULTILABEL, _of_labels(gate, frame), gate.targets or (gate.target,))
    values = plain(frame[gate.target], gate.target)
    task = task_of(gate, values)
    ensure_task(task, values, gate.target)
    if task == BINARY:
        classes = _two(_classes(gate, values))
        return Truth(task, _is(values, classes[1]), classes)
    if task == MULTICLASS:
        import numpy as np

        classes = _classes(gate, values)
        places = {value: place for place, value in enumerate(classes)}
        return Truth(task, np.asarray([places[value] for value in values.tolist()], dtype=np.intp), classes)
    if gate.classes:
        raise Unmeasurable(f"the gate says classes, but its target {gate.target!r} is that of a {task} gate")
    if task == TEXT:
        return Truth(task, values)
    return Truth(task, _amounts(values, gate.target, task))


def plain(column: Any, name: str) -> NDArray[Any]:
    """Returns the target's values as numbers, truth values or objects. Raises Unmeasurable for gaps, and for values
    that are none of these."""
    import numpy as np

    gaps = int(column.isna().sum())
    if gaps:
        raise Unmeasurable(
            f"the target {name!r} is missing in {gaps} of {len(column)} rows",
            hint="Leave those rows out of the gate's data.",
        )
    values: NDArray[Any] = np.asarray(column.to_numpy())
    if values.dtype.kind in "fiub":
        return values
    if values.dtype.kind in "mMc":
        raise Unmeasurable(f"the target {name!r} holds {column.dtype}, which is neither a class nor a number")
    items = cast("list[Any]", values.tolist())
    kinds = {type(item).__name__ for item in items}
    if kinds <= {"bool"}:
        return np.asarray(items, dtype=bool)
    if kinds <= {"int"}:
        return np.asarray(items, dtype=np.int64)
    if kinds <= {"int", "float"} or kinds <= {"Decimal"}:
        return np.asarray(items, dtype=float)
    strange = next((item for item in items if not isinstance(item, str | bool | int | float)), None)
    if strange is not None:
        hint = "Several labels of a row are columns of 0 and 1: target: [a, b]." if np.ndim(strange) else ""
        words = f"the target {name!r} holds {str(strange)[:40]!r}, which is neither a class nor a number"
        raise Unmeasurable(words, hint=hint)
    return values


def _classes(gate: Gate, values: Any) -> tuple[Any, ...]:
    """Returns the classes in the order that the gate says, else in their natural order."""
    distinct = sorted(set(values.tolist()), key=lambda value: (type(value).__name__, value))
    if len(distinct) > MAX_CLASSES:
        raise Unmeasurable(f"the target {gate.target!r} has {len(distinct):,} different values, which are no classes")
    if not gate.classes:
        return tuple(distinct)
    strange = [value for value in distinct if not any(same(said, value) for said in gate.classes)]
    if strange:
        hint = f"gates.*.classes has: {listed(gate.classes)}."
        raise Unmeasurable(
            f"the target {gate.target!r} has the class {listed(strange[:3])}, which is not said", hint=hint
        )
    return tuple(next((value for value in distinct if same(said, value)), said) for said in gate.classes)


def _two(classes: Sequence[Any]) -> tuple[Any, Any]:
    if len(classes) == 1:
        # One class only: which of the two it is can be told for truth values, and must be for recall to mean anything.
        return (0, 1) if classes[0] in (0, 1) else (None, classes[0])
    if len(classes) != 2:
        raise Unmeasurable(f"the gate says task: binary, and {len(classes)} classes")
    return classes[0], classes[1]


def _is(values: Any, chosen: Any) -> NDArray[Any]:
    import numpy as np

    return np.asarray(values == chosen, dtype=float)


def _amounts(values: Any, name: str, task: str) -> NDArray[Any]:
    import numpy as np

    numbers = values.astype(float)
    endless = int((~np.isfinite(numbers)).sum())
    if endless:
        raise Unmeasurable(f"the target {name!r} is infinite in {endless} of {len(numbers)} rows")
    if task == RANKING and bool((numbers < 0).any()):
        raise Unmeasurable(
            f"the target {name!r} of a ranking is a gain, and below 0 in {int((numbers < 0).sum())} rows"
        )
    return numbers


def _of_labels(gate: Gate, frame: Any) -> NDArray[Any]:
    """Returns a column of 1 and 0 per label."""
    import numpy as np

    names = gate.targets or (gate.target,)
    if len(names) < 2:
        hint = "Name a column of 0 and 1 for each label: target: [a, b]."
        raise Unmeasurable("the target of several labels is several columns", hint=hint)
    columns: list[NDArray[Any]] = []
    for name in names:
        values = plain(frame[name], name)
        if values.dtype.kind not in "fiub" or not set(values.tolist()) <= {0, 1}:
            strange = next(value for value in values.tolist() if value not in (0, 1))
            raise Unmeasurable(f"the target {name!r} has to be 0 or 1; it holds {str(strange)[:40]!r}")
        columns.append(values.astype(np.int8))
    return np.column_stack(columns)
