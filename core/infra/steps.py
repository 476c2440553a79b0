"""The built-in steps of infrastructure: `terraform` and `cloudformation` of a pipeline, and the operations of the
commands and the screen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..domain.infra.plan import InfraPlan
from ..domain.infra.rules import Decision
from ..domain.infra.settings import CLOUDFORMATION, TERRAFORM, Infra
from ..domain.plans import RESTS_ON_PREFIX
from ..domain.text.format import count
from ..errors import UsageError
from . import approvals, changes
from .changes import Agreed
from .order import of
from .saved import Saved

if TYPE_CHECKING:
    from ..engine.context import StepContext

PLAN, APPLY, DRIFT = "infra-plan", "infra-apply", "infra-drift"
OPERATIONS = (PLAN, APPLY, DRIFT)
_SHOWN = 200


def terraform(context: StepContext) -> Mapping[str, Any]:
    """The built-in step `terraform`. Options: `infra`, and `action`: plan, apply or drift."""
    return _of_pipeline(context, TERRAFORM)


def cloudformation(context: StepContext) -> Mapping[str, Any]:
    """The built-in step `cloudformation`; its options are those of `terraform`."""
    return _of_pipeline(context, CLOUDFORMATION)


def plan_step(context: StepContext) -> Mapping[str, Any]:
    """The operation that makes a plan of its target. Options: `destroy`."""
    infra = of(context.project, str(context.options["target"]))
    return _plan(context, infra, destroy=context.options.get("destroy") == "true")


def apply_step(context: StepContext) -> Mapping[str, Any]:
    """The operation that applies the plan of its target that a person has agreed to."""
    infra = of(context.project, str(context.options["target"]))
    digest = str(context.options.get(RESTS_ON_PREFIX + "plan") or "")
    if not digest:
        raise UsageError("which plan was agreed to is not said", hint=f"podium infra apply {infra.name}")
    return _apply(context, infra, Agreed(digest, context.run.who))


def drift_step(context: StepContext) -> Mapping[str, Any]:
    """The operation that looks at what differs from what was applied."""
    return _drift(context, of(context.project, str(context.options["target"])))


def why_asked(context: StepContext) -> str:
    """Returns why a person has to approve a step of a pipeline before it starts, by the plan that an earlier step has
    made; empty if none has to."""
    if str(context.options.get("action", "apply")) != "apply":
        return ""
    infra = context.project.infra.get(str(context.options.get("infra", "")))
    plan = _earlier_plan(context, infra) if infra is not None else None
    if infra is None or plan is None:
        return ""
    judged = plan.judged(infra.rules)
    if judged.decision is not Decision.ASK or approvals.of(context.journal, plan) is not None:
        return ""
    return f"plan {plan.short} of {infra.name} is to {judged.words()}"


def _of_pipeline(context: StepContext, kind: str) -> Mapping[str, Any]:
    infra = of(context.project, str(context.options["infra"]))
    if infra.kind != kind:
        raise UsageError(
            f"{infra.name} is described by {infra.kind}, not by {kind}", hint=f"write `uses: {infra.kind}`"
        )
    action = str(context.options.get("action", "apply"))
    if action == "plan":
        return _plan(context, infra)
    if action == "drift":
        return _drift(context, infra)
    if not _earlier_digest(context, infra):
        made = _plan(context, infra)  # nothing has planned it yet: the rules alone let it go on, and nobody else's plan
        return _apply(context, infra, Agreed(str(made["plan"])))
    given = context.journal.runs.approvals(context.run.id, context.step)
    who = ", ".join(each.who for each in given)
    return _apply(context, infra, Agreed(_earlier_digest(context, infra), who))


def _earlier_digest(context: StepContext, infra: Infra) -> str:
    """Returns which plan the nearest earlier step has made."""
    for step in context.upstream.values():
        if step.results.get("infra") == infra.name and step.results.get("action") == "plan":
            return str(step.results.get("plan", ""))
    return ""


def _earlier_plan(context: StepContext, infra: Infra) -> InfraPlan | None:
    """Returns the plan of an earlier step, if it still waits."""
    plan = Saved(context.project.state, infra.name).plan()
    digest = _earlier_digest(context, infra)
    return plan if plan is not None and digest and plan.digest == digest else None


def _plan(context: StepContext, infra: Infra, *, destroy: bool = False) -> Mapping[str, Any]:
    pending = changes.pending_needs(context.project, infra)
    if pending:
        context.log(f"planned as things are now: {', '.join(pending)}, which it needs, is planned and not applied")
    plan = changes.make_plan(
        context.project,
        context.journal,
        infra,
        context.log,
        run=context.run.id,
        who=context.run.who,
        destroy=destroy,
    )
    for line in plan_lines(plan):
        context.log(line)
    judged = plan.judged(infra.rules)
    return {
        "infra": infra.name,
        "action": "plan",
        "plan": plan.digest,
        "summary": plan.words(),
        "counts": {str(kind): number for kind, number in plan.counts().items()},
        "decision": judged.decision.value,
        "expires": plan.expires,
        "drift": len(plan.real_drift),
        "applyable": plan.applyable,
    }


def _apply(context: StepContext, infra: Infra, agreed: Agreed) -> Mapping[str, Any]:
    done = changes.carry_out(context.project, context.journal, infra, context.log, run=context.run.id, agreed=agreed)
    if not done.plan.applyable:
        context.log(f"{infra.name}: nothing to do")
    return {
        "infra": infra.name,
        "action": "apply",
        "plan": done.plan.digest,
        "summary": done.plan.words(),
        "counts": {str(kind): number for kind, number in done.plan.counts().items()},
        "resources": list(done.done),
        "outputs": {each.name: each.value for each in done.outputs if not each.sensitive},
    }


def _drift(context: StepContext, infra: Infra) -> Mapping[str, Any]:
    found = changes.look(context.project, context.journal, infra, context.log, run=context.run.id, who=context.run.who)
    for line in drift_lines(found):
        context.log(line)
    return {
        "infra": infra.name,
        "action": "drift",
        "drift": len(found.real_drift),
        "noise": found.noise,
        "resources": [each.address for each in found.real_drift],
    }


def plan_lines(plan: InfraPlan) -> list[str]:
    """Returns a plan for a log: the worst first, one line for each resource."""
    found = [f"plan {plan.short} of {plan.infra}: {plan.words()}"]
    found += [plan.previous] if plan.previous else []
    found += [f"  {each.kind}  {each.address}{f'  ({each.why})' if each.why else ''}" for each in plan.changes[:_SHOWN]]
    more = len(plan.changes) - _SHOWN
    found += [f"  … and {more} more"] if more > 0 else []
    found += drift_lines(plan)[1:] if plan.real_drift else []
    return [*found, *(f"warning: {each}" for each in plan.warnings)]


def drift_lines(found: InfraPlan) -> list[str]:
    """Returns what differs from the state, for a log."""
    words = count(len(found.real_drift), "resource differs", "resources differ")
    noise = f", and {count(found.noise, 'resource')} in ways that change nothing" if found.noise else ""
    lines = [f"{words} from what was applied{noise}" if found.real_drift else f"nothing has drifted{noise}"]
    for each in found.real_drift[:_SHOWN]:
        values = ", ".join(f"{one.path}: {one.before} -> {one.after}" for one in each.attributes[:3])
        lines.append(f"  {each.address}: {'it is gone' if each.gone else values}")
    return lines
