"""What a person is asked about infrastructure: to apply the plan that waits, or to approve it for others to apply."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from ..domain.infra.plan import InfraPlan, ResourceChange
from ..domain.infra.rules import ChangeKind, Decision
from ..domain.infra.settings import Infra
from ..domain.plans import Change, Plan
from ..domain.project import Project
from ..domain.text.format import ago, count, until
from ..errors import Refused
from ..journal import Journal
from . import approvals, changes
from .order import of
from .saved import Saved

APPLY: Final = "infra-apply"
APPROVE: Final = "infra-approve"
_SHOWN = 40
_AFTER = {
    ChangeKind.CREATE: ("none", "created"),
    ChangeKind.UPDATE: ("as it is", "updated in place"),
    ChangeKind.REPLACE: ("as it is", "destroyed and created again"),
    ChangeKind.DELETE: ("as it is", "destroyed"),
    ChangeKind.FORGET: ("in the state", "forgotten, and left as it is"),
}


def plan_apply(project: Project, journal: Journal, target: str) -> Plan:
    """Returns what applying the plan that waits would do. Refused, as the plan's refusal, where there is none or
    podium.yaml says never. Raises NotFound for an unknown name."""
    return _asked(project, journal, of(project, target), APPLY, "Apply")


def plan_approve(project: Project, journal: Journal, target: str) -> Plan:
    """Returns what is agreed to by approving the plan that waits."""
    return _asked(project, journal, of(project, target), APPROVE, "Approve")


def approve(project: Project, journal: Journal, plan: Plan, *, who: str, why: str = "") -> None:
    """Keeps an approval of the plan that was shown. Refused if another one waits by now."""
    infra = of(project, plan.target)
    waiting = Saved(project.state, infra.name).plan()
    message, hint = changes.why_not_apply(project, infra, waiting)
    if waiting is None or message:
        raise Refused(message, hint=hint)
    if waiting.digest != plan.rests_on.get("plan"):
        raise Refused(
            f"the plan of {infra.name} is another one by now: {waiting.short}",
            hint=f"look at it again: {plan.command}",
        )
    approvals.keep(journal, waiting, who, why)


def change_of(change: ResourceChange) -> Change:
    """Returns one line of a plan: what becomes of a resource, and why."""
    before, after = _AFTER[change.kind]
    forcing = [each.path for each in change.attributes if each.forces]
    because = ", ".join(forcing[:3]) or change.why
    words = f"{after}: {because}" if because and change.kind is not ChangeKind.CREATE else after
    if change.kind is ChangeKind.UPDATE:
        values = ", ".join(each.path for each in change.attributes[:3]) or change.why
        words = f"{after}: {values}" if values else after
    if change.imported:
        before = "outside of the state"
    return Change(change.address, change.moved_from or before, words)


def _asked(project: Project, journal: Journal, infra: Infra, verb: str, action: str) -> Plan:
    plan = Saved(project.state, infra.name).plan()
    refusal, hint = changes.why_not_apply(project, infra, plan)
    asked = Plan(
        target=infra.name,
        verb=verb,
        title=f"{action} {infra.name}",
        action=action,
        command=f"podium infra {action.lower()} {shlex.quote(infra.name)}",
        refusal=refusal,
        hint=hint,
        kept_in="audit",
    )
    if plan is None:
        return asked
    now, by = time.time(), plan.who or f"run {plan.run}"
    return replace(
        asked,
        title=f"{action} plan {plan.short} of {infra.name}: {plan.words()}",
        changes=_shown(infra, plan),
        steps=(f"made {ago(plan.created, now)} by {by}, expires {until(plan.expires, now)}",),
        warnings=tuple(_warnings(project, journal, infra, plan)),
        nothing_to_do="" if plan.applyable else f"{infra.name} is as it is declared: there is nothing to apply",
        type_to_confirm=infra.name if infra.protected and plan.destroys else "",
        rests_on={"plan": plan.digest},
    )


def _shown(infra: Infra, plan: InfraPlan) -> tuple[Change, ...]:
    more = len(plan.changes) - _SHOWN
    rest = (Change(count(more, "more change"), "", f"podium infra show {infra.name}"),) if more > 0 else ()
    outputs = (Change(f"output {each.name}", each.before, each.after) for each in plan.outputs[:_SHOWN])
    return (*map(change_of, plan.changes[:_SHOWN]), *rest, *outputs)


def _warnings(project: Project, journal: Journal, infra: Infra, plan: InfraPlan) -> Iterator[str]:
    if plan.previous:
        yield plan.previous
    for name in changes.pending_needs(project, infra):
        yield f"{name}, which it needs, has a plan that is not applied: apply that first, and plan again"
    judged = plan.judged(infra.rules)
    approval = approvals.of(journal, plan)
    if approval is not None:
        yield f"approved by {approval.who} {ago(approval.at)}"
    elif judged.decision is Decision.ASK:
        yield f"podium.yaml asks for a person: {judged.words()}"
    yield from plan.warnings
