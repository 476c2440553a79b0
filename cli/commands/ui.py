"""ui, and what `podium` alone does. The one place where the headless front end reaches for the screen, late and only
on a terminal."""

from __future__ import annotations

import importlib
from typing import Annotated

import typer

from ...core.cockpit import Cockpit
from ...core.errors import UsageError
from .. import session
from ..text import diagnostics


def ui(
    cockpit: Cockpit,
    read_only: Annotated[bool, typer.Option("--read-only", help="Look, and change nothing.")] = False,
    theme: Annotated[str | None, typer.Option("--theme", help="The cockpit's colours.", show_default=False)] = None,
    screen: Annotated[str | None, typer.Option("--screen", help="Begin with this screen.", show_default=False)] = None,
) -> int:
    """Open the cockpit.

    \b
    Example:
      podium ui --read-only --screen environments
    """
    return show(cockpit, read_only=read_only, theme=theme, screen=screen)


def show(cockpit: Cockpit, *, read_only: bool = False, theme: str | None = None, screen: str | None = None) -> int:
    """Open the cockpit on this terminal and come back when it is left. UsageError where there is no terminal for it."""
    reason = unable()
    if reason:
        message, _, hint = reason.partition("; ")
        raise UsageError(message, hint=hint)
    app = importlib.import_module("...tui.app", __package__)
    result = app.run(cockpit, read_only=read_only, theme=theme, screen=screen)
    return result if isinstance(result, int) else diagnostics.DONE


def unable() -> str | None:
    """Why the cockpit cannot open here; None when it can. Does not load it."""
    terminal = importlib.import_module("...tui.terminal", __package__)
    return terminal.check()


def bare() -> None:
    """`podium` without a command: the cockpit on a terminal, `status` without one."""
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
