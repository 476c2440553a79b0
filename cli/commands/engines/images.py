"""images: the images of versions, and removing those that nothing needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from ....core.cockpit import Cockpit
from ....core.domain.containers import IMAGES, Image, UnneededImage, read_unneeded
from ....core.domain.plans import Plan
from ....core.domain.runs import RunDetail
from ....core.domain.text import clean
from ....core.domain.text.format import ago, count, duration, size
from ....core.domain.verdicts import VersionVerdict, last_word
from ...interaction.apply import apply, refuses, show_plan
from ...options import ChangeOptions, Model, Output
from ...text import diagnostics, engine_shapes, output
from ...text.diagnostics import note
from ...text.output import Column, Format

_IMAGES = (
    Column("VERSION", right=True),
    Column("IMAGE"),
    Column("SIZE", right=True),
    Column("BUILT"),
    Column("TOOK", right=True),
    Column("PUSHED", flexible=True),
    Column("ENGINE", flexible=True),
    Column("VERDICT", states=True),
)
_UNNEEDED = (
    Column("VERSION", right=True),
    Column("NAME"),
    Column("SIZE", right=True),
    Column("WHY", flexible=True),
    Column("ENGINE", flexible=True),
)


def images(
    cockpit: Cockpit,
    model: Model = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Show the images that nothing needs, ask, and remove them.")
    ] = False,
    newest: Annotated[
        int, typer.Option("--newest", metavar="N", min=1, help="With --prune: keep the newest N versions in any case.")
    ] = 5,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --prune: show what would be removed, and remove nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --prune: do not ask.")] = False,
    output_format: Output = Format.TABLE,
) -> int:
    """List the images of versions on every engine, newest version first, or remove those that nothing needs.

    An image is kept if it runs or serves, or if its version has an alias or may be rolled back to.

    \b
    Example:
      podium images -o json
      podium images --prune --dry-run
    """
    if prune:
        return _prune(cockpit, newest, dry_run, yes, output_format)
    found = cockpit.containers.images(model)
    verdicts = cockpit.models.verdicts(model) if found else {}
    output.rows(output_format, _IMAGES, [_row(each, verdicts) for each in found], map(engine_shapes.image, found))
    if not found:
        note("no images yet: a step with `uses: image` builds the first", style="dim")
    return diagnostics.DONE


def _row(image: Image, verdicts: Mapping[int, Sequence[VersionVerdict]]) -> tuple[str, ...]:
    pushed = image.reference if image.digest else ""
    return (
        str(image.version),
        image.image_id[7:19],
        size(image.size),
        ago(image.built),
        duration(image.seconds),
        pushed,
        image.engine,
        last_word(verdicts.get(image.version, ()), None),
    )


def _prune(cockpit: Cockpit, newest: int, dry_run: bool, yes: bool, output_format: Format) -> int:
    plan = cockpit.changes.plan("prune", IMAGES, newest=newest)
    if dry_run or (plan.nothing_to_do and not plan.refusal):
        return _show(plan, output_format)
    return apply(
        cockpit,
        plan,
        ChangeOptions(yes=yes, output_format=output_format),
        on_cancel="",
        finished=lambda detail: f"removed {count(len(_removed(detail)), 'image')}",
        document=lambda detail: [engine_shapes.unneeded(each) for each in _removed(detail)],
    )


def _removed(detail: RunDetail) -> list[UnneededImage]:
    return [UnneededImage(**each) for step in detail.steps for each in step.results.get("removed", ())]


def _show(plan: Plan, output_format: Format) -> int:
    """Prints what would be removed, as the plan, or as rows where a program reads them; returns the exit code."""
    found = read_unneeded(plan.arguments["images"])
    for warning in plan.warnings if not found or output_format is not Format.TABLE else ():
        note(clean(warning), style="yellow")
    if found and output_format is Format.TABLE:
        show_plan(plan, None, output_format)
    else:
        cells = [(str(each.version or ""), each.name, size(each.size), each.why, each.engine) for each in found]
        output.rows(output_format, _UNNEEDED, cells, map(engine_shapes.unneeded, found))
    note(clean(plan.nothing_to_do) or f"{count(len(found), 'image')} would be removed", style="dim")
    return diagnostics.REFUSED if refuses(plan) else diagnostics.DONE
