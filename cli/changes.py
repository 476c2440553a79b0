"""deploy, promote, rollback: show the plan, ask, apply, follow, say how long it took."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import Annotated

import typer

from ..core.cockpit import Cockpit, clean
from ..core.domain.delivery import How, Plan
from ..core.domain.format import duration, figure
from ..core.domain.runs import RunDetail, RunState
from ..core.errors import Interrupted, Refused, UsageError
from . import diagnostics, output, shapes
from .completion import complete_environment, complete_version
from .diagnostics import glyph, note, paint
from .follow import ending, follow
from .models import refresh
from .output import Format, Output
from .runs import detail_shape

EnvironmentName = Annotated[
    str | None,
    typer.Option(
        "-e",
        "--environment",
        metavar="NAME",
        autocompletion=complete_environment,
        show_default=False,
        help="The environment. Default: the one that promotions are for, which carries `champion`.",
    ),
]
VersionName = Annotated[
    str | None,
    typer.Argument(
        metavar="[VERSION]",
        help="3, an alias, or a commit's beginning.",
        autocompletion=complete_version,
        show_default=False,
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask. A protected environment also wants --confirm.")]
Confirm = Annotated[
    str,
    typer.Option(
        "--confirm", metavar="NAME", help="The protected environment's name, typed on purpose.", show_default=False
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan and change nothing.")]
Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Override a gate's refusal or a quarantine. Needs --why; both are kept in the ledger."
    ),
]
Why = Annotated[str, typer.Option("--why", metavar="REASON", help="Kept in the ledger.", show_default=False)]
Detach = Annotated[
    bool, typer.Option("-d", "--detach", help="Return as soon as it has started and print the run's number.")
]


def deploy(
    cockpit: Cockpit,
    version: VersionName = None,
    environment: EnvironmentName = None,
    yes: Yes = False,
    confirm: Confirm = "",
    dry_run: DryRun = False,
    force: Force = False,
    why: Why = "",
    detach: Detach = False,
    output_format: Output = Format.TABLE,
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
        raise UsageError("which environment?", hint=f"-e with one of: {', '.join(cockpit.project.config.environments)}")
    return _change(cockpit, How.DEPLOY, version, environment, yes, confirm, dry_run, force, why, detach, output_format)


def promote(
    cockpit: Cockpit,
    version: VersionName = None,
    environment: EnvironmentName = None,
    yes: Yes = False,
    confirm: Confirm = "",
    dry_run: DryRun = False,
    force: Force = False,
    full: Annotated[bool, typer.Option("--full", help="Give the canary that is under way all traffic now.")] = False,
    why: Why = "",
    detach: Detach = False,
    output_format: Output = Format.TABLE,
) -> int:
    """Make a version champion: the challenger, where none is named. It must have passed its gate.

    \b
    Example:
      podium promote --dry-run
      podium promote 4 -e production --yes --confirm production
      podium promote --full -e production --confirm production
    """
    if full:
        from .canary import full as all_traffic

        if version is not None:
            raise UsageError(
                "--full is about the canary under way and takes no version",
                hint="`podium status` says which one that is",
            )
        return all_traffic(cockpit, environment, yes, confirm, why, output_format)
    return _change(cockpit, How.PROMOTE, version, environment, yes, confirm, dry_run, force, why, detach, output_format)


def rollback(
    cockpit: Cockpit,
    version: VersionName = None,
    environment: EnvironmentName = None,
    yes: Yes = False,
    confirm: Confirm = "",
    dry_run: DryRun = False,
    force: Force = False,
    why: Why = "",
    detach: Detach = False,
    output_format: Output = Format.TABLE,
) -> int:
    """Put the last good version back, and quarantine the one it replaces.

    \b
    Example:
      podium rollback --yes --confirm production --why "errors since 10:40"
    """
    return _change(
        cockpit, How.ROLLBACK, version, environment, yes, confirm, dry_run, force, why, detach, output_format
    )


def _change(
    cockpit: Cockpit,
    how: How,
    version: str | None,
    environment: str | None,
    yes: bool,
    confirm: str,
    dry_run: bool,
    force: bool,
    why: str,
    detach: bool,
    output_format: Format,
) -> int:
    began = time.monotonic()
    if force and not why:
        raise UsageError("--force needs a reason", hint='add --why "…"; it is kept in the ledger')
    name = environment or cockpit.environments.default()
    cockpit.project.config.environment(name)
    if how is not How.ROLLBACK:  # what a rollback needs is in the ledger: it does not wait for the registry
        refresh(cockpit, offline=False)
    number = cockpit.models.resolve(version).version if version else None
    plan = cockpit.environments.plan(how, name, number, force=force)
    if dry_run:
        output.document(shapes.plan(plan)) if output_format is Format.JSON else _print_plan(plan)
        return diagnostics.REFUSED if plan.refusal and not (plan.force and force) else diagnostics.DONE
    if plan.refusal and not (plan.force and force):
        cockpit.environments.apply(plan, why=why, force=force)  # raises the refusal in the façade's words
    _ask(plan, yes, confirm)
    began = time.monotonic() if not yes else began
    run = cockpit.environments.apply(plan, why=why, force=force)
    if detach:
        output.document(shapes.run(run)) if output_format is Format.JSON else output.line(str(run.id))
        return diagnostics.DONE
    return _attend(cockpit, plan, run.id, began, output_format)


def _attend(cockpit: Cockpit, plan: Plan, run_id: int, began: float, output_format: Format) -> int:
    interrupted = False

    def on_interrupt() -> None:
        nonlocal interrupted
        interrupted = True
        note("stopping, and putting back what was; Ctrl-C again returns at once", style="yellow")
        _cancel(cockpit, run_id)

    detail = follow(cockpit, cockpit.runs.get(run_id).run, on_interrupt=on_interrupt)
    took = time.monotonic() - began
    if output_format is Format.JSON:
        output.document(detail_shape(cockpit, detail))
    if detail.run.state is RunState.SUCCEEDED:
        moved = "" if plan.from_version is None else f" (was v{plan.from_version})"
        note(
            f"{clean(plan.environment)} serves {clean(plan.model)} v{plan.version}{moved}{_traffic(detail)}, done in"
            f" {duration(took)}",
            style="green",
        )
        return diagnostics.DONE
    return ending(detail, interrupted=interrupted)


def _traffic(detail: RunDetail) -> str:
    """When the traffic had moved, which is what people wait for; what comes after it is bookkeeping."""
    seconds = next(
        (
            step.results["traffic_seconds"]
            for step in detail.steps
            if isinstance(step.results.get("traffic_seconds"), int | float)
        ),
        None,
    )
    return f"; traffic moved after {duration(seconds)}" if seconds is not None else ""


def _cancel(cockpit: Cockpit, run_id: int) -> None:
    """A run that ended in the same moment needs no cancelling."""
    with contextlib.suppress(Refused):
        cockpit.runs.cancel(run_id, why="Ctrl-C")


def _ask(plan: Plan, yes: bool, confirm: str) -> None:
    agree(plan_lines(plan), plan.how.value, plan.type_to_confirm, plan.command, yes=yes, confirm=confirm)


def agree(lines: Sequence[str], verb: str, wanted: str, command: str, *, yes: bool, confirm: str) -> None:
    """Show the plan and return when a person agreed; `wanted` is the word that they have to type, empty where yes is
    enough.

    Refused (exit 4) when nobody did or could; Interrupted on Ctrl-C at the question.
    """
    if wanted and confirm:
        if confirm != wanted:
            raise Refused(f"--confirm says {confirm!r} and this would change {wanted!r}", hint=f"--confirm {wanted}")
        return
    if yes and not wanted:
        return
    for text in lines:
        note(text)
    if not diagnostics.interactive():
        flags = f"--yes --confirm {wanted}" if wanted else "--yes"
        raise Refused(f"nobody is at a terminal to agree to the {verb}", hint=f"{command} {flags}")
    try:
        question = f"type {wanted} to {verb}: " if wanted else f"{verb}? [y/N] "
        print(paint(question, "bold"), end="", file=diagnostics.sys.stderr, flush=True)
        answer = diagnostics.sys.stdin.readline().strip()
    except KeyboardInterrupt:
        note()
        raise Interrupted("nothing was changed") from None
    if not (answer == wanted if wanted else answer.lower() in ("y", "yes")):
        raise Refused("not confirmed; nothing was changed")


def _print_plan(plan: Plan) -> None:
    for text in plan_lines(plan):
        output.line(text)


def plan_lines(plan: Plan) -> list[str]:
    """The plan as a person reads it before agreeing."""
    arrow = glyph("→", "->")
    origin = f" (serves v{plan.from_version} now)" if plan.from_version is not None else ""
    lines = [f"{plan.how.value} {clean(plan.model)} v{plan.version} on {clean(plan.environment)}{origin}"]
    wide = max((len(change.subject) for change in plan.changes), default=0)
    lines += [
        f"  {clean(each.subject):<{wide}}  {clean(each.before) or 'none'} {arrow} {clean(each.after) or 'none'}"
        for each in plan.changes
    ]
    lines += [f"  {number}. {clean(step)}" for number, step in enumerate(plan.steps, 1)]
    lines += _metric_lines(plan)
    if plan.expected_seconds is not None:
        lines.append(f"  expected to take {duration(plan.expected_seconds)}")
    lines += [f"  warning: {clean(text)}" for text in plan.warnings]
    if plan.refusal:
        lines.append(f"  refused: {clean(plan.refusal)}" + (" (--force --why REASON overrides)" if plan.force else ""))
    lines.append(f"  {plan.command}")
    return lines


def _metric_lines(plan: Plan) -> list[str]:
    candidate, champion = plan.candidate, plan.champion
    if candidate is None or champion is None or candidate.version == champion.version:
        return []
    shared = [name for name in candidate.metrics if name in champion.metrics][:6]
    return [
        f"  {clean(name)}: {figure(champion.metrics[name])} {glyph('→', '->')} {figure(candidate.metrics[name])} "
        f"({candidate.metrics[name] - champion.metrics[name]:+.4f})"
        for name in shared
    ]
