"""The options that several commands share, each with its words once.

`session.command` spreads a parameter whose type is one of the dataclasses below into an option for each field.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from .completion import complete_environment, complete_run, complete_version
from .text.output import Format, Output


def environment_option(help: str) -> Any:
    """Returns `-e`; `help` says which environment that is."""
    return typer.Option(
        "-e", "--environment", metavar="NAME", autocompletion=complete_environment, show_default=False, help=help
    )


AnyEnvironment = Annotated[str | None, environment_option("One environment.")]
EnvironmentName = Annotated[
    str | None,
    environment_option("The environment. Default: the one that promotions are for, which carries `champion`."),
]
VersionName = Annotated[
    str | None,
    typer.Argument(
        metavar="[VERSION]",
        help="3, an alias, or a commit's beginning.",
        autocompletion=complete_version,
        show_default=False,
    ),
]
RunName = Annotated[
    str,
    typer.Argument(metavar="RUN", help="The run's number, or `last`.", autocompletion=complete_run, show_default=False),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask. A protected environment also wants --confirm.")]
Confirm = Annotated[
    str,
    typer.Option(
        "--confirm", metavar="NAME", help="The protected environment's name, typed on purpose.", show_default=False
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan and change nothing.")]
Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Override a gate's refusal or a quarantine. Needs --why; both are kept in the ledger."
    ),
]
Why = Annotated[
    str, typer.Option("--why", metavar="REASON", help="The reason; kept with the change.", show_default=False)
]
Detach = Annotated[
    bool, typer.Option("-d", "--detach", help="Return as soon as it has started and print the run's number.")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Show how steps end, not what they print.")]


@dataclass(frozen=True)
class FollowOptions:
    """How a run that a command has started is followed."""

    why: Why = ""
    detach: Detach = False
    quiet: Quiet = False
    output_format: Output = Format.TABLE


@dataclass(frozen=True)
class ChangeOptions:
    """How a plan is agreed to and followed."""

    yes: Yes = False
    confirm: Confirm = ""
    dry_run: DryRun = False
    why: Why = ""
    detach: Detach = False
    output_format: Output = Format.TABLE


@dataclass(frozen=True)
class RolloutOptions(ChangeOptions):
    force: Force = False
