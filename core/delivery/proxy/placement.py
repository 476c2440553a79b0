"""Where an instance of HAProxy runs and how it is started there: the Protocol, and its implementation as a process
of this machine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Protocol

from ...errors import Unreachable
from ...identity.processes import alive as process_alive
from ...identity.processes import blind, started_at
from ...replacing import replace_file
from ..host import daemon, ports
from ..host.paths import INSTANCES, numbered, socket_path
from .front import own_socket
from .haproxy import binary, socket_of, with_socket

_LAUNCH_TIMEOUT = 15.0  # seconds until HAProxy has bound its ports


class ProxyHost(Protocol):
    """Runs one instance of HAProxy. `socket` is the runtime socket's path in the configuration. Every method raises
    Unreachable if it fails."""

    @property
    def socket(self) -> PurePath: ...

    def alive(self) -> bool: ...

    def config(self) -> str:
        """Returns the configuration file as it was last written; empty if there is none."""
        ...

    def write(self, text: str) -> None:
        """Replaces the configuration file; a running proxy does not notice."""
        ...

    def file(self, name: str) -> str:
        """Returns a file beside the configuration as it was last written; empty if there is none."""
        ...

    def put(self, files: Mapping[str, str]) -> None:
        """Replaces files beside the configuration, by their names, each readable by its owner only."""
        ...

    def require(self, bind: str, port: int) -> None:
        """Raises UsageError if the proxy could not listen on the port, and names the process that uses it if that
        can be found out."""
        ...

    def start(self) -> None:
        """Starts HAProxy with the configuration file. It need not answer yet."""
        ...

    def reload(self) -> None:
        """Starts a new HAProxy with the present configuration file; the old one ends with its last connection."""
        ...

    def stop(self) -> bool:
        """Ends HAProxy immediately; returns True if it was running."""
        ...

    def look(self) -> str:
        """Returns where its output can be read, for a hint."""
        ...


class ProcessProxyHost:
    """Runs HAProxy as a daemon of this machine, found by the files of the environment's directory: `haproxy.cfg`,
    `haproxy.pid`, `proxy.log` and the runtime socket; those of the second instance are `haproxy-2.cfg` and so on."""

    def __init__(self, directory: Path, environment: str, instance: int) -> None:
        self.directory = directory
        self.environment = environment
        self.instance = instance
        self.socket: PurePath = socket_path(directory, instance)

    def _file(self, name: str) -> Path:
        return self.directory.resolve() / numbered(name, self.instance)

    @property
    def path(self) -> Path:
        return self._file("haproxy.cfg")

    def pid(self) -> int | None:
        """Returns the pid, or None if it is not running. A pid counts only if its process was started with this
        configuration file. Raises OSError where no descriptor is left to look with."""
        try:
            number = int(self._file("haproxy.pid").read_text(encoding="utf-8").split()[0])
            started = started_at(number)
            command = (
                Path(f"/proc/{number}/cmdline").read_bytes() if Path("/proc/self").exists() else os.fsencode(self.path)
            )
        except (OSError, ValueError, IndexError) as error:
            if isinstance(error, OSError) and blind(error):
                raise  # a second one would be started beside it
            return None
        ours = os.fsencode(self.path) in command.split(b"\0")
        return number if started is not None and ours and process_alive(number, started) else None

    def alive(self) -> bool:
        return self.pid() is not None

    def config(self) -> str:
        return self.path.read_text(encoding="utf-8") if self.path.exists() else ""

    def write(self, text: str) -> None:
        replace_file(self.path, text)

    def file(self, name: str) -> str:
        return read_beside(self.path, name)

    def put(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            replace_file(self.path.with_name(name), text)

    def require(self, bind: str, port: int) -> None:
        ports.require(bind, port, environment=self.environment)

    def start(self) -> None:
        """Ends an instance that was started without its pid being noted (two would share the port, and one of them
        would be unknown), then starts a new one."""
        for number, started in daemon.find_command("haproxy", str(self.path)):
            daemon.stop(number, started, grace=2.0)
        self._launch([])

    def reload(self) -> None:
        self._launch(["-x", str(self.socket), "-sf", str(self.pid() or 0)])

    def succeed(self, before: Path) -> bool:
        """Takes over from the processes that were started with the configuration file `before`, in the place that the
        environment's directory was moved from: a new one listens before they end with their last connections. Returns
        False, and leaves them alone, where they run in a container."""
        running = [str(number) for number, _ in daemon.find_command("haproxy", str(before))]
        text = self.config()
        if not running or not text:
            return True
        if not self._file("haproxy.pid").exists():
            return False  # a container's has none: it is not ours to replace
        socket = Path(socket_of(text))
        if socket.parent == before.parent:
            socket = self.directory.resolve() / socket.name
        self.write(with_socket(text, self.socket))
        listeners = ["-x", str(socket)] if socket.is_socket() else []
        try:
            self._launch([*listeners, "-sf", *running])
        except Unreachable:
            # An old process that hands its listeners over no more: they share the port for a moment.
            self._launch(["-sf", *running])
        return True

    def stop(self) -> bool:
        """Ends every process of this instance; returns True if there was one."""
        number = self.pid()
        if number is None:
            return False
        daemon.stop(number, started_at(number) or 0.0, grace=2.0)
        for path in (self._file("haproxy.pid"), Path(self.socket), Path(own_socket(self.socket))):
            path.unlink(missing_ok=True)
        return True

    def look(self) -> str:
        return f"see {self._file('proxy.log')}"

    def _launch(self, handover: list[str]) -> None:
        """Starts HAProxy, which returns only after its ports are bound. Raises Unreachable with its reason if it
        fails."""
        command = [binary(), "-D", "-f", str(self.path), "-p", str(self._file("haproxy.pid")), *handover]
        env = {key: value for key, value in os.environ.items() if not key.startswith("PODIUM_")}
        try:
            done = subprocess.run(
                command,
                cwd=self.directory,
                env=env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_LAUNCH_TIMEOUT,
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise Unreachable(
                f"the proxy does not start: HAProxy was not ready within {_LAUNCH_TIMEOUT:g} s",
                hint="check the machine's load and its disk",
            ) from error
        if done.stderr:
            replace_file(self._file("proxy.log"), done.stderr)
        if done.returncode:
            raise Unreachable(
                f"the proxy does not start: {reason(done.stderr)}",
                hint=f"read {self._file('proxy.log')} for its whole output",
            )


def read_beside(path: Path, name: str) -> str:
    """Returns the file of that name in the directory of `path`; empty if there is none."""
    beside = path.with_name(name)
    return beside.read_text() if beside.exists() else ""


def reason(text: str) -> str:
    """Returns the line of HAProxy's output that says why it does not start."""
    alerts = [line.partition(": ")[2] or line for line in text.splitlines() if "ALERT" in line]
    return (alerts or text.splitlines() or ["it gave no reason"])[0].strip()


def take_over(directory: Path, before: Path) -> bool:
    """Replaces the proxy's processes of this machine that were started in the directory `before`, which was moved to
    `directory`. Does nothing where there are none. Returns False where one runs in a container, and stays."""
    hosts = [ProcessProxyHost(directory, directory.name, instance) for instance in INSTANCES]
    left = [host for host in hosts if not host.succeed(before / numbered("haproxy.cfg", host.instance))]
    return not left
