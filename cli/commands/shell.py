"""shell: a terminal where a step ran, or in a container that serves."""

from __future__ import annotations

import shlex
import subprocess
import sys
from typing import Annotated

import typer

from ...core.cockpit import Cockpit
from ...core.domain.engines.shells import LocalShell, ShellSession
from ...core.domain.text import clean
from ...core.errors import Refused
from ..completion import complete_run
from ..interaction.confirm import agree
from ..options import Confirm, environment_option
from ..text import diagnostics
from .run_history import find_run

TargetArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN|REPLICA",
        help="The run's number, or `last`; with -e a replica, or `proxy`.",
        autocompletion=complete_run,
        show_default=False,
    ),
]
StepArgument = Annotated[
    str | None,
    typer.Argument(metavar="[STEP]", help="The step. Default: the only one that failed.", show_default=False),
]
InEnvironment = Annotated[str | None, environment_option("Open it in a container of this environment instead.")]


def shell(
    cockpit: Cockpit,
    run: TargetArgument,
    step: StepArgument = None,
    environment: InEnvironment = None,
    confirm: Confirm = "",
) -> int:
    """Open a shell where a step ran: in its container, in a copy of that after it failed, or, for a step that ran as a
    process, in its directory with its environment. With -e, in a container that serves. `exit` or Ctrl-D leaves it.

    \b
    Example:
      podium shell last train
      podium shell -e production production-v3-1
      ssh -t build-host podium -C flights shell last
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        words = ["-e", environment, run] if environment else [run, *([step] if step else [])]
        raise Refused("a shell needs a terminal", hint=f"over ssh: ssh -t HOST podium shell {shlex.join(words)}")
    found = (
        _in_environment(cockpit, environment, run, confirm)
        if environment
        else cockpit.runs.shell(find_run(cockpit, run), step)
    )
    diagnostics.note(clean(found.words), style="dim")
    if isinstance(found, LocalShell):
        subprocess.run(list(found.argv), env=dict(found.env), cwd=found.directory, check=False)
        return diagnostics.DONE
    from ..interaction.terminal import converse

    try:
        converse(found)
    finally:
        found.close()
    return diagnostics.DONE


def _in_environment(cockpit: Cockpit, environment: str, name: str, confirm: str) -> ShellSession:
    """Opens a shell in a container that serves. In a protected environment it shows the plan and asks for the name."""
    plan = cockpit.changes.plan("shell", environment, name=name)
    typed = agree(plan, yes=False, confirm=confirm) if plan.type_to_confirm else ""
    return cockpit.containers.shell(environment, name, confirmed=typed)
