"""feedback: what alerts have started, what waits for a person, and whether it helped."""

from __future__ import annotations

from typing import Annotated

import typer

from ....core.cockpit import Cockpit
from ....core.domain.monitoring import LoopEntry
from ....core.domain.text.format import figure
from ...options import Output, Why
from ...session import command, opened
from ...text import diagnostics, output
from ...text import monitoring_shapes as shapes
from ...text.output import Column, Format

feedback = typer.Typer(
    help="Show what alerts have started and whether it helped; approve and reject what is proposed.",
    rich_markup_mode=None,
)
_ENTRIES = (
    Column("ENTRY", right=True),
    Column("AT"),
    Column("PIPELINE"),
    Column("ALERT"),
    Column("ENVIRONMENT"),
    Column("STATE", states=True),
    Column("MODE"),
    Column("RUN", right=True),
    Column("VERSION", right=True),
    Column("WHY", flexible=True),
)
Entry = Annotated[int, typer.Argument(metavar="ENTRY", help="The entry's number.", show_default=False)]


@feedback.callback(invoke_without_command=True)
def listed(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, help="At most N, newest first.")] = 50,
    output_format: Output = Format.TABLE,
) -> int | None:
    """Show what the feedback loop did: what was held and why, proposed, started, delivered, and whether it helped.

    \b
    Example:
      podium feedback -o json
      podium feedback approve 3
    """
    if context.invoked_subcommand is not None:
        return None
    cockpit = opened()
    try:
        return _list(cockpit, limit, output_format)
    finally:
        cockpit.close()


def _list(cockpit: Cockpit, limit: int, output_format: Format) -> int:
    found = cockpit.feedback.list(limit=limit)
    cells = [
        (
            str(each.id),
            shapes.moment(each.at) or "",
            each.pipeline,
            each.alert,
            each.environment,
            each.state.value,
            each.mode,
            figure(each.run),
            "" if each.version is None else f"v{each.version}",
            each.why,
        )
        for each in found
    ]
    output.rows(output_format, _ENTRIES, cells, map(shapes.loop, found))
    if not found:
        diagnostics.note("no alert has started anything (`on: {alert: …}`)", style="dim")
    return diagnostics.DONE


def approve(cockpit: Cockpit, entry: Entry, why: Why = "", output_format: Output = Format.TABLE) -> int:
    """Start what was proposed. With a reason also what a brake holds.

    \b
    Example:
      podium feedback approve 3
      podium feedback approve 4 --why "the feed is repaired"
    """
    return _told(cockpit.feedback.approve(entry, why=why), "started, run {}: podium logs -f {}", output_format)


def reject(
    cockpit: Cockpit,
    entry: Entry,
    why: Annotated[
        str, typer.Option("--why", metavar="REASON", help="The reason. It is kept in the audit.", show_default=False)
    ],
    output_format: Output = Format.TABLE,
) -> int:
    """End what was proposed or held, for this firing of its alert.

    \b
    Example:
      podium feedback reject 3 --why "the airport was closed"
    """
    return _told(cockpit.feedback.reject(entry, why=why), "rejected", output_format)


def _told(entry: LoopEntry, words: str, output_format: Format) -> int:
    if output_format is Format.JSON:
        output.document(shapes.loop(entry))
    diagnostics.note(f"entry {entry.id} of {entry.pipeline} is {words.format(entry.run, entry.run)}", style="green")
    return diagnostics.DONE


for _name, _function in {"approve": approve, "reject": reject}.items():
    feedback.command(_name)(command(_function))
