"""Starts children of Podium from the preloading server, or as new interpreters where there is none."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from .. import priority
from ..identity.processes import alive
from .fingerprint import fingerprints, server_environment
from .protocol import CANNOT_START, SEND_TIMEOUT, UNFIT, Child, address, ours, send

# A server without children ends after so many seconds.
IDLE_TIMEOUT = 300.0
# A server that imports longer than this is not waited for.
START_TIMEOUT = 60.0
# Servers of other environments that may run at the same time in one directory; each holds some 200 MB.
_MAX_SERVERS = 3
# How long another process may hold the directory while it starts a server.
_LOCK_TIMEOUT = 10.0
_POLL_INTERVAL = 0.02
# `off` switches preloading off; a path is a directory that several projects share, as tests do.
SWITCH = "PODIUM_PRELOAD"
IDLE_SWITCH = "PODIUM_PRELOAD_IDLE"


def supported() -> bool:
    """Tells whether this system has what preloading needs (Linux), and nobody switched it off."""
    return (
        sys.platform.startswith("linux")
        and hasattr(os, "pidfd_open")
        and hasattr(os, "memfd_create")
        and os.environ.get(SWITCH) != "off"
    )


class Process:
    """A child that was started, as far as `subprocess.Popen` is used for it here: poll, wait and signals.

    While the server still imports, the child has no pid yet. If the server ends before there is one, a new interpreter
    is started instead.
    """

    def __init__(self, state: Path | None, child: Child, descriptors: Sequence[int]) -> None:
        """Without a `state` directory it is always a new interpreter."""
        self.pid: int | None = None
        self.returncode: int | None = None
        self.preloaded = False
        self._child = child
        self._started: float | None = None
        self._plain: subprocess.Popen[bytes] | None = None
        self._pidfd: int | None = None
        self._buffer = b""
        # Kept until there is a pid: a new interpreter may still need them.
        self._kept = [os.dup(descriptor) for descriptor in descriptors]
        self._give_up_at = time.monotonic() + START_TIMEOUT
        self._connection = _request(state, child, self._kept) if state is not None else None
        if self._connection is None:
            self._start_plain()

    @property
    def wake(self) -> int | None:
        """A descriptor that becomes readable when `poll` has something new; None for a new interpreter, whose end is
        told by SIGCHLD."""
        return self._connection.fileno() if self._connection is not None else self._pidfd

    def poll(self) -> int | None:
        """Returns the exit code once it has ended (negative: ended by that signal), else None. Never blocks."""
        if self.returncode is None and self._plain is not None:
            self.returncode = self._plain.poll()
        elif self.returncode is None and self._connection is not None:
            self._read()
        elif self.returncode is None and not alive(self.pid, self._started):
            self._end(-signal.SIGTERM)  # as the kernel told it when its server ended
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Returns the exit code. Raises subprocess.TimeoutExpired after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise subprocess.TimeoutExpired(self._child.command("python"), timeout)
            if self._plain is not None:
                self.returncode = self._plain.wait(left)
            else:
                self._sleep(min(left, 0.5))
        assert self.returncode is not None
        return self.returncode

    @property
    def child_pid(self) -> int | None:
        """The pid of a new interpreter, which is this process's child and to be reaped by it; None for a forked one."""
        return self._plain.pid if self._plain is not None else None

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def end(self, timeout: float) -> None:
        """Kills it if it still runs, and waits until it is gone, `timeout` seconds at most."""
        if self.poll() is None:
            self.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.wait(timeout)

    def send_signal(self, number: int) -> None:
        """Sends a signal to the child. One that has no pid yet never begins, and counts as ended by the signal."""
        if self.poll() is not None:
            return
        if self.pid is None:
            self._end(-number)
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def _sleep(self, seconds: float) -> None:
        """Waits until there is something new, `seconds` at most."""
        import select

        poll = select.poll()
        if self.wake is not None:
            poll.register(self.wake, select.POLLIN)
        poll.poll(seconds * 1000)

    def _read(self) -> None:
        assert self._connection is not None
        gone = False
        try:
            while data := self._connection.recv(4096):
                self._buffer += data
            gone = True
        except BlockingIOError:
            gone = self.pid is None and b"\n" not in self._buffer and time.monotonic() > self._give_up_at
        except OSError:
            gone = True
        self._take_lines()
        if gone and self.returncode is None:
            self._left_alone()

    def _take_lines(self) -> None:
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            facts = cast("dict[str, Any]", json.loads(line))
            if "pid" in facts:
                self.pid, self._started, self.preloaded = facts["pid"], facts["started"], True
                self._close_kept()
            elif "code" in facts:
                self._end(facts["code"])

    def _left_alone(self) -> None:
        """The server is gone, or takes too long. Where there is no child yet, a new interpreter takes its place."""
        self._disconnect()
        if self.pid is None:
            errors = os.dup(self._kept[2])
            try:
                self._start_plain()
            except OSError as error:
                os.write(errors, f"cannot start {self._child.module}: {error}\n".encode())
                self._end(CANNOT_START)
            finally:
                os.close(errors)
            return
        with contextlib.suppress(OSError):
            self._pidfd = os.pidfd_open(self.pid)

    def _start_plain(self) -> None:
        try:
            self._plain = start_plain(self._child, self._kept)
        finally:
            self._close_kept()
        self.pid = self._plain.pid

    def _end(self, code: int) -> None:
        self.returncode = code
        self._disconnect()
        self._close_kept()
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _close_kept(self) -> None:
        for descriptor in self._kept:
            os.close(descriptor)
        self._kept = []


