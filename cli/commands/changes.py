"""deploy, promote, rollback, stop and start: plan the change, ask, apply it, follow it, and say how long it took."""

from __future__ import annotations

import shlex
import time
from typing import Annotated

import typer

from ...core.cockpit import Cockpit
from ...core.domain.plans import Plan
from ...core.domain.runs import RunDetail
from ...core.domain.text import clean
from ...core.domain.text.format import duration
from ...core.errors import UsageError
from ..interaction.apply import apply, show_plan, without_a_run
from ..options import ChangeOptions, EnvironmentName, RolloutOptions, VersionName, environment_option
from ..text import shapes
from .canary import full as give_all_traffic
from .models import refresh

ThatEnvironment = Annotated[str | None, environment_option("The environment.")]
_ON_CANCEL = "stopping, and undoing what was changed; Ctrl-C again returns at once"


def deploy(
    cockpit: Cockpit,
    options: RolloutOptions,
    version: VersionName = None,
    environment: ThatEnvironment = None,
) -> int:
    """Deploy a version to an environment. No alias is moved.

    \b
    Example:
      podium deploy challenger -e staging --yes
    """
    if version is None:
        where = environment or next(iter(cockpit.project.config.environments), "ENVIRONMENT")
        raise UsageError(
            "which version?",
            hint=f"for example {_spelled('deploy', 'challenger', where)}; `podium versions` lists all versions",
        )
    return _change(cockpit, "deploy", version, _named(cockpit, "deploy", version, environment), options)


def promote(
    cockpit: Cockpit,
    options: RolloutOptions,
    version: VersionName = None,
    environment: EnvironmentName = None,
    full: Annotated[bool, typer.Option("--full", help="Give the running canary all traffic now.")] = False,
) -> int:
    """Make a version champion, by default the challenger. It must have passed its gate.

    \b
    Example:
      podium promote --dry-run
      podium promote 4 -e production --yes --confirm production
      podium promote --full -e production --confirm production
    """
    if full:
        if version is not None:
            raise UsageError(
                "--full gives the running canary all traffic and takes no version",
                hint="`podium status` shows the canary",
            )
        return give_all_traffic(cockpit, environment, options)
    return _change(cockpit, "promote", version, environment, options)


def rollback(
    cockpit: Cockpit,
    options: RolloutOptions,
    version: VersionName = None,
    environment: EnvironmentName = None,
) -> int:
    """Bring back the last good version, or the named one, and quarantine the version that it replaces.

    \b
    Example:
      podium rollback --yes --confirm production --why "errors since 10:40"
    """
    return _change(cockpit, "rollback", version, environment, options)


def stop(cockpit: Cockpit, options: ChangeOptions, environment: ThatEnvironment = None) -> int:
    """Stop an environment: its proxy and all of its replicas end, and the agent leaves it so.

    \b
    Example:
      podium stop -e staging --why "moves to another machine"
      podium stop -e production --dry-run
    """
    plan = cockpit.changes.plan("stop", _named(cockpit, "stop", None, environment))
    if (done := _without_a_run(plan, options)) is not None:
        return done
    return apply(
        cockpit,
        plan,
        options,
        on_cancel="the stop continues without this command: stopping halfway would leave more to end",
        cancels=False,
        finished=lambda _: f"{clean(plan.target)} is stopped",
    )


def start(cockpit: Cockpit, options: RolloutOptions, environment: ThatEnvironment = None) -> int:
    """Start a stopped environment again, with the version that it served last.

    \b
    Example:
      podium start -e staging --yes
    """
    if options.force and not options.why:
        raise UsageError("--force needs a reason", hint=f'{_spelled("start", None, environment)} --force --why "…"')
    plan = cockpit.changes.plan("start", _named(cockpit, "start", None, environment), force=options.force)
    if (done := _without_a_run(plan, options, force=options.force)) is not None:
        return done
    return apply(cockpit, plan, options, force=options.force, on_cancel=_ON_CANCEL, finished=lambda _: _serves(plan))


def _without_a_run(plan: Plan, options: ChangeOptions, *, force: bool = False) -> int | None:
    return without_a_run(plan, shapes.plan(plan), options.output_format, dry_run=options.dry_run, force=force)


def _named(cockpit: Cockpit, verb: str, version: str | None, environment: str | None) -> str:
    if environment is not None:
        return environment
    names = list(cockpit.project.config.environments)
    if not names:
        return cockpit.environments.default()  # which says so, and shows one
    raise UsageError("which environment?", hint="\n".join(_spelled(verb, version, name) for name in names))


def _change(cockpit: Cockpit, verb: str, version: str | None, environment: str | None, options: RolloutOptions) -> int:
    began = time.monotonic()
    if options.force and not options.why:
        raise UsageError("--force needs a reason", hint=f'{_spelled(verb, version, environment)} --force --why "…"')
    name = cockpit.environments.chosen(environment)
    if verb != "rollback":  # a rollback needs only the ledger, and must not wait for the registry
        refresh(cockpit, offline=False)
    number = cockpit.models.resolve(version, cockpit.environments.model_of(name)).version if version else None
    plan = cockpit.changes.plan(verb, name, version=number, force=options.force)
    if options.dry_run:
        return show_plan(plan, shapes.plan(plan), options.output_format, force=options.force)
    return apply(
        cockpit,
        plan,
        options,
        force=options.force,
        began=began if options.yes else None,
        on_cancel=_ON_CANCEL,
        finished=lambda detail: _serves(plan) + _traffic(detail),
    )


def _spelled(verb: str, version: str | None, environment: str | None) -> str:
    """Returns the command that was meant, for a hint."""
    where = ["-e", environment] if environment else []
    return shlex.join(["podium", verb, *([version] if version else []), *where])


def _serves(plan: Plan) -> str:
    versions = plan.versions
    assert versions is not None
    moved = "" if versions.from_version is None else f" (was v{versions.from_version})"
    return f"{clean(plan.target)} serves {clean(versions.model)} v{versions.version}{moved}"


def _traffic(detail: RunDetail) -> str:
    """Returns after how long the traffic had moved, which is what people wait for."""
    found = (step.results.get("traffic_seconds") for step in detail.steps)
    seconds = next((value for value in found if isinstance(value, int | float)), None)
    return f"; traffic moved after {duration(seconds)}" if seconds is not None else ""
