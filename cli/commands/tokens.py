"""tokens: what clients of an environment prove themselves with."""

from __future__ import annotations

from typing import Annotated

import typer

from ...core.cockpit import Cockpit
from ...core.domain.access.clients import TokenScope
from ...core.domain.text.format import ago
from ..options import EnvironmentName, Output
from ..session import command
from ..text import diagnostics, output, shapes
from ..text.output import Column, Format

tokens = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Make, list and remove the tokens of clients.")
_TOKENS = (Column("NAME"), Column("FOR"), Column("DIGEST"), Column("MADE", right=True), Column("BY", flexible=True))
_DIGEST_CHARACTERS = 12
Name = Annotated[str, typer.Argument(metavar="NAME", help="The client's name.", show_default=False)]


def ls(cockpit: Cockpit, environment: EnvironmentName = None, output_format: Output = Format.TABLE) -> int:
    """List the clients that have a token. Tokens themselves are kept nowhere.

    \b
    Example:
      podium tokens ls -e production
    """
    name = cockpit.environments.chosen(environment)
    found = cockpit.tokens.list(name)
    cells = [(each.name, each.scope, each.digest[:_DIGEST_CHARACTERS], ago(each.at), each.who) for each in found]
    output.rows(output_format, _TOKENS, cells, map(shapes.token, found))
    if not found:
        diagnostics.note(f"nobody has a token for {name}", style="dim")
    return diagnostics.DONE


def add(
    cockpit: Cockpit,
    name: Name,
    environment: EnvironmentName = None,
    scope: Annotated[
        TokenScope, typer.Option("--for", help="What it is for: predictions, or /metrics alone.")
    ] = TokenScope.PREDICT,
    output_format: Output = Format.TABLE,
) -> int:
    """Make a token for a client and print it, this once. The proxy takes it at once.

    \b
    Example:
      podium tokens add billing -e production
      podium tokens add prometheus -e production --for metrics > prometheus.token
    """
    made = cockpit.tokens.add(cockpit.environments.chosen(environment), name, scope)
    if output_format is Format.JSON:
        output.document({**shapes.token(made.token), "token": made.secret, "in_force": made.in_force})
    else:
        output.line(made.secret)
    when = "in force" if made.in_force else "in force as soon as something is deployed"
    words = f"a token of {made.token.environment} for {name}, {when}; it is kept nowhere and not shown again"
    diagnostics.note(words, style="green")
    return diagnostics.DONE


def rm(cockpit: Cockpit, name: Name, environment: EnvironmentName = None) -> int:
    """End a client's token. The proxy refuses it at once.

    \b
    Example:
      podium tokens rm billing -e production
    """
    ended = cockpit.tokens.remove(cockpit.environments.chosen(environment), name)
    diagnostics.note(f"{name} has no token for {ended.token.environment} any more", style="yellow")
    return diagnostics.DONE


tokens.command("ls")(command(ls))
tokens.command("add")(command(add))
tokens.command("rm")(command(rm))
