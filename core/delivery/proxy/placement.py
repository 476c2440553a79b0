"""Where an instance of HAProxy runs, and how it is started there: one Protocol, and the process beside Podium that
it is without Docker."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path, PurePath
from typing import Protocol

from ...errors import Unreachable
from ...identity.processes import alive as process_alive
from ...identity.processes import started_at
from ..host import daemon, ports
from ..host.paths import numbered, socket_path, write
from .haproxy import binary


class ProxyHost(Protocol):
    """`socket` is the runtime socket's path as the configuration names it. Everything raises Unreachable when it
    cannot be done."""

    @property
    def socket(self) -> PurePath: ...

    def alive(self) -> bool: ...

    def config(self) -> str:
        """The configuration file as it was last written; empty when there is none."""
        ...

    def write(self, text: str) -> None:
        """Replace the configuration file; a proxy that runs does not notice."""
        ...

    def require(self, bind: str, port: int) -> None:
        """UsageError, naming who has it where that can be seen, when the proxy could not listen there."""
        ...

    def start(self) -> None:
        """Start HAProxy with the configuration file. It need not answer yet."""
        ...

    def reload(self) -> None:
        """A new HAProxy with the configuration file as it is now; the old one ends when its connections have."""
        ...

    def stop(self) -> bool:
        """End it at once; whether there was one."""
        ...

    def look(self) -> str:
        """Where to read what it said, for a hint."""
        ...


class ProcessProxyHost:
    """A daemon of this machine, found from the environment's directory: `haproxy.cfg`, `haproxy.pid`, `proxy.log`,
    the runtime socket; those of the second instance are `haproxy-2.cfg` and so on."""

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
        """None when it does not run. Believed only of a process that was started with our configuration file."""
        try:
            number = int(self._file("haproxy.pid").read_text().split()[0])
            started = started_at(number)
            command = (
                Path(f"/proc/{number}/cmdline").read_bytes() if Path("/proc/self").exists() else os.fsencode(self.path)
            )
        except (OSError, ValueError, IndexError):
            return None
        ours = os.fsencode(self.path) in command.split(b"\0")
        return number if started is not None and ours and process_alive(number, started) else None

    def alive(self) -> bool:
        return self.pid() is not None

    def config(self) -> str:
        return self.path.read_text() if self.path.exists() else ""

    def write(self, text: str) -> None:
        write(self.path, text)

    def require(self, bind: str, port: int) -> None:
        ports.require(bind, port, environment=self.environment)

    def start(self) -> None:
        """Whoever started one before may have died before its pid was written down: two would have the port, and
        nobody would know of one."""
        for number, started in daemon.find_command("haproxy", str(self.path)):
            daemon.stop(number, started, grace=2.0)
        self._launch([])

    def reload(self) -> None:
        self._launch(["-x", str(self.socket), "-sf", str(self.pid() or 0)])

    def stop(self) -> bool:
        number = self.pid()
        if number is None:
            return False
        daemon.stop(number, started_at(number) or 0.0, grace=2.0)
        for path in (self._file("haproxy.pid"), Path(self.socket)):
            path.unlink(missing_ok=True)
        return True

    def look(self) -> str:
        return f"see {self._file('proxy.log')}"

    def _launch(self, handover: list[str]) -> None:
        """HAProxy returns only after its ports are bound, or says why not."""
        command = [binary(), "-D", "-f", str(self.path), "-p", str(self._file("haproxy.pid")), *handover]
        env = {key: value for key, value in os.environ.items() if not key.startswith("PODIUM_")}
        done = subprocess.run(
            command,
            cwd=self.directory,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=15,
            start_new_session=True,
            check=False,
        )
        if done.stderr:
            write(self._file("proxy.log"), done.stderr)
        if done.returncode:
            raise Unreachable(
                f"the proxy does not start: {reason(done.stderr)}", hint=f"{self._file('proxy.log')} has all it said"
            )


def reason(text: str) -> str:
    """The line of HAProxy's output that says why it does not start."""
    alerts = [line.partition(": ")[2] or line for line in text.splitlines() if "ALERT" in line]
    return (alerts or text.splitlines() or ["it gave no reason"])[0].strip()
