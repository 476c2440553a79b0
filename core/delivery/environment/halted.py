"""Ends replicas and proxy instances of this machine that somebody stopped (SIGSTOP): the kernel goes on giving them
connections, which nobody answers. Once they are gone, the others get these, and healing starts them again."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from ...domain.project import Environment, Project
from ...identity.processes import alive, started_at, state
from ...journal import Journal
from ..host.paths import INSTANCES, safe
from ..proxy.placement import ProcessProxyHost

# What ps calls T. One that a debugger holds (t) is left alone.
_STOPPED = "T"

Halted = dict[tuple[int, float], str]


def halted(project: Project, journal: Journal, environment: Environment) -> Halted:
    """Returns which of its processes are stopped: (pid, start time) -> what it is. Starts no program and asks
    nobody, so that it can be done several times a second."""
    found: Halted = {}
    rows = journal.replicas.of(environment.name)
    for row in rows:
        if row.pid and row.pid_started and alive(row.pid, row.pid_started) and state(row.pid) == _STOPPED:
            found[row.pid, row.pid_started] = row.id
    if not rows:
        return found
    directory = project.state / "environments" / safe(environment.name)
    for number in INSTANCES:
        pid = ProcessProxyHost(directory, environment.name, number).pid()
        started = started_at(pid) if pid is not None and state(pid) == _STOPPED else None
        if pid is not None and started is not None:
            found[pid, started] = f"instance {number} of the proxy"
    return found


def end(environment: Environment, found: Halted) -> list[str]:
    """Kills them; returns what was done, in words."""
    done: list[str] = []
    for (pid, started), what in found.items():
        if alive(pid, started) and state(pid) == _STOPPED:
            with suppress(ProcessLookupError, PermissionError):  # it has ended, or is another account's by now
                os.kill(pid, signal.SIGKILL)
                done.append(f"{environment.name}: {what} was stopped by a signal and answered nobody; ended it")
    return done
