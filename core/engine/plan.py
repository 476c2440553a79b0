"""A run's steps as the journal keeps them before any has run; and the plan of an operation, which has one step."""

from __future__ import annotations

from collections.abc import Sequence

from ..domain.project import StepSpec
from ..domain.runs import Run, Step, StepState
from .graph import PlannedStep


def describe_steps(run_id: int, steps: Sequence[PlannedStep]) -> list[Step]:
    return [
        Step(run_id, step.name, step.position, StepState.PENDING, needs=step.needs, uses=step.spec.uses, command=step.command) for step in steps
    ]


def operation_step(run: Run) -> PlannedStep:
    """The built-in of the operation's name, with the run's parameters as its options."""
    name = run.kind.value
    options = {"environment": run.name, **run.params}
    return PlannedStep(name, StepSpec(name, uses=name, options=options), 0, options=options)
