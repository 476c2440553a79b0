"""ui, and what `podium` alone does: the only place where the command line loads the cockpit, late and only on a
terminal."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ...core.cockpit import Cockpit, several
from ...core.errors import UsageError
from .. import session
from ..text import diagnostics, output


def ui(
    directories: Annotated[
        list[Path] | None,
        typer.Argument(metavar="DIR", help="Open these projects, the first one first.", show_default=False),
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Open it without the keys that change something.")
    ] = False,
    theme: Annotated[
        str | None, typer.Option("--theme", metavar="NAME", help="The colours.", show_default=False)
    ] = None,
    screen: Annotated[
        str | None, typer.Option("--screen", metavar="NAME", help="Open this screen first.", show_default=False)
    ] = None,
    linear: Annotated[
        bool, typer.Option("--linear", help="Tell it line by line, for screen readers; by itself for TERM=dumb.")
    ] = False,
    web: Annotated[
        bool, typer.Option("--web", help="Show it to browsers of this machine, read-only, until ctrl+c.")
    ] = False,
    allow_changes: Annotated[
        bool, typer.Option("--allow-changes", help="With --web: with the keys that change something.")
    ] = False,
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="With --web: this port, instead of a free one.")
    ] = 0,
) -> int:
    """Open the cockpit.

    \b
    Example:
      podium ui --read-only --screen environments
      podium ui ~/work/flights ~/work/prices
      podium ui --web
    """
    homes = several.resolved(directories, session.start()) if directories else ()
    _check(web=web, linear=linear, read_only=read_only, allow_changes=allow_changes, port=port)
    if web:
        return _to_browsers(homes, allow_changes=allow_changes, theme=theme, screen=screen, port=port)
    cockpit = Cockpit.open(homes[0], say=session.tell) if homes else session.opened()
    try:
        return show(cockpit, read_only=read_only, theme=theme, screen=screen, linear=linear, others=homes[1:])
    finally:
        cockpit.close()


def _check(*, web: bool, linear: bool, read_only: bool, allow_changes: bool, port: int) -> None:
    """Raises UsageError for options that do not go together."""
    if web and linear:
        raise UsageError("--web draws the cockpit; --linear is for a terminal", hint="leave one of them out")
    if read_only and allow_changes:
        raise UsageError("--read-only and --allow-changes are opposites", hint="leave one of them out")
    for name, given in (("--allow-changes", allow_changes), ("--port", port)):
        if given and not web:
            raise UsageError(f"{name} is for --web", hint=f"podium ui --web {name}{' N' if name == '--port' else ''}")


def _to_browsers(
    homes: Sequence[Path], *, allow_changes: bool, theme: str | None, screen: str | None, port: int
) -> int:
    """Serves the cockpit until it is told to end."""
    cockpit = Cockpit.open(homes[0], say=session.tell) if homes else session.opened()
    home = cockpit.home
    cockpit.close()
    opening = importlib.import_module("...tui.web.opening", __package__)

    def say(address: str) -> None:
        output.line(address)
        output.flush()
        diagnostics.note("changes are allowed" if allow_changes else "read-only; --allow-changes lets it change things")
        diagnostics.note("this address opens it for whoever has it, on this machine; ctrl+c ends it, runs go on")

    opening.run((home, *homes[1:]), allow_changes=allow_changes, theme=theme, screen=screen, port=port, say=say)
    return diagnostics.DONE


def show(
    cockpit: Cockpit,
    *,
    read_only: bool = False,
    theme: str | None = None,
    screen: str | None = None,
    linear: bool = False,
    others: Sequence[Path] = (),
) -> int:
    """Opens the cockpit on this terminal until a person leaves it; `others` are projects to go to. Raises UsageError if
    there is no terminal."""
    reason = unable()
    if reason:
        message, _, hint = reason.partition("; ")
        raise UsageError(message, hint=hint)
    app = importlib.import_module("...tui.app", __package__)
    result = app.run(cockpit, read_only=read_only, theme=theme, screen=screen, linear=linear, projects=others)
    return result if isinstance(result, int) else diagnostics.DONE


def unable() -> str | None:
    """Returns why the cockpit cannot open here, None if it can. Does not load it."""
    terminal = importlib.import_module("...tui.terminal", __package__)
    return terminal.check()


def bare() -> None:
    """Opens the cockpit on a terminal, or prints `status` where there is none: `podium` without a command."""
    cockpit = session.opened()
    try:
        if unable() is None:
            code = show(cockpit)
        else:
            from .delivery import status

            code = status(cockpit)
    finally:
        cockpit.close()
    if code:
        raise typer.Exit(code)
