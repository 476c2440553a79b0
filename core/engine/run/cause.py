"""What the alert was that started a run: the values that its steps may name, and what it may do by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ... import plugins
from ...domain.runs import Run
from ...journal import Journal
from ..graph import PlannedStep


def alert_values(journal: Journal, run: Run) -> Mapping[str, Mapping[str, str]]:
    """Returns what `${{ alert.… }}` names in the run's steps; nothing where no alert has started it."""
    _, values = journal.loops.cause(run.id)
    return {"alert": values} if values else {}


def with_approvals(journal: Journal, run: Run, steps: Sequence[PlannedStep]) -> tuple[PlannedStep, ...]:
    """Returns the steps; of a run that an alert has started to be delivered by a person, those that deliver wait for
    one."""
    mode, values = journal.loops.cause(run.id)
    if mode != "run":
        return tuple(steps)
    reason = f"alert {values.get('name', '')} has started the run, and may not deliver by itself"
    return tuple(_after_approval(each, reason) for each in steps)


def _after_approval(step: PlannedStep, reason: str) -> PlannedStep:
    uses = step.spec.uses
    if not uses or step.spec.approval or not plugins.step_capabilities(uses).delivers:
        return step
    return replace(step, spec=replace(step.spec, approval=True, approval_reason=reason))
