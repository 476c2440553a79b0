"""Ends replicas and proxy instances that somebody stopped (SIGSTOP): the kernel goes on giving them connections, which
nobody answers. Once they are gone, the others get these, and healing starts them again.

On this machine a stopped process is seen at once, also in a container, by the process that listens on the proxy's
socket. Instances on another machine, and those that hang, are known by their silence."""

from __future__ import annotations

import os
import signal
import socket
import struct
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ... import plugins
from ...domain.project import Environment, Project
from ...identity.processes import alive, started_at, state
from ...journal import Journal
from ..host.paths import INSTANCES, safe
from ..proxy.placement import ProcessProxyHost

if TYPE_CHECKING:
    from .runtime import EnvironmentRuntime

# What ps calls T. One that a debugger holds (t) is left alone.
_STOPPED = "T"
# An instance that is only slow keeps what it holds: it has to be silent for much longer than it is asked each second.
SILENT_SECONDS = 8.0
_PEER = struct.Struct("3i")  # struct ucred: pid, uid, gid


class Silence:
    """Since when instances of proxies have not answered this process, on the monotonic clock."""

    def __init__(self) -> None:
        self._since: dict[tuple[Path, object], float] = {}

    def lasts(self, directory: Path, instance: object) -> float:
        """Notes that an instance does not answer; returns for how many seconds that has been so."""
        return time.monotonic() - self._since.setdefault((directory, instance), time.monotonic())

    def over(self, directory: Path, instance: object) -> None:
        self._since.pop((directory, instance), None)


_silence: Final = Silence()

Halted = dict[tuple[int, float], str]


def halted(project: Project, journal: Journal, environment: Environment) -> Halted:
    """Returns which of its processes are stopped: (pid, start time) -> what it is. Starts no program and asks
    nobody, so that it can be done several times a second."""
    found: Halted = {}
    if not _here(project, environment):
        return found
    rows = journal.replicas.of(environment.name)
    for row in rows:
        if row.pid and row.pid_started and alive(row.pid, row.pid_started) and state(row.pid) == _STOPPED:
            found[row.pid, row.pid_started] = row.id
    if not rows:
        return found
    directory = project.state / "environments" / safe(environment.name)
    for number in INSTANCES:
        host = ProcessProxyHost(directory, environment.name, number)
        pid = host.pid()
        # A container has several: HAProxy's master, which is the container, and its worker.
        for each in [pid] if pid is not None else listeners(Path(host.socket), host.path):
            started = started_at(each) if state(each) == _STOPPED else None
            if started is not None:
                found[each, started] = f"instance {number} of the proxy"
                break
    return found


def _here(project: Project, environment: Environment) -> bool:
    """Tells whether its processes are this machine's, also those in containers."""
    if not plugins.driver_capabilities(environment.driver).engine:
        return True
    from ...containers.engine.address import of_environment  # an environment of processes needs nothing of Docker

    return not environment.hosts and of_environment(project, environment).local


def listeners(socket_file: Path, config: Path) -> list[int]:
    """Returns the process that listens on a socket, as the kernel says it, and its children; none where it was not
    started with that configuration file, or cannot be seen from here."""
    with suppress(OSError, AttributeError), socket.socket(socket.AF_UNIX) as asked:  # SO_PEERCRED is Linux's
        asked.setblocking(False)
        asked.connect(str(socket_file))
        pid = _PEER.unpack(asked.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))[0]
        if pid > 0 and os.fsencode(config) in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
            return [pid, *map(int, children)]
    return []


def end_silent(runtime: EnvironmentRuntime, answering: Collection[object]) -> list[str]:
    """Ends instances of the proxy that run, wherever that is, and have not answered for SILENT_SECONDS; `answering`
    are the keys of those that do now. Returns what was done, in words."""
    done: list[str] = []
    for instance in runtime.proxy.instances:
        if instance.key in answering or not instance.mute():
            _silence.over(runtime.directory, instance.key)
        elif _silence.lasts(runtime.directory, instance.key) >= SILENT_SECONDS:
            _silence.over(runtime.directory, instance.key)
            instance.placement.stop()
            done.append(f"{runtime.name}: {instance.words} answered nobody; started it again")
    return done


def end(environment: Environment, found: Halted) -> list[str]:
    """Kills them; returns what was done, in words."""
    done: list[str] = []
    for (pid, started), what in found.items():
        if alive(pid, started) and state(pid) == _STOPPED:
            with suppress(ProcessLookupError, PermissionError):  # it has ended, or is another account's by now
                os.kill(pid, signal.SIGKILL)
                done.append(f"{environment.name}: {what} was stopped by a signal and answered nobody; ended it")
    return done
