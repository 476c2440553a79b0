"""A run's steps as the journal stores them before any has run, and the single step of an operation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..domain.project import Pipeline, Project, StepSpec
from ..domain.runs import Run, Step, StepState
from ..logs.masking import masked
from .graph import PlannedStep, parameters


def describe_steps(run_id: int, steps: Sequence[PlannedStep], secrets: Sequence[str]) -> list[Step]:
    return [
        Step(
            run_id,
            step.name,
            step.position,
            StepState.PENDING,
            needs=step.needs,
            uses=step.spec.uses,
            command=masked(step.command, secrets),
        )
        for step in steps
    ]


def written_params(pipeline: Pipeline, given: Mapping[str, str], secrets: Sequence[str]) -> dict[str, str]:
    """Returns the parameters that the journal stores. A default that holds a secret is left out: the worker reads it
    again from podium.yaml."""
    return {
        name: value
        for name, value in parameters(pipeline, given).items()
        if name in given or masked(value, secrets) == value
    }


def operation_step(run: Run, project: Project) -> PlannedStep:
    """Returns the built-in step with the operation's name. Its options are the run's parameters and `target`, which
    is what the operation is about; also `environment` if the target is one."""
    about = {"environment": run.name} if run.name in project.environments else {}
    options = {"target": run.name, **about, **run.params}
    return PlannedStep(run.kind, StepSpec(run.kind, uses=run.kind, options=options), 0, options=options)
