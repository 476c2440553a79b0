"""The built-in steps deploy, promote and rollback: from a step's options to a rollout, and back to the step's
results."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...domain.access.roles import ROLE_OF, Role
from ...domain.delivery import Deployment, How
from ...domain.plans import RESTS_ON_PREFIX
from ...domain.rollout import RolloutState
from ...errors import Refused, UsageError
from ..environment.runtime import EnvironmentRuntime
from . import plans
from .carry_out import RolloutRequest, carry_out

if TYPE_CHECKING:
    from ...domain.runs import Agreement, Run
    from ...engine.context import StepContext

# How many seconds a change waits for an engine that does not answer: one that restarts, or whose connection was cut.
ENGINE_TIMEOUT = 30.0


def deploy(context: StepContext) -> Mapping[str, Any]:
    """Deploys. Options: `environment`, `version` (default: the one that an earlier step reported, else the
    challenger)."""
    return _change(context, How.DEPLOY)


def promote(context: StepContext) -> Mapping[str, Any]:
    """Promotes. Options as deploy; needs a passed gate, or `force` with a reason; moves the aliases."""
    return _change(context, How.PROMOTE)


def rollback(context: StepContext) -> Mapping[str, Any]:
    """Rolls back. Options: `environment`, `version` (default: the last good one). Quarantines the version that it
    leaves."""
    return _change(context, How.ROLLBACK)


def start(context: StepContext) -> Mapping[str, Any]:
    """Starts what the environment served when it was stopped. Options: `environment`, `version`."""
    return _change(context, How.START)


def _change(context: StepContext, how: How) -> Mapping[str, Any]:
    runtime = runtime_of(context)
    ensure_allowed(context, runtime, ROLE_OF[how])
    deployment, warnings = carry_out(runtime, request_of(context, runtime, how))
    return _results(runtime, deployment, warnings)


def ensure_allowed(context: StepContext, runtime: EnvironmentRuntime, role: Role) -> None:
    """Raises Refused where nobody who answers for the step has the role: neither the account that carries it out, which
    is the agent's for what a push has started, nor one that has approved it."""
    from ...engine import roles  # late: a replica's status needs none of this

    people = roles.behind(context.project, context.journal, context.run, context.step, time.time())
    roles.ensure(context.project, runtime.name, role, people)


def runtime_of(context: StepContext) -> EnvironmentRuntime:
    """Returns the environment that a step's options name, or that its operation is about."""
    options = context.options
    name = options.get("environment") or context.run.params.get("environment") or options.get("target") or ""
    config = context.project.environment(str(name))
    return EnvironmentRuntime(context.project, context.journal, config, say=context.log, patience=ENGINE_TIMEOUT)


def request_of(context: StepContext, runtime: EnvironmentRuntime, how: How) -> RolloutRequest:
    """Returns the request that a step's options make, with what an earlier step reported and the run says.

    The options are the request's form in the journal (a run's params) and in podium.yaml: text, for a run may be
    submitted by one version and carried out by another.
    """
    options = context.options
    version = plans.parse_version(options.get("version"))
    if version is None and how in (How.DEPLOY, How.PROMOTE):
        version = plans.parse_version(_reported(context, runtime))
    if how in (How.DEPLOY, How.PROMOTE):
        _refresh_unknown(runtime, version)
    if version is None:
        version = plans.meant_version(runtime.project, runtime.journal, how, runtime.name)
    force = str(options.get("force") or "").strip()
    if force.lower() in ("true", "false"):
        raise UsageError("force needs a reason in words", hint="force: the reason to override the refusal")
    run = context.run
    agreement = context.journal.agreements.get(run.id, context.step)
    seen = seen_of(options)
    if agreement is not None:
        _check_agreement(agreement, runtime.name, version)
        seen |= agreement.rests_on
    operation_run = run.is_operation
    return RolloutRequest(
        how,
        version,
        agreement.who if agreement is not None else run.who,
        why=_why(run, agreement),
        trigger=run.trigger,
        run_id=run.id,
        force=force,
        seen=seen,
        asked=run.created if operation_run else time.time(),
    )


def _reported(context: StepContext, runtime: EnvironmentRuntime) -> Any:
    """Returns the version that an earlier step reported of the environment's model, None without one. Raises Refused
    where all they reported is of other models: its number would name something else here."""
    found = context.upstream_version(runtime.model)
    other = context.upstream_result("model", runtime.model)
    if found is None and other != runtime.model:
        raise Refused(
            f"the steps before this one made a version of {other}, and {runtime.name} serves {runtime.model}",
            hint=f"write `model: {other}` for an environment of podium.yaml, and name that one here",
        )
    return found


def _check_agreement(agreement: Agreement, environment: str, version: int) -> None:
    """Refuses what a person has not agreed to."""
    if (agreement.environment, agreement.version) != (environment, str(version)):
        raise Refused(
            f"{agreement.who} agreed to version {agreement.version} in {agreement.environment}, and this is version"
            f" {version} in {environment}",
            hint=f"podium promote {version} -e {environment} plans it anew",
        )


def _why(run: Run, agreement: Agreement | None) -> str:
    """Returns the reason for the ledger, with how a person came to decide it."""
    if agreement is None:
        return run.why
    did = "approved" if agreement.verb == "approve" else "resumed"
    said = "; ".join(filter(None, (agreement.why, run.why)))
    return f"run {run.id} {did}" + (f": {said}" if said else "")


def seen_of(options: Mapping[str, Any]) -> dict[str, str]:
    """Returns what the plan rested on (`Plan.rests_on`) of which these are a step's options."""
    prefix = RESTS_ON_PREFIX
    return {key.removeprefix(prefix): str(value) for key, value in options.items() if key.startswith(prefix)}


def _refresh_unknown(runtime: EnvironmentRuntime, version: int | None) -> None:
    """Reads the registry anew where the journal does not have the version: it may have been registered a moment
    ago."""
    model = runtime.model
    if version is not None and runtime.journal.versions.get(model, version) is not None:
        return
    from ...registry.snapshot import refresh

    refresh(runtime.project, runtime.journal)


def _results(runtime: EnvironmentRuntime, deployment: Deployment, warnings: list[str]) -> Mapping[str, Any]:
    ended = deployment.ended or time.time()
    return {
        "environment": runtime.name,
        "model": deployment.model,
        "version": deployment.to_version,
        "from_version": deployment.from_version,
        "deployment": deployment.id,
        "digest": deployment.digest,
        "traffic_seconds": RolloutState.from_json(deployment.data).traffic_seconds,
        "seconds": round(ended - deployment.at, 3),
        "warnings": warnings,
    }
