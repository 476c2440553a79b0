"""prune: what the project's state directory keeps, and what goes."""

from __future__ import annotations

from typing import Annotated

import typer

from ...core.cockpit import Cockpit
from ...core.domain.format import count, size
from ...core.domain.plans import Plan
from ...core.domain.runs import RunDetail
from ...core.domain.text import clean
from ...core.domain.watching import STATE, Pruned, read_pruned
from ..interaction.apply import apply, refuses, show_plan
from ..options import ChangeOptions, DryRun, Output
from ..text import diagnostics, output, shapes
from ..text.diagnostics import note
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
