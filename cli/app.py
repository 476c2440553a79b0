"""The command tree. A call imports and builds only the command that it names: the whole tree takes four times as
long."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from ..core.errors import ExitCode
from . import session
from .text import diagnostics

# name -> (module in commands/, the function or group in it, its line in the help), in the order of `podium --help`.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "init": ("project", "init", "Write a small project that works."),
    "demo": ("demo", "demo", "Show everything on a real example."),
    "doctor": ("project", "doctor", "Check the project, its state and this machine."),
    "adopt": ("project", "adopt", "Make a copy of a project one of its own."),
    "trust": ("project", "trust", "Let a server have the credentials that this project sends it."),
    "unlock": ("project", "unlock", "Break the lock of a machine that is gone."),
    "validate": ("project", "validate", "Check podium.yaml."),
    "config": ("project", "config", "Print the configuration's schema, or its values."),
    "run": ("runs", "run", "Run a pipeline and follow it."),
    "ps": ("run_history", "ps", "List runs, newest first."),
    "show": ("run_history", "show", "Show one run and its steps."),
    "logs": ("logs", "logs", "Print the logs of a run's steps, or of replicas."),
    "shell": ("shell", "shell", "Open a shell where a step ran."),
    "cancel": ("runs", "cancel", "Cancel a run."),
    "resume": ("runs", "resume", "Continue a run after its last finished step."),
    "approve": ("runs", "approve", "Let a step that waits for approval continue."),
    "models": ("models", "models", "List the models in the registry."),
    "versions": ("models", "versions", "List a model's versions, newest first."),
    "compare": ("models", "compare", "Compare versions side by side."),
    "lineage": ("models", "lineage", "Show which commit, run, version and replicas belong together."),
    "why": ("evidence", "why", "Say why a version serves, in ten lines."),
    "evidence": ("evidence", "evidence", "Write why a version serves, in files that others can check."),
    "images": ("engines.images", "images", "List the images of versions; remove those that nothing needs."),
    "status": ("delivery", "status", "Show what each environment serves."),
    "board": ("engines.board", "board", "Show whether all is as declared, runs, and is well."),
    "plan": ("engines.declared", "plan", "Show where the world differs from podium.yaml."),
    "apply": ("engines.declared", "apply", "Make the world as podium.yaml declares it."),
    "deploy": ("changes", "deploy", "Deploy a version to an environment."),
    "promote": ("changes", "promote", "Make a version champion."),
    "pause": ("canary", "pause", "Keep a canary at its share of the traffic."),
    "abort": ("canary", "abort", "Abort a canary: the previous version gets all traffic back."),
    "rollback": ("changes", "rollback", "Bring back the last good version."),
    "stop": ("changes", "stop", "Stop an environment: nothing answers until it is started."),
    "start": ("changes", "start", "Start a stopped environment with what it served."),
    "history": ("delivery", "history", "Show which version was served where and when."),
    "repair": ("engines.containers", "repair", "Make an environment match the ledger."),
    "containers": ("engines.containers", "containers", "List the containers of environments and their usage."),
    "monitors": ("monitoring.monitors", "monitors", "List what is measured of what serves."),
    "drift": ("monitoring.monitors", "drift", "Compare the latest requests with a monitor's reference now."),
    "labels": ("monitoring.labels", "labels", "Show which requests have a label; add labels from a file."),
    "export": ("engines.export", "export", "Write what an environment serves as files for another engine."),
    "replay": ("replay", "replay", "Compare a version without traffic on captured requests."),
    "cluster": ("compute.cluster", "cluster", "Show this machine and the Ray cluster: who has what, what waits."),
    "score": ("compute.score", "score", "Have a version predict the rows of files."),
    "quarantine": ("delivery", "quarantine", "List, add and lift versions that no trigger may deploy."),
    "tokens": ("tokens", "tokens", "Make, list and remove the tokens of clients."),
    "infra": ("infra.commands", "infra", "Plan, approve and apply infrastructure; look for drift."),
    "prune": ("state", "prune", "Remove what `retain:` keeps no longer."),
    "backup": ("state", "backup", "Write the project's state into one file."),
    "restore": ("state", "restore", "Bring a backup back."),
    "ci": ("ci", "ci", "List and steer the Git host's CI runs; run a pipeline in one."),
    "alerts": ("monitoring.alerts", "alerts", "Show how alerts stand; acknowledge and silence them."),
    "feedback": (
        "monitoring.feedback",
        "feedback",
        "Show what alerts have started; approve and reject what is proposed.",
    ),
    "audit": ("audit", "audit", "Show who did what, when and why; check that nobody changed it."),
    "watch": ("agent", "watch", "Run the agent: pushes, schedules, healing, signals."),
    "schedules": ("agent", "schedules", "List the schedules with their next time and their last run."),
    "ui": ("ui", "ui", "Open the cockpit."),
}


class _Commands(typer.core.TyperGroup):
    """Lists the commands as COMMANDS does; Typer would put the groups last."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for name in COMMANDS if name in self.commands]


ABOUT = """\
The terminal cockpit for delivering machine-learning models: from a commit to a served version, and back in a second.

Without a command it opens the cockpit on a terminal, and prints `status` elsewhere.

\b
Example:
  podium init && podium validate && podium run
  podium promote --yes && podium status -o json

\b
Exit codes:
""" + "\n".join(f"  {code:<5}{code.meaning}" for code in ExitCode)

Version = Annotated[bool, typer.Option("--version", "-V", help="Print the version and exit.")]
Directory = Annotated[
    Path | None, typer.Option("-C", "--directory", metavar="DIR", help="Work as if started in DIR.", show_default=False)
]


def build(only: str | None = None) -> typer.Typer:
    """Returns the tree with every command, or with one."""
    app = typer.Typer(
        name="podium",
        cls=_Commands,
        help=ABOUT,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        invoke_without_command=True,
        add_completion=only is None,
        context_settings={"help_option_names": ["--help", "-h"]},
    )

    @app.callback()
    def root(context: typer.Context, directory: Directory = None, version: Version = False) -> None:
        if version:
            from ..core.version import VERSION
            from .text import output

            output.line(f"podium {VERSION}")
            raise typer.Exit
        session.directory.set(directory)
        if context.invoked_subcommand is None and not context.resilient_parsing:
            from .commands.ui import bare

            bare()

    for name, (module, attribute, line) in COMMANDS.items():
        if only is None or name == only:
            command: Callable[..., Any] | typer.Typer = getattr(
                importlib.import_module(f".commands.{module}", __package__), attribute
            )
            if isinstance(command, typer.Typer):
                app.add_typer(command, name=name, short_help=line)
            else:
                app.command(name, short_help=line)(session.command(command))
    return app


def run(words: Sequence[str]) -> int:
    """Parses and carries out one call; returns its exit code and raises what the command raises."""
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
    """Returns the command that a call names, past `-C DIR`; None if the whole tree is needed (help, completion, an
    unknown word)."""
    rest = iter(words)
    for word in rest:
        if word in ("-C", "--directory"):
            next(rest, None)
        elif not word.startswith("-"):
            return word if word in COMMANDS else None
        elif not word.startswith(("-C", "--directory=")):
            return None
    return "status" if words else None


# Some versions of Typer have a copy of click, others import it: the base class is reached by what both export.
_ClickException: type[Exception] = typer.BadParameter.__mro__[2]
