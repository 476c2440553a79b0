"""Every change that a person can make: planned, then applied.

A kind of change is a verb with two parts: a planner, found by the verb in core/plugins.py, and a built-in step that
carries the plan out as a run of its own (`Plan.step`). Both may come from other packages.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from . import plugins
from .domain.access.roles import ROLE_OF
from .domain.delivery import CanaryRequest
from .domain.plans import RESTS_ON_PREFIX
from .errors import Refused

if TYPE_CHECKING:
    from .domain.plans import Plan
    from .domain.project import Project
    from .domain.runs import Run
    from .journal import Journal

INFRA_APPROVE = "infra-approve"
RUN_VERBS = frozenset(("resume_run", "approve"))
"""What is asked of a run: `run_plans.py` plans it and carries it out."""


def plan(project: Project, journal: Journal, verb: str, target: str, **arguments: Any) -> Plan:
    """Returns what the change would do; `arguments` are its planner's own. NotFound for a verb that nothing plans, and
    for a target that is not there."""
    return _as_allowed(project, plugins.load("planners", verb)(project, journal, target, **arguments))


def _as_allowed(project: Project, plan: Plan) -> Plan:
    """Returns the plan, refused where this account does not have the role that it asks for."""
    from .engine import roles

    role = ROLE_OF.get(plan.verb)
    if role is None or plan.target not in project.environments:
        return plan
    message, hint = roles.why_not(project, plan.target, role, [roles.Approver.here()])
    return replace(plan, refusal=message, overridable=False, hint=hint) if message else plan


def apply(
    project: Project, journal: Journal, plan: Plan, *, who: str, confirmed: str = "", why: str = "", force: bool = False
) -> Run | None:
    """Carries a plan out; returns its run, or None for a request to a canary, which obeys within a second, and for an
    approval.

    Refused when the plan says so and `force` (with a reason) does not override it, and when `confirmed` is not the
    word that it asks a person to type.
    """
    # Asked again: whoever holds a plan may have made it by another podium.yaml, or by none.
    ensure_agreed(_as_allowed(project, plan), confirmed=confirmed, why=why, force=force)
    _ensure_unprotected(project, plan)
    if plan.verb in set(CanaryRequest):
        from .delivery.rollout.canary import request

        request(journal, plan.target, CanaryRequest(plan.verb), who=who, why=why)
        return None
    if plan.verb in RUN_VERBS:
        from . import run_plans

        return run_plans.apply(project, journal, plan, who=who, why=why)
    if plan.verb == INFRA_APPROVE:
        from .infra.plans import approve

        approve(project, journal, plan, who=who, why=why)
        return None
    from .engine.submit import submit_operation

    params = {**plan.arguments, **{RESTS_ON_PREFIX + key: value for key, value in plan.rests_on.items()}}
    if force:
        params["force"] = why
    return submit_operation(project, journal, plan.step or plan.verb, plan.target, params=params, who=who, why=why)


def _ensure_unprotected(project: Project, plan: Plan) -> None:
    """Raises Refused where the plan asked for no name, and podium.yaml protects its environment by now."""
    config = project.environments.get(plan.target) if plan.guarded and not plan.type_to_confirm else None
    if config is not None and config.protected:
        message, hint = plan.protected_by_now(plan.target)
        raise Refused(message, hint=hint)


def ensure_agreed(plan: Plan, *, confirmed: str = "", why: str = "", force: bool = False) -> None:
    """Raises Refused where the plan refuses itself, or lacks what it asks of a person."""
    objection = plan.objection(confirmed=confirmed, why=why, force=force)
    if objection is not None:
        message, hint = objection
        raise Refused(message, hint=hint)
