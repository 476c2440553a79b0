"""images: the images of versions, and removing those that nothing needs."""

from __future__ import annotations

from typing import Annotated

import typer

from ...core.cockpit import Cockpit
from ...core.domain.containers import Image, Unneeded
from ...core.domain.format import ago, count, duration, size
from ..interaction.confirm import ask
from ..options import Model, Output
from ..text import diagnostics, output, shapes
from ..text.diagnostics import note
from ..text.output import Column, Format

_IMAGES = (
    Column("VERSION", right=True),
    Column("IMAGE"),
    Column("SIZE", right=True),
    Column("BUILT"),
    Column("TOOK", right=True),
    Column("PUSHED", flexible=True),
    Column("ENGINE", flexible=True),
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
    output.rows(output_format, _IMAGES, [_row(each) for each in found], map(shapes.image, found))
    if not found:
        note("no images yet: a step with `uses: image` builds the first", style="dim")
    return diagnostics.DONE


def _row(image: Image) -> tuple[str, ...]:
    pushed = image.reference if image.digest else ""
    return (
        str(image.version),
        image.image_id[7:19],
        size(image.size),
        ago(image.built),
        duration(image.seconds),
        pushed,
        image.engine,
    )


def _prune(cockpit: Cockpit, newest: int, dry_run: bool, yes: bool, output_format: Format) -> int:
    found = cockpit.containers.unneeded_images(newest, say=lambda line: note(line, style="yellow"))
    if not found or dry_run:
        _show(found, output_format)
        note(
            "nothing to remove: every image is needed"
            if not found
            else f"{count(len(found), 'image')} would be removed",
            style="dim",
        )
        return diagnostics.DONE
    ask(
        [f"{each.name}: {each.why}" for each in found],
        f"remove {count(len(found), 'image')}",
        f"podium images --prune --newest {newest} --yes",
        yes=yes,
        otherwise="nothing was removed",
    )
    gone = cockpit.containers.prune_images(found, say=note)
    if output_format is Format.JSON:
        output.document([shapes.unneeded(each) for each in gone])
    note(f"removed {count(len(gone), 'image')}", style="green")
    return diagnostics.DONE


def _show(found: list[Unneeded], output_format: Format) -> None:
    cells = [(str(each.version or ""), each.name, size(each.size), each.why, each.engine) for each in found]
    output.rows(output_format, _UNNEEDED, cells, map(shapes.unneeded, found))
