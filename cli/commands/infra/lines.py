"""What `podium infra` prints for people: plans, the worst first, and what has drifted."""

from __future__ import annotations

import time
from collections.abc import Iterator

from ....core.domain.infra.plan import Drift, InfraPlan, InfraStatus, ResourceChange
from ....core.domain.infra.rules import Decision
from ....core.domain.text import clean
from ....core.domain.text.format import ago, count, until
from ...text import output
from ...text.diagnostics import glyph

_MAX_SHOWN = 8


def print_lines(lines: Iterator[str]) -> None:
    for line in lines:
        output.line(line)


def plan_lines(status: InfraStatus, *, whole: bool = False) -> Iterator[str]:
    """Yields the plan that waits: the worst first, each value that changes, what has drifted, and who has to agree."""
    plan = status.plan
    yield f"{status.name}: {status.state()}"
    if status.interrupted is not None:
        yield f"  {clean(status.interrupted.words())}"
    if plan is None:
        yield f"  no plan waits: podium infra plan {status.name} makes one"
        return
    if plan.previous:
        yield f"  {clean(plan.previous)}"
    yield f"  plan {plan.short}: {plan.words()}"
    for each in plan.changes:
        yield from _change_lines(each, whole=whole)
    for one in plan.outputs:
        yield f"  output {clean(one.name)}: {clean(one.before)} {_arrow()} {clean(one.after)}"
    for drift in plan.real_drift:
        yield from _drifted_lines(drift)
    if plan.noise:
        yield f"  {count(plan.noise, 'resource')} changed outside in ways that nothing here depends on"
    for warning in plan.warnings:
        yield f"  warning: {clean(warning)}"
    yield f"  {_agreement(status)}"


def _agreement(status: InfraStatus) -> str:
    plan, judged = status.plan, status.judgement
    assert plan is not None and judged is not None
    ends = f"expires {until(plan.expires, time.time())}"
    if not plan.applyable:
        return "nothing to apply"
    if judged.decision is Decision.NEVER:
        return f"refused: podium.yaml never lets this be done: {clean(judged.words())}"
    if status.approval is not None:
        return f"approved by {clean(status.approval.who)}; {ends}"
    if judged.decision is Decision.ASK:
        return f"needs a person: {clean(judged.words())}; {ends}"
    return f"may be applied by itself; {ends}"


def _change_lines(change: ResourceChange, *, whole: bool) -> Iterator[str]:
    why = f"  ({clean(change.why)})" if change.why else ""
    moved = f"  (was {clean(change.moved_from)})" if change.moved_from else ""
    yield f"  {change.kind:<8} {clean(change.address)}{why}{moved}"
    shown = change.attributes if whole else change.attributes[:_MAX_SHOWN]
    for each in shown:
        forces = "  forces the replacement" if each.forces else ""
        yield f"             {clean(each.path)}: {clean(each.before)} {_arrow()} {clean(each.after)}{forces}"
    more = len(change.attributes) - len(shown) + change.more
    if more > 0:
        yield f"             {count(more, 'more value')}"


def drift_lines(found: InfraPlan) -> Iterator[str]:
    if not found.real_drift:
        yield f"{clean(found.infra)}: nothing has drifted"
    else:
        yield f"{clean(found.infra)}: {count(len(found.real_drift), 'resource differs', 'resources differ')}"
    for each in found.real_drift:
        yield from _drifted_lines(each)
    if found.noise:
        yield f"  {count(found.noise, 'resource')} in ways that change nothing"


def _drifted_lines(drift: Drift) -> Iterator[str]:
    yield f"  drifted  {clean(drift.address)}{'  it is gone' if drift.gone else ''}"
    for each in drift.attributes[:_MAX_SHOWN]:
        yield f"             {clean(each.path)}: {clean(each.before)} {_arrow()} {clean(each.after)}"


def waits(status: InfraStatus, now: float) -> str:
    plan = status.plan
    if plan is None or not plan.applyable:
        return ""
    return f"{plan.words()}, expires {until(plan.expires, now)}"


def drifted(status: InfraStatus, now: float) -> str:
    if status.drifted is None:
        return ""
    words = count(len(status.drifted), "resource") if status.drifted else "none"
    return f"{words}, {ago(status.drift_at, now)}"


def _arrow() -> str:
    return glyph("→", "->")
