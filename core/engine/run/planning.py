"""The steps that a worker carries out: those of the pipeline as it is now, without those that an earlier worker of a
resumed run has finished."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...domain.project import Project
from ...domain.runs import Run, Step, StepState
from ...errors import NotFound, RunFailed
from ...journal import Journal
from ..graph import PlannedStep, build, parameters
from ..plan import describe_steps, operation_step
from .cause import alert_values, with_approvals


def plan_steps(journal: Journal, project: Project, run: Run) -> tuple[PlannedStep, ...]:
    """Returns the run's steps and writes them to the journal. Raises RunFailed if podium.yaml has other steps now
    than when a resumed run began."""
    if run.is_operation:
        return (operation_step(run, project),)
    pipeline = project.pipelines.get(run.name)
    if pipeline is None:
        raise NotFound(
            f"there is no pipeline {run.name!r}", hint=f"podium.yaml has: {', '.join(project.pipelines) or 'none'}"
        )
    steps = with_approvals(journal, run, build(pipeline, run.params, alert_values(journal, run)))
    before = journal.steps.of(run.id)
    if not before:
        journal.steps.add(run.id, describe_steps(run.id, steps, project.secrets))
    elif [step.name for step in before] != [step.name for step in steps]:
        raise RunFailed(
            "podium.yaml has other steps now than when this run began",
            hint=f"start a new one: podium run {run.name}",
        )
    else:
        _use_commands_of_now(journal, before, describe_steps(run.id, steps, project.secrets))
    return steps


def _use_commands_of_now(journal: Journal, before: Sequence[Step], steps: Sequence[Step]) -> None:
    for old, new in zip(before, steps, strict=True):
        if (old.command, old.needs) != (new.command, new.needs) and old.state is not StepState.SUCCEEDED:
            journal.steps.update(old.run_id, old.name, command=new.command, needs=new.needs)


def finished_steps(journal: Journal, run: Run, steps: Sequence[PlannedStep], *, isolated: bool) -> list[Step]:
    """Returns the steps as an earlier worker left them.

    In the working tree other programs may have written since: there, the outputs of a step are looked at once more,
    and restored from the cache or made again where they differ by now.
    """
    before = journal.steps.of(run.id)
    if isolated:
        return before
    cacheable = {step.name for step in steps if step.cacheable}
    for step in before:
        if step.name in cacheable and step.state is StepState.SUCCEEDED:
            journal.steps.update(run.id, step.name, state=StepState.PENDING, started=None, ended=None, attempt=0)
    return journal.steps.of(run.id)


def with_parameters(project: Project, run: Run) -> Run:
    """Returns the run as its steps get it: with its directory and with all parameters of its pipeline."""
    pipeline = project.pipelines.get(run.name) if not run.is_operation else None
    params = parameters(pipeline, run.params) if pipeline is not None else run.params
    return replace(run, workspace=str(project.root), params=params)
