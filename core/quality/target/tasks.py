"""Which kind of model a gate judges: said by its key `task`, or by target and metrics together where only one kind is
left. Where several are, that is an error: a class that is taken for an amount passes or fails a gate for no reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...domain.metrics import (
    BINARY,
    FACTS,
    FORECASTING,
    MULTICLASS,
    MULTILABEL,
    RANKING,
    REGRESSION,
    TASKS,
    TEXT,
    tasks_of,
)
from ...domain.project import Gate
from ..metrics import Unmeasurable, listed

_AMOUNTS = (REGRESSION, FORECASTING, RANKING)


def task_of(gate: Gate, values: Any) -> str:
    """Returns the task. `values` are those of the target (`plain`), without gaps. Raises Unmeasurable if it may be
    several."""
    if gate.task:
        return gate.task
    if gate.targets:
        return MULTILABEL
    possible = _by_target(gate, values)
    metrics = tuple(check.metric for check in gate.checks if check.metric in FACTS)
    both = [task for task in possible if task in tasks_of(metrics)]
    found = _narrowed(gate, both or possible, values)
    if len(found) > 1:
        what = f"{_several(values)} values"
        raise Unmeasurable(
            f"the target {gate.target!r} has {what}: it may be {' or '.join(found)}",
            hint=f"Say task: {' or task: '.join(found)} on the gate.",
        )
    return found[0]


def _by_target(gate: Gate, values: Any) -> Sequence[str]:
    """Returns the tasks that the target's values allow."""
    kind, few = values.dtype.kind, _several(values) <= 2
    if kind == "f" and not set(values.tolist()) <= {0.0, 1.0}:
        return _AMOUNTS
    if kind in "fiu":
        return (BINARY, MULTICLASS, *_AMOUNTS) if few else (MULTICLASS, *_AMOUNTS)
    if kind == "b":
        return (BINARY, RANKING)
    return (BINARY, MULTICLASS, TEXT) if few else (MULTICLASS, TEXT)


def _narrowed(gate: Gate, found: Sequence[str], values: Any) -> Sequence[str]:
    """Returns the task that is sure, or all that are left."""
    if gate.answers or gate.classes:  # both are of classes
        found = [task for task in found if task in (BINARY, MULTICLASS)] or found
    if len(gate.classes) > 2 and MULTICLASS in found:
        return [MULTICLASS]
    if BINARY in found:
        return [BINARY]
    amounts = set(found) <= set(_AMOUNTS)
    if amounts and RANKING in found and len(found) > 1:
        found = [task for task in found if task != RANKING]
    if set(found) == {REGRESSION, FORECASTING}:
        return [FORECASTING if gate.series is not None else REGRESSION]
    return found


def _several(values: Any) -> int:
    return len(set(values.tolist()))


def ensure_task(task: str, values: Any, name: str) -> None:
    """Raises Unmeasurable if the target's values cannot be those of the task."""
    if task in _AMOUNTS and values.dtype.kind not in "fiub":
        shown = listed(sorted(set(map(str, values.tolist())))[:5])
        raise Unmeasurable(f"the target {name!r} of a {task} gate has to be numbers; it holds {shown}")
    if task == TEXT:
        other = next((value for value in values.tolist() if not isinstance(value, str)), None)
        if other is not None:
            raise Unmeasurable(f"the target {name!r} of a text gate has to be text; it holds {other!r}")
    if task == BINARY and _several(values) > 2:
        words = f"the target {name!r} has {_several(values)} classes, and the gate says task: binary"
        raise Unmeasurable(words, hint="Say task: multiclass.")


__all__ = ["TASKS", "ensure_task", "task_of"]
