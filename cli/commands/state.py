"""prune, backup, restore: what the project's state directory keeps, and what goes, and copies of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...core.cockpit import Cockpit, restore_project
from ...core.domain.plans import Plan
from ...core.domain.runs import RunDetail
from ...core.domain.text import clean
from ...core.domain.text.format import count, moment, size
from ...core.domain.watching import STATE, Pruned, read_pruned
from ..interaction.apply import apply, refuses, show_plan
from ..options import ChangeOptions, DryRun, Output
from ..session import start
from ..text import diagnostics, output, shapes
from ..text.diagnostics import hint, note
from ..text.output import Column, Format

_PRUNED = (
    Column("KIND"),
    Column("ENTRIES", right=True),
    Column("SIZE", right=True),
    Column("WHY", flexible=True),
)


def prune(
    cockpit: Cockpit,
    kinds: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KIND]...", help="Only these kinds, such as logs or cache.", show_default=False),
    ] = None,
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output_format: Output = Format.TABLE,
) -> int:
    """Remove what is older, or more, than `retain:` in podium.yaml keeps; the agent does it every night.

    What a rollback, a resumed run, a running one, a report or lineage needs stays. The ledger and the audit lose
    nothing: old entries are sealed into files that `podium doctor` checks.

    \b
    Example:
      podium prune --dry-run
      podium prune logs cache --yes
    """
    plan = cockpit.changes.plan("prune", STATE, kinds=tuple(kinds or ()))
    if dry_run or (plan.nothing_to_do and not plan.refusal):
        return _show(plan, output_format)
    return apply(
        cockpit,
        plan,
        ChangeOptions(yes=yes, output_format=output_format),
        on_cancel="",
        finished=_done,
        document=lambda detail: [shapes.pruned(each) for each in _removed(detail)],
    )


def _done(detail: RunDetail) -> str:
    removed = _removed(detail)
    entries, room = sum(each.entries for each in removed), sum(each.size for each in removed)
    return f"removed {count(entries, 'entry', 'entries')}, {size(room)}"


def _removed(detail: RunDetail) -> list[Pruned]:
    return [Pruned(**each) for step in detail.steps for each in step.results.get("removed", ())]


def _show(plan: Plan, output_format: Format) -> int:
    """Prints what would be removed, as the plan, or as rows where a program reads them; returns the exit code."""
    found = read_pruned(plan.arguments["found"])
    if found and output_format is Format.TABLE:
        show_plan(plan, None, output_format)
    else:
        for warning in plan.warnings:
            note(clean(warning), style="yellow")
        cells = [(each.kind, str(each.entries), size(each.size), each.why) for each in found]
        output.rows(output_format, _PRUNED, cells, map(shapes.pruned, found))
    note(clean(plan.nothing_to_do) or "nothing was removed", style="dim")
    return diagnostics.REFUSED if refuses(plan) else diagnostics.DONE


File = Annotated[Path, typer.Argument(metavar="FILE", help="The backup's file.", show_default=False)]


def backup(
    cockpit: Cockpit,
    file: File,
    captures: Annotated[
        bool, typer.Option("--captures", help="With captured requests, feedback and labels, which are users' data.")
    ] = False,
    output_format: Output = Format.TABLE,
) -> int:
    """Write the project's state into one file, consistent while everything runs, that only you may read.

    The journal, sealed segments, logs, and an embedded MLflow store with its models are in it; podium.yaml, secrets,
    the cache and what git has are not.

    \b
    Example:
      podium backup /mnt/backups/shop-$(date +%F).tar.gz
    """
    made = cockpit.project.backup(start() / file, captures=captures)
    for warning in made.warnings:
        note(clean(warning), style="yellow")
    if output_format is Format.JSON:
        output.document(shapes.backup(made))
    note(f"{clean(made.path)}: {count(made.files, 'file')}, {size(made.size)}", style="green")
    return diagnostics.DONE


def restore(
    file: File,
    directory: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="The project's directory. Default: here.", show_default=False),
    ] = None,
    output_format: Output = Format.TABLE,
) -> int:
    """Bring a backup back into a directory that has no state yet, here or on another machine, and say what to do next.

    It is unpacked beside its place and checked as a whole before anything is changed.

    \b
    Example:
      git clone …/shop && podium restore shop-2026-11-28.tar.gz shop
    """
    done = restore_project(start() / file, start() / directory if directory else start())
    if output_format is Format.JSON:
        output.document(shapes.restored(done))
    note(f"{clean(done.project)} of {moment(done.created)} is back in {clean(done.home)}", style="green")
    for step in done.next:
        hint(clean(step))
    return diagnostics.DONE
