"""Turns what a pyfunc model returns into ModelAnswers, by task.

What an answer means is said: by its type, by the names of its columns, by the model's signature, or by the gate's keys
`answers`, `prediction` and `classes`. Where it is not, that is an error: a label that is taken for a probability passes
or fails a gate for no reason.
"""

from __future__ import annotations

from dataclasses import replace

from ...domain.metrics import BINARY, MULTICLASS, MULTILABEL, TEXT
from ..metrics import ModelAnswers, Unmeasurable, listed
from ..outputs import MAX_COLUMNS, Output
from ..target.truths import Truth
from .binary import binary
from .columns import LABEL, PROBABILITY, amounts, chosen, declared_by, texts
from .several import multiclass, multilabel


def answers_of(
    output: Output, truth: Truth, *, said: str = "", declared: str = "", prediction: tuple[str, ...] = ()
) -> ModelAnswers:
    """Returns the model's answers, one per row.

    `said` is the gate's `answers` and `declared` what the model's signature tells (`declared_by`): LABEL, PROBABILITY
    or "". `prediction` names the columns that are meant, in the order of the classes. Raises Unmeasurable if answers
    are missing, too few, or may mean two things.
    """
    if output.width == 0:
        raise Unmeasurable(
            f"the model gave {output.rows} answers for {len(truth.values)} rows: one {output.kind or 'value'}",
            hint="predict has to return one answer per row: an array, a list, a Series or a DataFrame.",
        )
    if output.rows != len(truth.values):
        raise Unmeasurable(f"the model gave {output.rows} answers for {len(truth.values)} rows")
    meant = chosen(output, prediction)
    if output.width > MAX_COLUMNS and not meant.columns:
        hint = "Say which of its columns are meant: prediction: on the gate."
        raise Unmeasurable(f"the model gives {output.width} numbers a row ({listed(output.names)})", hint=hint)
    found = _interpreted(meant, truth, said, declared if len(output.columns) == 1 else "", named=bool(prediction))
    return replace(found, units=truth.units, steps=truth.steps, scale=truth.scale)


def _interpreted(output: Output, truth: Truth, said: str, declared: str, *, named: bool) -> ModelAnswers:
    if truth.task == BINARY:
        return binary(output, truth, said=said, declared=declared)
    if truth.task == MULTICLASS:
        return multiclass(output, truth, said, ordered=named)
    if truth.task == MULTILABEL:
        return multilabel(output, truth, said, ordered=named)
    if said:
        raise Unmeasurable(
            f"the gate says answers: {said}, but its target has more than two values",
            hint=f"Leave out answers for a {truth.task} gate, or say task: on the gate.",
        )
    if truth.task == TEXT:
        return ModelAnswers(truth.values, None, texts(output), truth.task)
    return ModelAnswers(truth.values, amounts(output), None, truth.task)


__all__ = ["LABEL", "PROBABILITY", "answers_of", "declared_by"]
