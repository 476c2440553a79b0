"""Carries out a deploy, promote or rollback, from the request to the finished row of the ledger.

The order is that of `carry_out`: what takes long and changes nothing (the check, fetching the files) comes before the
environment's lock; under the lock, what was cut short is recovered, what died is healed, and the check is made once
more, since the world may have changed. Only then the ledger gets its row and the rollout begins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from ...domain.delivery import Deployment, How
from ...domain.frozen import Frozen
from ...domain.plans import Plan
from ...domain.runs import Trigger
from ...errors import Refused, UsageError
from ..environment import history
from ..environment.ending import end_all
from ..environment.healing import heal
from ..environment.lock import operation
from ..environment.runtime import EnvironmentRuntime
from . import plans
from .recovery import recover_all
from .rollout import Rollout


class RolloutRequest(Frozen):
    """What was asked of a rollout."""

    how: How
    """Deploy, promote or rollback."""

    version: int
    """The version that is to get the traffic."""

    who: str
    """Who asked, for the ledger and the audit."""

    why: str = ""
    """The reason that was given."""

    trigger: Trigger = Trigger.PERSON
    """What started the run: only a person may deploy what is quarantined."""

    run_id: int | None = None
    """The run that carries it out."""

    force: str = ""
    """A person's reason to override a refusal; empty without one."""

    seen: Mapping[str, str] = field(default_factory=dict[str, str])
    """What the person's plan rested on (`Plan.rests_on`); a difference refuses the request."""

    asked: float = 0.0
    """When it was asked for (seconds since the epoch), for measuring how long it takes until traffic has moved."""


def carry_out(runtime: EnvironmentRuntime, request: RolloutRequest) -> tuple[Deployment, list[str]]:
    """Carries the request out; returns the finished row of the ledger, and warnings."""
    # A rollback to replicas that still run is in a hurry: one check, and nothing is fetched or started.
    warm = request.how is How.ROLLBACK and not runtime.missing(request.version)
    if not warm:
        check(runtime, request)
        ensure_possible(runtime)
    digest = fetch(runtime, request.version)
    if not warm:
        runtime.lifecycle.ensure_signed(request.version, fetch=True)
    why = f"{request.how} of version {request.version}"
    with operation(runtime.journal, runtime.directory, runtime.name, who=request.who, why=why):
        lines = recover_all(runtime)
        if history.stopped(runtime.journal, runtime.name) is not None:
            lines += end_all(runtime)  # what an interrupted stop left
        elif not warm:
            lines += heal(runtime)
        for line in lines:
            runtime.say(line)
        _tell(runtime, check(runtime, request, holding=True))
        rollout = Rollout(runtime, begin(runtime, request, digest), asked=request.asked)
        return rollout.run(), rollout.warnings


def _tell(runtime: EnvironmentRuntime, plan: Plan) -> None:
    """Writes the plan into the step's log: of what a push or a schedule started, nobody has seen another one."""
    runtime.say(plan.title)
    for change in plan.changes:
        runtime.say(f"{change.subject}: {change.before or 'none'} → {change.after or 'none'}")
    for warning in plan.warnings:
        runtime.say(f"warning: {warning}")


def check(runtime: EnvironmentRuntime, request: RolloutRequest, *, holding: bool = False) -> Plan:
    """Returns the plan as the world is now; `holding` when the caller has the environment's lock.

    Refused when it must not be carried out, or when the world is not the one that the request was planned in.
    """
    plan = plans.plan(runtime.project, runtime.journal, request.how, runtime.name, request.version, holding=holding)
    ensure_as_planned(runtime.name, request.seen, plan.rests_on)
    _check_quarantine(runtime, request)
    if plan.refusal and not (plan.overridable and request.force):
        raise Refused(plan.refusal, hint=plan.override if plan.overridable else "")
    return plan


def ensure_as_planned(environment: str, seen: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Raises Refused where the environment is not as it was `seen` when the change was planned."""
    for key, before in seen.items():
        if now.get(key, before) != before:
            raise Refused(
                f"{environment} changed since this was planned: {key} was {before} and is {now[key]}",
                hint="look at the status, then plan again",
            )


def _check_quarantine(runtime: EnvironmentRuntime, request: RolloutRequest) -> None:
    """Refuses a quarantined version, or another one of its commit, to triggers; a person may force it."""
    entry = runtime.journal.quarantine.find(runtime.model, request.version, runtime.version(request.version).commit)
    if entry is not None and request.trigger is not Trigger.PERSON and request.how is not How.ROLLBACK:
        raise Refused(
            f"version {request.version} or its commit is quarantined, and a {request.trigger} may not deploy it:"
            f" {entry.why or 'no reason was given'}",
            hint=f"a person can lift it: podium quarantine lift {entry.version}",
        )


def ensure_possible(runtime: EnvironmentRuntime) -> None:
    """Raises UsageError, before anything is fetched or started, where the environment's port is in use by another
    program or no replica is wanted."""
    runtime.proxy.require(runtime.environment.bind, runtime.environment.port)
    if runtime.environment.replicas < 1:
        raise UsageError(f"environments.{runtime.name}.replicas is {runtime.environment.replicas}", hint="at least 1")


def fetch(runtime: EnvironmentRuntime, version: int) -> str:
    """Fetches the version's files where they are not here; returns their digest. Asks the registry only then."""
    there = [*runtime.running(version), *runtime.stopped(version)]
    digest = next((row.digest for row in there if row.digest), None) or runtime.files.digest(version)
    digest = digest or _download(runtime, version)
    if len(there) < runtime.environment.replicas:
        runtime.driver.prepare(version)
    return digest


def _download(runtime: EnvironmentRuntime, version: int) -> str:
    from ...registry import open_registry

    runtime.say(f"fetching {runtime.model} version {version}")
    registry = open_registry(runtime.project.mlflow, runtime.project.state)
    try:
        return registry.fetch(runtime.model, version, runtime.files.directory(version))
    finally:
        registry.close()


def begin(runtime: EnvironmentRuntime, request: RolloutRequest, digest: str) -> Deployment:
    """Writes the ledger's row, and the audit; the caller holds the environment."""
    why = request.force or request.why
    deployment = runtime.journal.ledger.begin(
        environment=runtime.name,
        how=request.how,
        model=runtime.model,
        to_version=request.version,
        from_version=history.serving(runtime.journal, runtime.name, runtime.model),
        who=request.who,
        why=why,
        run_id=request.run_id,
        commit=runtime.version(request.version).commit,
        digest=digest,
        strategy="blue-green" if request.how in (How.ROLLBACK, How.START) else runtime.environment.strategy.kind,
        forced=bool(request.force),
    )
    runtime.journal.audit.add(request.who, str(request.how), f"{runtime.name} version {request.version}", why)
    return deployment
