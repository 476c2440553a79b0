"""A plan as text, which a person reads before agreeing to it."""

from __future__ import annotations

from ..plans import Plan
from . import clean
from .format import duration, figure

MAX_METRICS = 6


def plan_lines(plan: Plan, arrow: str = "→") -> list[str]:
    """Returns the plan line by line; the last one is the command that makes the same change. `arrow` stands between
    what is and what will be."""
    lines = [clean(plan.title)]
    lines += _changes(plan, arrow)
    lines += [f"  {each.severity.value}: {clean(each.words)}" for each in plan.differences]
    lines += [f"  {number}. {clean(step)}" for number, step in enumerate(plan.steps, 1)]
    lines += _metrics(plan, arrow)
    if plan.expected_seconds is not None:
        lines.append(f"  expected to take {duration(plan.expected_seconds)}")
    lines += [f"  warning: {clean(text)}" for text in plan.warnings]
    if plan.refusal:
        lines.append(f"  refused: {clean(plan.refusal)}")
        if plan.overridable and plan.command != plan.command_that_forces:
            lines.append(f"  {plan.override}")
    elif plan.nothing_to_do:
        lines.append(f"  nothing to do: {clean(plan.nothing_to_do)}")
    return [*lines, f"  {plan.command}"]


def _changes(plan: Plan, arrow: str) -> list[str]:
    wide = max((len(change.subject) for change in plan.changes), default=0)
    return [
        f"  {clean(each.subject):<{wide}}  {clean(each.before) or 'none'} {arrow} {clean(each.after) or 'none'}"
        for each in plan.changes
    ]


def _metrics(plan: Plan, arrow: str) -> list[str]:
    compared = plan.versions.compared if plan.versions is not None else None
    if compared is None:
        return []
    baseline, candidate = compared
    shared = [name for name in candidate.metrics if name in baseline.metrics][:MAX_METRICS]
    return [
        f"  {clean(name)}: {figure(baseline.metrics[name])} {arrow} {figure(candidate.metrics[name])} "
        f"({candidate.metrics[name] - baseline.metrics[name]:+.4f})"
        for name in shared
    ]
