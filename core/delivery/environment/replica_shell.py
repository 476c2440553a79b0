"""Opens a shell in a serving container, found by the name that people use for it."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from ...domain.containers import Container
from ...domain.plans import Plan
from ...domain.project import Project
from ...errors import NotFound, Refused, Unreachable
from ...journal import Journal
from . import observed
from .runtime import EnvironmentRuntime

if TYPE_CHECKING:
    from ...domain.engines.shells import ShellSession

PROXY = "proxy"


def plan_shell(project: Project, journal: Journal, target: str, *, name: str) -> Plan:
    """Returns what a person agrees to who opens a shell in a container of an environment."""
    return Plan(
        target=target,
        verb="shell",
        title=f"Open a shell in {name}",
        action="Open",
        command=f"podium shell -e {shlex.quote(target)} {shlex.quote(name)}",
        warnings=("what is done in there is in no ledger, and it may be serving",),
        type_to_confirm=target if project.environment(target).protected else "",
        kept_in="",
    )


def open_shell(runtime: EnvironmentRuntime, name: str) -> ShellSession:
    """Opens the shell. `name` is a replica's id, a container's name or the beginning of its id, or `proxy`. Raises
    NotFound if there is no such container, Refused if it is not running or the environment is served by processes,
    Unreachable if the engine does not answer. Loads Docker; the caller closes the shell."""
    found = _meant(runtime, name)
    if refusal := found.why_no_shell():
        raise Refused(refusal, hint=f"podium logs -e {runtime.name} {name} shows what it printed")
    from ...containers import open_engine
    from ...containers.engine.address import all_of
    from ...containers.engine.exec_shell import ExecShell

    words = (
        f"a shell in {found.name}, which goes on serving {runtime.name} meanwhile; what is changed in there is lost"
        " with the container"
    )
    return ExecShell(
        open_engine(all_of(runtime.project, runtime.environment)[found.host]),
        found.id,
        words=words,
        terminal=os.environ.get("TERM") or "xterm-256color",
    )


def _meant(runtime: EnvironmentRuntime, name: str) -> Container:
    snapshot = observed.snapshot(runtime, fresh=True)
    if snapshot is None:
        raise Refused(
            f"{runtime.name} is served by processes of this machine, not from containers",
            hint=f"podium logs -e {runtime.name} shows what they print",
        )
    if snapshot.message:
        raise Unreachable(snapshot.message, hint="podium doctor says more")
    for each in snapshot.containers:
        if (
            name in (each.replica, each.name, each.called)
            or (name == PROXY and each.role == PROXY)
            or (len(name) >= 12 and each.id.startswith(name))
        ):
            return each
    names = ", ".join(sorted(each.called for each in snapshot.containers)) or "none"
    raise NotFound(f"{runtime.name} has no container {name!r}", hint=f"it has: {names}")
