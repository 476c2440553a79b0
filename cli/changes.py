"""deploy, promote, rollback: show the plan, ask, apply, follow, say how long it took."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from ..core.cockpit import Cockpit, clean
from ..core.domain.format import duration
from ..core.domain.plans import Plan
from ..core.domain.runs import RunDetail
from ..core.errors import UsageError
from . import diagnostics, output, shapes
from .attend import attend
from .canary import full as give_all_traffic
from .confirm import agree
from .diagnostics import note
from .models import refresh
from .options import EnvironmentName, RolloutOptions, VersionName
from .output import Format
from .plan_text import plan_lines


def deploy(
    cockpit: Cockpit,
    options: RolloutOptions,
    version: VersionName = None,
    environment: EnvironmentName = None,
) -> int:
    """Put a version on an environment. Aliases stay where they are.

    \b
    Example:
      podium deploy challenger -e staging --yes
    """
    if version is None:
        raise UsageError(
            "which version?", hint="`podium deploy challenger -e staging`; `podium versions` lists those there are"
        )
    if environment is None:
        names = ", ".join(cockpit.project.config.environments)
        raise UsageError("which environment?", hint=f"-e with one of: {names}")
    return _change(cockpit, "deploy", version, environment, options)


def promote(
    cockpit: Cockpit,
    options: RolloutOptions,
    version: VersionName = None,
    environment: EnvironmentName = None,
    full: Annotated[bool, typer.Option("--full", help="Give the running canary all traffic now.")] = False,
) -> int:
    """Make a version champion: the challenger, where none is named. It must have passed its gate.

    \b
    Example:
      podium promote --dry-run
      podium promote 4 -e production --yes --confirm production
      podium promote --full -e production --confirm production
    """
    if full:
        if version is not None:
            raise UsageError(
                "--full is about the running canary and takes no version",
                hint="`podium status` says which one that is",
            )
        return give_all_traffic(cockpit, environment, options)
    return _change(cockpit, "promote", version, environment, options)


def rollback(
    cockpit: Cockpit,
    options: RolloutOptions,
    version: VersionName = None,
    environment: EnvironmentName = None,
) -> int:
    """Put the last good version back, and quarantine the one it replaces.

    \b
    Example:
      podium rollback --yes --confirm production --why "errors since 10:40"
    """
    return _change(cockpit, "rollback", version, environment, options)


def _change(cockpit: Cockpit, verb: str, version: str | None, environment: str | None, options: RolloutOptions) -> int:
    began = time.monotonic()
    if options.force and not options.why:
        raise UsageError("--force needs a reason", hint='add --why "…"; it is kept in the ledger')
    name = cockpit.project.config.environment(environment or cockpit.environments.default()).name
    if verb != "rollback":  # what a rollback needs is in the ledger: it does not wait for the registry
        refresh(cockpit, offline=False)
    number = cockpit.models.resolve(version).version if version else None
    plan = cockpit.changes.plan(verb, name, version=number, force=options.force)
    refused = bool(plan.refusal) and not (plan.overridable and options.force)
    if options.dry_run:
        return show_plan(plan, shapes.plan(plan), options.output_format, refused=refused)
    typed = "" if refused else agree(plan, yes=options.yes, confirm=options.confirm)
    began = time.monotonic() if not options.yes else began
    run = cockpit.changes.apply(plan, confirmed=typed, why=options.why, force=options.force)
    assert run is not None
    attended = attend(
        cockpit,
        run,
        detach=options.detach,
        output_format=options.output_format,
        on_cancel="stopping, and undoing what was changed; Ctrl-C again returns at once",
    )
    if attended is None:
        return diagnostics.DONE
    if not attended.succeeded:
        return attended.ending()
    took = duration(time.monotonic() - began)
    note(f"{_serves(plan)}{_traffic(attended.detail)}, done in {took}", style="green")
    return diagnostics.DONE


def show_plan(plan: Plan, document: object, output_format: Format, *, refused: bool) -> int:
    """Prints what --dry-run asks for; returns its exit code."""
    if output_format is Format.JSON:
        output.document(document)
    else:
        for text in plan_lines(plan):
            output.line(text)
    return diagnostics.REFUSED if refused else diagnostics.DONE


def _serves(plan: Plan) -> str:
    versions = plan.versions
    assert versions is not None
    moved = "" if versions.from_version is None else f" (was v{versions.from_version})"
    return f"{clean(plan.target)} serves {clean(versions.model)} v{versions.version}{moved}"


def _traffic(detail: RunDetail) -> str:
    """When the traffic had moved, which is what people wait for; what comes after it is bookkeeping."""
    found = (step.results.get("traffic_seconds") for step in detail.steps)
    seconds = next((value for value in found if isinstance(value, int | float)), None)
    return f"; traffic moved after {duration(seconds)}" if seconds is not None else ""
