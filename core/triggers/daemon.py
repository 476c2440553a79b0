"""Starts the agent in the background, and stops it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from ..domain.project import Project
from ..domain.watching import AgentStatus
from ..errors import Refused, RunFailed
from ..identity.processes import alive
from ..journal import Journal

START_TIMEOUT = 10.0
STOP_TIMEOUT = 10.0


def spawn(log: Path, module: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Starts a module in a session of its own, which outlives this process and writes to `log`."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=handle,
            stderr=handle,
            start_new_session=True,
            cwd="/",
        )
    finally:
        os.close(handle)


def start(project: Project, journal: Journal, listen: str = "", metrics: str = "") -> AgentStatus:
    """Starts the agent in a session of its own and waits until it has reported. Raises Refused if one is running and
    RunFailed if it does not start."""
    status = journal.agent.status()
    if status.alive:
        raise Refused(
            f"the agent is already running: pid {status.pid}, started by {status.who}",
            hint="stop it with `podium watch --stop`",
        )
    project.state.mkdir(mode=0o700, exist_ok=True)
    log = project.state / "agent.log"
    process = spawn(log, "podium.core.triggers.agent", str(project.home), listen, metrics)
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        status = journal.agent.status()
        if status.alive and status.pid == process.pid:
            return status
        if process.poll() is not None:
            raise RunFailed(
                f"the agent ended at once (exit code {process.returncode}): {_last_line(log)}",
                hint=f"read its log: {log}",
            )
        time.sleep(0.05)
    process.terminate()
    raise RunFailed(f"the agent did not report within {START_TIMEOUT:.0f} s", hint=f"read its log: {log}")


def stop(journal: Journal) -> bool:
    """Stops the agent with SIGTERM, and after ten seconds with SIGKILL, even if it hangs; returns whether there was
    one. Raises Refused if it is running on another host, or as a user whose processes this one may not end."""
    status = journal.agent.status()
    if status.pid is None:
        return False
    if not status.local:
        if not status.alive:
            return False
        raise Refused(
            f"the agent is running on {status.host} (process {status.pid}, started by {status.who})",
            hint="run `podium watch --stop` there",
        )
    if not alive(status.pid, status.started):
        return False
    for number, patience in ((signal.SIGTERM, STOP_TIMEOUT), (signal.SIGKILL, 2.0)):
        _send(status, status.pid, number)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            _reap(status.pid)
            if not alive(status.pid, status.started):
                return True
            time.sleep(0.05)
    return True


def _send(status: AgentStatus, pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
    except PermissionError as error:
        hint = f"stop it as {status.who}, or as the owner of the process"
        raise Refused(
            f"the agent, process {pid}, was started by {status.who}, and this user may not stop it", hint=hint
        ) from error


def _reap(pid: int) -> None:
    """Waits for an agent that this process started itself; without that it stays a zombie."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _last_line(log: Path) -> str:
    with log.open("rb") as stream:
        lines = stream.read()[-4096:].decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "no output"