def start_plain(child: Child, descriptors: Sequence[int]) -> subprocess.Popen[bytes]:
    """Starts the child as a new interpreter; `descriptors` are this process's own, for 0, 1, 2 and others."""
    return subprocess.Popen(
        child.command(sys.executable),
        env=dict(child.env),
        cwd=child.cwd,
        stdin=descriptors[0],
        stdout=descriptors[1],
        stderr=descriptors[2],
        pass_fds=tuple(child.descriptors[3:]),
        start_new_session=True,
    )


def start_detached(state: Path, child: Child, descriptors: Sequence[int]) -> tuple[int, float] | None:
    """Returns (pid, start time) of a detached child of the server; None if there is none to be had, and the caller
    starts it otherwise. Waits for a server that still imports."""
    connection = _request(state, child, descriptors)
    if connection is None:
        return None
    with connection:
        connection.settimeout(START_TIMEOUT)
        try:
            facts = json.loads(connection.makefile("rb").readline() or b"{}")
        except (OSError, ValueError):
            return None
    pid, started = facts.get("pid"), facts.get("started")
    return (pid, started or 0.0) if pid else None


def dismiss(state: Path) -> None:
    """Has a project's servers end within seconds, by taking their sockets away; their children go on. One that several
    projects share is left alone."""
    if not os.environ.get(SWITCH, "").startswith("/"):
        for path in (state / "preload").glob("*.sock"):
            path.unlink(missing_ok=True)


def _request(state: Path, child: Child, descriptors: Sequence[int]) -> socket.socket | None:
    connection = _connected(state, child.env) if supported() else None
    if connection is None:
        return None
    try:
        connection.settimeout(SEND_TIMEOUT)
        send(connection, replace(child, umask=_umask(), nice=priority.own()), tuple(descriptors))
        connection.setblocking(False)
    except OSError:
        connection.close()
        return None
    return connection


def _first_of(directory: Path, names: Sequence[str], handle: int) -> socket.socket | None:
    """Returns a connection to the first of these servers that is there."""
    there = (name for name in names if (directory / f"{name}.sock").exists())
    return next(filter(None, (_connect(address(directory, f"{name}.sock", handle)) for name in there)), None)


def _umask() -> int:
    """Returns this process's own, without a moment in which it is another one."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("Umask:"):
            return int(line.split()[1], 8)
    return 0o077


def _connected(state: Path, env: Any) -> socket.socket | None:
    """Returns a connection to the right server, which is started if it is not there."""
    shared = os.environ.get(SWITCH, "")
    directory = Path(shared) if shared.startswith("/") else state / "preload"
    names = fingerprints(env)
    name = names[0]
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        status = os.fstat(handle)
        if status.st_uid != os.getuid() or status.st_mode & 0o077:
            return None
        if (directory / name).with_suffix(UNFIT).exists():
            return None
        at = address(directory, f"{name}.sock", handle)
        with _alone(handle):
            found = _connect(at) or _first_of(directory, names[1:], handle)
            if found is None and _servers(directory, handle) < _MAX_SERVERS:
                _start_server(directory, f"{name}.sock", at, server_environment(env))
                found = _connect(at)
            return found
    except (OSError, subprocess.SubprocessError):  # the latter of a shell that does not start a server in time
        return None
    finally:
        os.close(handle)


@contextmanager
def _alone(handle: int) -> Generator[None]:
    """Holds the directory: one of several that need a server at once starts it."""
    deadline = time.monotonic() + _LOCK_TIMEOUT
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_INTERVAL)
    try:
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)


def _servers(directory: Path, handle: int) -> int:
    """Returns how many servers answer, and takes away what those have left that were killed."""
    count = 0
    for path in directory.glob("*.sock"):
        connection = _connect(address(directory, path.name, handle))
        if connection is None:
            path.unlink(missing_ok=True)
        else:
            connection.close()
            count += 1
    return count


def _connect(at: str) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(1.0)
        connection.connect(at)
        if ours(connection):
            return connection
    except OSError:
        pass
    connection.close()
    return None


def _start_server(directory: Path, name: str, at: str, env: dict[str, str]) -> None:
    """Starts a server on a socket that is made here, so that a request can be sent before it has imported anything."""
    (directory / name).unlink(missing_ok=True)
    idle = os.environ.get(IDLE_SWITCH, str(IDLE_TIMEOUT))
    log = os.open(directory / "preload.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(at)
        os.chmod(directory / name, 0o600)  # noqa: PTH101
        listener.listen(128)
        command = [sys.executable, "-P", "-m", "podium.core.preload.server"]
        arguments = [str(listener.fileno()), str(directory), name, idle]
        try:
            _detached([*command, *arguments], env, log, listener.fileno())
        finally:
            os.close(log)


def _detached(command: list[str], env: dict[str, str], log: int, listener: int) -> None:
    """Starts the server in a session of its own, through a shell that ends at once: it is nobody's child."""
    subprocess.run(
        ["/bin/sh", "-c", '"$@" </dev/null & ', "sh", *command],
        env=env,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=(listener,),
        start_new_session=True,
        timeout=10,
        check=True,
    )
