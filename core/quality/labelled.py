"""A gate's metric on rows that were answered elsewhere, such as labelled requests: its value with an interval."""

from __future__ import annotations

from typing import Any

from ..domain.frozen import Frozen
from ..domain.metrics import is_function
from ..domain.project import Check, Gate, Project
from .answers import answers_of, declared_by
from .bootstrap import interval
from .metrics import Unmeasurable, asked, measure
from .outputs import Output
from .subjects import whole_truth


class LabelledValue(Frozen):
    """The value of a metric with the bounds of its interval."""

    value: float
    low: float
    high: float
    rows: int


def value_of(
    project: Project, gate: Gate, check: Check, rows: Any, answers: Any, *, outputs: str = "", resamples: int = 500
) -> LabelledValue:
    """Returns the value of the metric that a check names.

    `rows` is a table with the columns of the gate: target, `group` and those of `series`. `answers` has the model's
    answer to each of them: a list, an array or a DataFrame. `outputs` are those of its signature (MLflow's JSON).
    Raises Unmeasurable as a gate would, and for a metric of the project's own.
    """
    if is_function(check.metric):
        raise Unmeasurable(f"{check.metric} can be measured by a gate only")
    missing = [name for name in gate.targets or (gate.target,) if name not in rows.columns]
    if missing or not len(rows):
        raise Unmeasurable(f"there is no column {missing[0]!r}" if missing else "there are no rows to measure on")
    found = answers_of(
        Output.of(answers),
        whole_truth(gate, rows, project.root.joinpath),
        said=gate.answers,
        declared=declared_by(outputs),
        prediction=check.prediction or gate.prediction,
    )
    metric = asked(check)
    part = metric.part(found)
    spread = interval(metric, part, confidence=check.confidence, resamples=resamples)
    return LabelledValue(measure(metric, part), spread.low, spread.high, part.rows)
