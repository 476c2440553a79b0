"""plan and apply: everything in which the world differs from podium.yaml, and making it so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from ....core.cockpit import Cockpit
from ....core.domain.infra.declared import Declared, DeclaredKind, DeclaredState
from ....core.domain.text import clean
from ....core.domain.text.format import count
from ....core.domain.text.planned import plan_lines
from ....core.errors import Interrupted, PodiumError
from ...completion import complete_environment
from ...interaction.apply import apply as apply_plan
from ...interaction.attend import attend
from ...options import ChangeOptions, FollowOptions, Output, Why, Yes
from ...text import declared_shapes, diagnostics, output
from ...text.diagnostics import note
from ...text.output import Column, Format
from ..models import refresh

Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME]...",
        help="Environments and infrastructure of podium.yaml. Default: all.",
        autocompletion=complete_environment,
        show_default=False,
    ),
]
_COLUMNS = (Column("WHAT"), Column("NAME"), Column("STATE", states=True), Column("IT IS", flexible=True))


def plan(
    cockpit: Cockpit,
    names: Names = None,
    infra: Annotated[
        bool, typer.Option("--infra", help="Have each infrastructure planned first: only its tool knows all of it.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 if anything differs.")] = False,
    output_format: Output = Format.TABLE,
) -> int:
    """Show everything in which the world differs from podium.yaml, and what `podium apply` would do about it.

    \b
    Example:
      podium plan
      podium plan production --check
      podium plan --infra -o json
    """
    refresh(cockpit, offline=False)
    if infra and (code := _planned(cockpit, names or ())) != diagnostics.DONE:
        return code
    found = cockpit.declared.list(names or ())
    cells = [(each.kind.value, each.name, _state(each), each.words) for each in found]
    output.rows(output_format, _COLUMNS, cells, map(declared_shapes.declared, found))
    if output_format is not Format.JSON:
        _tell(found)
    return diagnostics.FAILED if check and any(each.differs for each in found) else diagnostics.DONE


def apply(
    cockpit: Cockpit,
    names: Names = None,
    yes: Yes = False,
    confirm: Annotated[
        list[str] | None,
        typer.Option(
            "--confirm",
            metavar="NAME",
            help="The name of a protected environment; may be repeated.",
            show_default=False,
        ),
    ] = None,
    why: Why = "",
    output_format: Output = Format.TABLE,
) -> int:
    """Make the world as podium.yaml declares it: infrastructure first, then each environment. Each change is shown and
    asked for, as it would be alone.

    \b
    Example:
      podium apply
      podium apply staging --yes
      podium apply --yes --confirm production --why "the second replica"
    """
    refresh(cockpit, offline=False)
    code, seen = diagnostics.DONE, list[str]()
    for name in cockpit.declared.names(names or ()):
        found = cockpit.declared.get(name)
        seen.append(name)
        if found.applies:
            options = ChangeOptions(yes=yes, confirm=name if name in (confirm or ()) else "", why=why)
            failed = _applied(cockpit, found, options)
            code = code or failed
            if failed and found.kind is DeclaredKind.INFRA:
                break  # what comes after may need it
        elif found.differs:
            note(f"{clean(name)}: {clean(found.words)}{_command(found)}", style="yellow")
        else:
            note(f"{clean(name)}: {clean(found.words)}", style="dim")
    if output_format is Format.JSON:
        output.document([declared_shapes.declared(cockpit.declared.get(name)) for name in seen])
    return code


def _planned(cockpit: Cockpit, names: Sequence[str]) -> int:
    """Has infrastructure planned; returns the exit code."""
    for name in cockpit.declared.names(names):
        if name not in cockpit.project.config.infra:
            continue
        attended = attend(cockpit, cockpit.infra.plan(name), FollowOptions(quiet=True), document=False)
        if attended is not None and not attended.succeeded:
            return attended.ending()
    return diagnostics.DONE


def _applied(cockpit: Cockpit, found: Declared, options: ChangeOptions) -> int:
    """Applies the change of one; what is refused or fails is said, and does not keep the others from being done.
    Returns the exit code."""
    assert found.plan is not None
    try:
        return apply_plan(
            cockpit,
            found.plan,
            options,
            on_cancel="what is being changed is finished first",
            cancels=False,
            finished=lambda _: f"{clean(found.name)} is as declared",
        )
    except Interrupted:
        raise
    except PodiumError as error:
        return diagnostics.report(error)


def _state(each: Declared) -> str:
    if each.plan is not None and each.plan.refusal:
        return "refused"
    return each.state.value


def _command(each: Declared) -> str:
    return f" (`{clean(each.command)}`)" if each.command else ""


def _tell(found: Sequence[Declared]) -> None:
    """Prints what would be done, change by change."""
    for each in found:
        if each.applies and each.plan is not None:
            output.line("")
            for text in plan_lines(each.plan, diagnostics.glyph("→", "->")):
                output.line(text)
        elif each.command and each.differs:
            note(f"{clean(each.name)}: `{clean(each.command)}`", style="yellow")
    changes = [each for each in found if each.applies]
    if changes:
        note(
            f"{count(len(changes), 'change')}: `podium apply` makes {'it' if len(changes) == 1 else 'them'}",
            style="bold",
        )
    elif not any(each.differs for each in found):
        whole = all(each.state is DeclaredState.AS_DECLARED for each in found)
        note("the world is as podium.yaml declares it" if whole else "there is nothing to apply", style="green")
