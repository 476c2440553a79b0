"""shell."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import typer

from ..core.cockpit import Cockpit
from ..core.domain.shells import LocalShell
from ..core.domain.text import clean
from ..core.errors import Refused
from . import diagnostics
from .completion import complete_run
from .options import environment_option
from .runs import find_run

TargetArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN|REPLICA",
        help="The run's number or `last`; with -e a replica.",
        autocompletion=complete_run,
        show_default=False,
    ),
]
StepArgument = Annotated[
    str | None, typer.Argument(help="The step; may be left out when only one failed.", show_default=False)
]


InEnvironment = Annotated[
    str | None, environment_option("In a container of this environment: a replica's, or `proxy`.")
]


def shell(cockpit: Cockpit, run: TargetArgument, step: StepArgument = None, environment: InEnvironment = None) -> int:
    """Open a shell where a step ran: in its container, in a copy of the container that it left when it failed, or,
    for a step that was a process, in its directory with its environment. With `-e`, in a container that serves.
    `exit` or Ctrl-D leaves it.

    \b
    Example:
      podium shell last train
      podium shell -e production production-v3-1
      ssh -t build-host podium -C flights shell last
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Refused("a shell needs a terminal, and there is none", hint="over ssh: ssh -t HOST podium shell RUN STEP")
    found = (
        cockpit.containers.shell(environment, run) if environment else cockpit.runs.shell(find_run(cockpit, run), step)
    )
    diagnostics.note(clean(found.words), style="dim")
    if isinstance(found, LocalShell):
        subprocess.run(list(found.argv), env=dict(found.env), cwd=found.directory, check=False)
        return diagnostics.DONE
    from .terminal import converse

    try:
        converse(found)
    finally:
        found.close()
    return diagnostics.DONE
