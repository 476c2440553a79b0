"""The command tree. A call imports and builds only the command it names: the whole tree costs four times one command."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from . import diagnostics, session

# name -> (module, function, panel of the help). The order is the order in `podium --help`.
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("project", "init"),
    "demo": ("demo", "demo"),
    "doctor": ("project", "doctor"),
    "validate": ("project", "validate"),
    "config": ("project", "config"),
    "run": ("runs", "run"),
    "ps": ("runs", "ps"),
    "show": ("runs", "show"),
    "logs": ("logs", "logs"),
    "cancel": ("runs", "cancel"),
    "resume": ("runs", "resume"),
    "approve": ("runs", "approve"),
    "models": ("models", "models"),
    "versions": ("models", "versions"),
    "compare": ("models", "compare"),
    "lineage": ("models", "lineage"),
    "status": ("delivery", "status"),
    "deploy": ("changes", "deploy"),
    "promote": ("changes", "promote"),
    "rollback": ("changes", "rollback"),
    "history": ("delivery", "history"),
    "quarantine": ("delivery", "quarantine"),
    "watch": ("agent", "watch"),
    "ui": ("ui", "ui"),
}

ABOUT = """The terminal cockpit for delivering machine-learning models: from a commit to a served version, and back in a second.

Without a command it opens the cockpit, or prints `status` where there is no terminal.

\b
Example:
  podium init && podium validate && podium run
  podium promote --yes && podium status -o json

\b
Exit codes:
  0    done
  1    the run failed, or a gate refused the version
  2    wrong usage or configuration
  3    what was named does not exist
  4    refused: a lock, a protection, a missing approval, a quarantine
  5    a server, store or program that is needed cannot be reached
  130  interrupted
"""

Version = Annotated[bool, typer.Option("--version", "-V", help="Print the version and end.")]
Directory = Annotated[Path | None, typer.Option("-C", "--directory", metavar="DIR", help="Work as if started in DIR.", show_default=False)]


def build(only: str | None = None) -> typer.Typer:
    """The tree with every command, or with one."""
    app = typer.Typer(
        name="podium", help=ABOUT, rich_markup_mode=None, pretty_exceptions_enable=False, invoke_without_command=True,
        add_completion=only is None, context_settings={"help_option_names": ["--help", "-h"]},
    )  # fmt: skip

    @app.callback()
    def root(context: typer.Context, directory: Directory = None, version: Version = False) -> None:
        if version:
            from ..core.version import VERSION

            print(f"podium {VERSION}")
            raise typer.Exit
        session.directory.set(directory)
        if context.invoked_subcommand is None and not context.resilient_parsing:
            from .ui import bare

            bare()

    for name, (module, attribute) in COMMANDS.items():
        if only is None or name == only:
            command: Callable[..., Any] | typer.Typer = getattr(importlib.import_module(f".{module}", __package__), attribute)
            if isinstance(command, typer.Typer):
                app.add_typer(command, name=name)
            else:
                app.command(name)(session.command(command))
    return app


def run(words: Sequence[str]) -> int:
    """Parse and carry out one call; its exit code. Raises what the command raises."""
    completing = "_PODIUM_COMPLETE" in os.environ
    named = None if completing else _named(words)
    bare = not words and not completing
    app = build(only=named if named is not None else "" if bare else None)
    try:
        result = typer.main.get_command(app).main(args=list(words), prog_name="podium", standalone_mode=False)
    except typer.Abort:
        return diagnostics.INTERRUPTED
    except _ClickException as error:
        return diagnostics.usage(error)
    return result if isinstance(result, int) else diagnostics.DONE


def _named(words: Sequence[str]) -> str | None:
    """The command that a call names, past `-C DIR`; None where the whole tree is needed (help, completion, an unknown word)."""
    rest = iter(words)
    for word in rest:
        if word in ("-C", "--directory"):
            next(rest, None)
        elif not word.startswith("-"):
            return word if word in COMMANDS else None
        elif not word.startswith(("-C", "--directory=")):
            return None
    return "status" if words else None


# Typer carries a copy of click in some versions and imports click in others: reach the base class through what both export.
_ClickException: type[Exception] = typer.BadParameter.__mro__[2]
