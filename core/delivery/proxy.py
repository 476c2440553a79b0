"""The proxy of an environment: started, changed without losing a request, stopped, and asked for its figures.

Everything is found from the environment's directory: `haproxy.cfg` (always the present weights, so that a restarted proxy goes on where the
old one was), `haproxy.pid`, `proxy.log`, and the runtime socket.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from pathlib import Path

from ..errors import Unreachable
from ..journal.processes import alive as process_alive
from ..journal.processes import started_at
from . import ports
from .detached import stop as stop_process
from .haproxy import Layout, Runtime, Server, ServerStat, binary, fixed_part, render
from .paths import socket_path, write

__all__ = ["Layout", "Server", "ServerStat", "alive", "ensure", "pid", "runtime", "set_weights", "stats", "stop", "totals"]


def runtime(directory: Path, *, timeout: float = 1.0) -> Runtime:
    return Runtime(socket_path(directory), timeout=timeout)


def stats(environment_dir: Path) -> list[ServerStat]:
    """The figures of every server and of the frontend and backend as wholes; empty when the proxy does not run or does not answer within 1 s."""
    if not alive(environment_dir):
        return []
    try:
        return runtime(environment_dir).stats()
    except Unreachable:
        return []


def totals(environment_dir: Path) -> tuple[int, int] | None:
    """(requests, those answered with 5xx by whomever) since the proxy started; None while it does not answer."""
    for stat in stats(environment_dir):
        if stat.kind == "frontend":
            return stat.requests, stat.errors_5xx
    return None


def pid(directory: Path) -> int | None:
    """The pid of this environment's proxy, None when it does not run. Believed only of a process that was started with our configuration file."""
    try:
        number = int((directory / "haproxy.pid").read_text().split()[0])
        started = started_at(number)
        command = Path(f"/proc/{number}/cmdline").read_bytes() if Path("/proc/self").exists() else os.fsencode(_config(directory))
    except (OSError, ValueError, IndexError):
        return None
    ours = os.fsencode(_config(directory)) in command.split(b"\0")
    return number if started is not None and ours and process_alive(number, started) else None


def alive(directory: Path) -> bool:
    return pid(directory) is not None


def ensure(directory: Path, layout: Layout, *, environment: str) -> bool:
    """Bring the proxy to `layout`: by its socket where it runs, by a new process where it does not or where the address changed.

    Returns whether a process was started. UsageError when the port is taken (says by whom), MissingExtra without HAProxy.
    """
    text = render(layout, socket_path(directory))
    config = _config(directory)
    running = pid(directory)
    if running is None:
        ports.require(layout.bind, layout.port, environment=environment)
        write(config, text)
        _launch(directory, [])
        return True
    if fixed_part(text) != fixed_part(config.read_text() if config.exists() else ""):
        write(config, text)
        _launch(directory, ["-x", str(socket_path(directory)), "-sf", str(running)])
        return True
    _change(runtime(directory), layout)
    if not config.exists() or config.read_text() != text:
        write(config, text)
    return False


def set_weights(directory: Path, layout: Layout) -> None:
    """Only the weights, as fast as it goes; the configuration file follows. Unreachable when the proxy does not answer."""
    runtime(directory).set_weights({server.slot: server.weight for server in layout.servers})
    write(_config(directory), render(layout, socket_path(directory)))


def stop(directory: Path) -> bool:
    """End the proxy: at once, as whoever stops an environment has drained it or does not mind. Whether there was one."""
    number = pid(directory)
    if number is None:
        return False
    stop_process(number, started_at(number) or 0.0, grace=2.0)
    for path in (directory / "haproxy.pid", socket_path(directory)):
        path.unlink(missing_ok=True)
    return True


def _config(directory: Path) -> Path:
    return directory.resolve() / "haproxy.cfg"


def _launch(directory: Path, handover: list[str]) -> None:
    """Start HAProxy as a daemon of its own and wait until its socket answers. It returns only after its ports are bound, or says why not."""
    command = [binary(), "-D", "-f", str(_config(directory)), "-p", str(directory.resolve() / "haproxy.pid"), *handover]
    log = directory / "proxy.log"
    env = {key: value for key, value in os.environ.items() if not key.startswith("PODIUM_")}
    done = subprocess.run(
        command, cwd=directory, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=15, start_new_session=True, check=False
    )
    if done.stderr:
        write(log, done.stderr)
    if done.returncode:
        raise Unreachable(f"the proxy does not start: {_reason(done.stderr)}", hint=f"{log} has all it said")
    deadline = time.monotonic() + 5
    while True:
        with contextlib.suppress(Unreachable):
            runtime(directory, timeout=0.5).ask("show info")
            return
        if time.monotonic() > deadline:
            raise Unreachable("the proxy started but its socket does not answer", hint=f"see {log}")
        time.sleep(0.005)


def _reason(text: str) -> str:
    alerts = [line.partition(": ")[2] or line for line in text.splitlines() if "ALERT" in line]
    return (alerts or text.splitlines() or ["it gave no reason"])[0].strip()


def _change(control: Runtime, layout: Layout) -> None:
    """Servers added, moved, re-weighted and removed by the socket: no process is replaced, no connection is closed."""
    now = {stat.name: stat for stat in control.stats() if stat.kind == "server"}
    wanted = {server.slot: server for server in layout.servers}
    for server in layout.servers:
        present = now.get(server.slot)
        if present is None:
            control.add(server)
        elif present.address != f"127.0.0.1:{server.port}" or present.status.startswith("MAINT"):
            control.move(server)
    control.set_weights({slot: server.weight for slot, server in wanted.items()})
    for slot in now.keys() - wanted.keys():
        control.remove(slot)

