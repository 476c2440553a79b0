"""The options that several commands share, each with its words once.

`session.command` makes an option of each field of a parameter whose type is one of the dataclasses below.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from ..core.domain.frozen import Frozen
from ..core.errors import UsageError
from .completion import complete_environment, complete_run, complete_version
from .text.log_lines import Stream
from .text.output import Format

_FORMATS = {each.value for each in Format}
VERSION_HELP = "A version's number, an alias, or the beginning of a commit; of another model NAME:3."


def environment_option(help: str) -> Any:
    """Returns `-e`; `help` says which environment that is."""
    return typer.Option(
        "-e", "--environment", metavar="NAME", autocompletion=complete_environment, show_default=False, help=help
    )


def written_to(text: str) -> Path:
    """Returns the directory of `-o DIR`. Raises UsageError for the name of a format: elsewhere `-o` takes one."""
    if text in _FORMATS:
        raise UsageError(
            f"-o names the directory here, and {text} is a format",
            hint=f"--format {text}; or -o ./{text} for a directory of that name",
        )
    return Path(text)


def run_argument(metavar: str) -> Any:
    return typer.Argument(
        metavar=metavar, help="The run's number, or `last`.", autocompletion=complete_run, show_default=False
    )


def version_argument(metavar: str) -> Any:
    return typer.Argument(metavar=metavar, help=VERSION_HELP, autocompletion=complete_version, show_default=False)


Output = Annotated[
    Format,
    typer.Option(
        "-o", "--output", help="table for people; plain (tab-separated, no header) for cut and awk; json for programs."
    ),
]
Printed = Annotated[
    Format,
    typer.Option("--format", help="table for people; plain for cut and awk; json for programs."),
]
"""For commands whose `-o` names the directory that they write."""
AnyEnvironment = Annotated[str | None, environment_option("Only this environment. Default: all.")]
EnvironmentName = Annotated[
    str | None, environment_option("The environment. Default: the one that carries the champion.")
]
VersionName = Annotated[str | None, version_argument("[VERSION]")]
NeededVersion = Annotated[str, version_argument("VERSION")]
RunName = Annotated[str, run_argument("RUN")]
Model = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="NAME", help="The model. Default: the project's own.", show_default=False),
]
Offline = Annotated[bool, typer.Option("--offline", help="Do not ask the registry; show its last known state.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask. A protected environment needs --confirm as well.")]
Confirm = Annotated[
    str,
    typer.Option(
        "--confirm",
        metavar="NAME",
        help="The name of the protected environment, instead of typing it when asked.",
        show_default=False,
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan and change nothing.")]
Force = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Override a gate's refusal or a quarantine. Needs --why; both are kept in the ledger.",
    ),
]
Why = Annotated[
    str, typer.Option("--why", metavar="REASON", help="The reason. It is kept in the journal.", show_default=False)
]
Detach = Annotated[
    bool, typer.Option("-d", "--detach", help="Return as soon as the run has started, and print its number.")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Show how steps end, but not their output.")]


class FollowOptions(Frozen):
    """How a run that a command has started is followed."""

    why: Why = ""
    detach: Detach = False
    quiet: Quiet = False
    output_format: Output = Format.TABLE


class ResumeOptions(FollowOptions):
    """How a run that goes on is agreed to, where it changes an environment, and followed."""

    yes: Yes = False
    confirm: Confirm = ""


class ApproveOptions(Frozen):
    """How a step that waits is agreed to."""

    yes: Yes = False
    confirm: Confirm = ""
    why: Why = ""
    output_format: Output = Format.TABLE


class ChangeOptions(Frozen):
    """How a plan is agreed to and followed."""

    quiet: ClassVar[bool] = False

    yes: Yes = False
    confirm: Confirm = ""
    dry_run: DryRun = False
    why: Why = ""
    detach: Detach = False
    output_format: Output = Format.TABLE


class RolloutOptions(ChangeOptions):
    force: Force = False


class LogOptions(Frozen):
    """Which lines of logs are printed, and how."""

    follow: Annotated[bool, typer.Option("-f", "--follow", help="Print new lines until the steps have finished.")] = (
        False
    )
    tail: Annotated[
        int | None,
        typer.Option("--tail", "-n", metavar="N", min=0, help="Only the last N lines of each log.", show_default=False),
    ] = None
    timestamps: Annotated[bool, typer.Option("--timestamps", "-t", help="Begin each line with its time (UTC).")] = False
    stream: Annotated[
        Stream, typer.Option("--stream", help="Only standard output, standard error, or Podium's own messages.")
    ] = Stream.ALL
    output_format: Output = Format.TABLE
