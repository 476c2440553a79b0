"""The built-in steps deploy, promote and rollback: from a step's options to a saga, and back to the step's results."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...domain.delivery import Deployment, How
from ...errors import UsageError
from ..environment.healing import tend
from ..environment.lock import operation
from ..environment.runtime import EnvironmentRuntime
from . import plans
from .recovery import settled
from .saga import Order, Saga, begin, check, ensure_possible, fetch

if TYPE_CHECKING:
    from ...engine.context import StepContext

_SEEN = "seen."
# How many seconds a change waits for an engine that is away: one that is being restarted, or whose line was cut.
PATIENCE = 30.0


def deploy(context: StepContext) -> Mapping[str, Any]:
    """Options: `environment`, `version` (default: the one that a step before reported, else the challenger)."""
    return _step(context, How.DEPLOY)


def promote(context: StepContext) -> Mapping[str, Any]:
    """As deploy; needs a passed gate, or `force` with a reason; moves the aliases."""
    return _step(context, How.PROMOTE)


def rollback(context: StepContext) -> Mapping[str, Any]:
    """Options: `environment`, `version` (default: the last good one). Quarantines what it takes out."""
    return _step(context, How.ROLLBACK)


def _step(context: StepContext, how: How) -> Mapping[str, Any]:
    runtime = _runtime(context)
    deployment, warnings = carry_out(runtime, _order(context, runtime, how))
    return _results(runtime, deployment, warnings)


def carry_out(runtime: EnvironmentRuntime, order: Order) -> tuple[Deployment, list[str]]:
    """Do it, in the order that DESIGN.md gives: whatever takes long and changes nothing comes before the lock."""
    warm = order.how is How.ROLLBACK and not runtime.missing(order.version)
    if not warm:
        check(runtime, order)
        ensure_possible(runtime)
    digest = fetch(runtime, order.version)
    with operation(
        runtime.journal, runtime.directory, runtime.name, who=order.who, why=f"{order.how} of version {order.version}"
    ):
        lines = settled(runtime)
        lines += [] if warm else tend(runtime)
        for line in lines:
            runtime.say(line)
        check(runtime, order, holding=True)
        saga = Saga(runtime, begin(runtime, order, digest), asked=order.asked)
        return saga.run(), saga.warnings


def _runtime(context: StepContext) -> EnvironmentRuntime:
    options = context.options
    name = options.get("environment") or context.run.params.get("environment") or options.get("target") or ""
    config = context.project.environment(str(name))
    return EnvironmentRuntime(context.project, context.journal, config, say=context.log, patience=PATIENCE)


def _order(context: StepContext, runtime: EnvironmentRuntime, how: How) -> Order:
    options = context.options
    version = plans.parse_version(options.get("version"))
    if version is None and how is not How.ROLLBACK:
        version = plans.parse_version(context.upstream_result("version"))
    if how is not How.ROLLBACK:
        _know(runtime, version)
    if version is None:
        version = plans.plan(runtime.project, runtime.journal, how, runtime.name, None).version
    force = str(options.get("force") or "").strip()
    if force.lower() in ("true", "false"):
        raise UsageError("force needs a reason in words", hint="force: why it is right to do it all the same")
    run = context.run
    operation_run = run.is_operation
    return Order(
        how,
        version,
        run.who,
        why=run.why,
        trigger=run.trigger,
        run_id=run.id,
        force=force,
        seen={key.removeprefix(_SEEN): str(value) for key, value in options.items() if key.startswith(_SEEN)},
        asked=run.created if operation_run else time.time(),
    )


def _know(runtime: EnvironmentRuntime, version: int | None) -> None:
    """A version that was registered a moment ago may not be in the journal yet."""
    model = runtime.project.mlflow.model
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
        "traffic_seconds": deployment.data.get("traffic_seconds"),
        "seconds": round(ended - deployment.at, 3),
        "warnings": warnings,
    }
