"""Two proxies as two hosts would have them, without an engine: real HAProxies on two addresses of this machine, which
reach each other's replicas with certificates of the environment's own authority and nobody else's."""

from __future__ import annotations

import http.client
import http.server
import socket
import ssl
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from podium.core.delivery.drivers.hosts.certificates import issued
from podium.core.delivery.host.paths import private
from podium.core.delivery.proxy.haproxy import BackendServer, ProxyLayout
from podium.core.delivery.proxy.mesh import LEASE, Mesh, certificate_name, slot_of
from podium.core.delivery.proxy.placement import ProcessProxyHost
from podium.core.delivery.proxy.proxy import Instance
from podium.core.delivery.proxy.transport import DirectTransport

from tests.servers import pki
from tests.support import free_port, wait_until

ADDRESSES = {"a": "127.0.0.71", "b": "127.0.0.72"}
REPLICAS = {"a": "127.0.0.81", "b": "127.0.0.82"}


class _Replica(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = f"{self.server.server_address[0]} {self.headers.get('x-podium-replica')}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


class _Host(ProcessProxyHost):
    """A host's proxy as a process: it takes the other's requests at its own address, since both are one machine."""

    def __init__(self, directory: Path, address: str) -> None:
        super().__init__(private(directory), "staging", 1)
        self._address = address

    def write(self, text: str) -> None:
        super().write(text.replace("  bind *:", f"  bind {self._address}:"))

    def config(self) -> str:
        return super().config().replace(f"  bind {self._address}:", "  bind *:", 1)


class Pair:
    def __init__(self, home: Path, *, lease: float | None = None, trusted: bool = False) -> None:
        self.directory = private(home / "environment")
        port = free_port()
        self.servers = [http.server.ThreadingHTTPServer((each, port), _Replica) for each in REPLICAS.values()]
        for server in self.servers:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        authority, certificates = ("", {}) if trusted else issued(self.directory, ADDRESSES)
        self.mesh = Mesh(ADDRESSES, free_port(), port, lease, authority, certificates)
        rows = tuple(BackendServer(f"v1-{n}", port, 100, REPLICAS[h], h) for n, h in enumerate(REPLICAS, 1))
        self.ports = {host: free_port() for host in ADDRESSES}
        self.layout = ProxyLayout("127.0.0.1", 0, rows, mesh=self.mesh)
        self.instances = {
            host: Instance(1, _Host(home / host, address), DirectTransport(), host=host)
            for host, address in ADDRESSES.items()
        }

    def of(self, host: str, *rows: BackendServer) -> ProxyLayout:
        return replace(self.layout, port=self.ports[host], servers=rows or self.layout.servers)

    def start(self, *rows: BackendServer) -> None:
        for host, instance in self.instances.items():
            instance.ensure(self.of(host, *rows))

    def up(self, host: str, *slots: str) -> None:
        found = self.instances[host]
        wait_until(
            lambda: {each.name for each in found.stats() if each.kind == "server" and each.up} >= {*slots},
            what=f"{host} finds {slots} up",
        )

    def get(self, host: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[host], timeout=5)
        try:
            connection.request("GET", "/version", headers={"x-podium-replica": "what a client says"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def close(self) -> None:
        for instance in self.instances.values():
            instance.placement.stop()
        for server in self.servers:
            server.shutdown()
            server.server_close()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path)
    yield made
    made.close()


def test_each_reaches_all_replicas_and_lets_nobody_else_in(pair: Pair) -> None:
    first, second = pair.layout.servers
    pair.start(first)
    pair.start(first, second)  # added while they run
    for host in ADDRESSES:
        pair.up(host, "v1-1", "v1-2")
        assert {pair.get(host)[1].split()[0] for _ in range(4)} == {*REPLICAS.values()}
        assert not pair.instances[host].drifted(pair.of(host)) and not pair.instances[host].behind(pair.of(host))

    # A replica that is started on another host is another server there, under the same name to everybody else.
    moved = replace(second, address=REPLICAS["a"], host="a")
    pair.start(first, moved)
    pair.up("b", "v1-2")
    assert {pair.get("b")[1].split()[0] for _ in range(4)} == {REPLICAS["a"]}
    assert [each.name for each in pair.instances["b"].stats() if each.kind == "server"].count("v1-2") == 1

    # With the port alone nothing is reached: not plainly, not without a certificate, not with one of another authority.
    other = pki.Authority(pair.directory / "other").pair("other", certificate_name("a"))
    for certificate in (None, other):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if certificate is not None:
            context.load_cert_chain(certificate.certificate, certificate.key)
        assert _asked(pair, context) == ""
    assert _asked(pair, None) == ""


def _asked(pair: Pair, context: ssl.SSLContext | None) -> str:
    """What somebody is answered at the peer port who names a replica; empty for nothing in HTTP."""
    raw = socket.create_connection((ADDRESSES["a"], pair.mesh.port), timeout=5)
    try:
        connection = context.wrap_socket(raw) if context is not None else raw
        connection.sendall(b"GET /version HTTP/1.1\r\nHost: a\r\nx-podium-replica: v1-1:a\r\n\r\n")
        return connection.recv(200).decode("utf-8", "replace")
    except OSError:
        return ""
    finally:
        raw.close()


def test_keys_are_for_their_owner_only(pair: Pair) -> None:
    files = [path for path in (pair.directory / "mesh").iterdir() if path.is_file()]
    assert {path.name for path in files} >= {"ca.key", "ca.pem"} and len(files) >= 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE((pair.directory / "mesh").stat().st_mode) == 0o700
    before = issued(pair.directory, ADDRESSES)
    assert issued(pair.directory, ADDRESSES) == before, "they are made once"
    assert "PRIVATE" not in before[0]
    assert issued(pair.directory, [*ADDRESSES, "c"])[1].keys() == {"a", "b", "c"}


def test_what_an_authority_that_is_gone_has_signed_is_signed_anew(tmp_path: Path) -> None:
    from cryptography import x509

    issued(tmp_path, ADDRESSES)
    (tmp_path / "mesh" / "ca.pem").unlink()
    authority, certificates = issued(tmp_path, ADDRESSES)
    root = x509.load_pem_x509_certificate(authority.encode())
    for host in ADDRESSES:
        x509.load_pem_x509_certificate(certificates[host].encode()).verify_directly_issued_by(root)


def test_a_trusted_network_has_no_tls_and_no_other_address(tmp_path: Path) -> None:
    pair = Pair(tmp_path, trusted=True)
    try:
        pair.start()
        pair.up("a", "v1-1", "v1-2")
        assert {pair.get("a")[1].split()[0] for _ in range(4)} == {*REPLICAS.values()}
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", pair.mesh.port), timeout=2).close()
    finally:
        pair.close()


def test_without_a_lease_it_answers_nobody_and_is_not_given_one_while_it_is_behind(tmp_path: Path) -> None:
    pair = Pair(tmp_path, lease=30.0)
    try:
        layout, found = pair.of("a"), pair.instances["a"]
        found.ensure(layout)
        found.runtime.ask("experimental-mode on; set var proc.lease int(1)")
        assert pair.get("a")[0] == 503
        until = found.runtime.extend_lease(30.0)
        assert until > 1_000_000_000 and pair.get("a")[0] == 200
        # The journal takes the traffic from a replica, and the proxy was not told: it is behind.
        first, second = layout.servers
        assert found.behind(pair.of("a", replace(first, weight=0), second))
        assert found.behind(pair.of("a", second))
        assert not found.behind(layout)
    finally:
        pair.close()


def test_a_server_is_named_after_slot_and_host() -> None:
    mesh = Mesh(ADDRESSES, 6100, 8080, None, host="a")
    row = partial(BackendServer, "v12-3", 8080, 5)
    named = mesh.servers([row("172.29.0.2", "a"), row("172.29.0.2", "b")])
    assert [each.slot for each in named] == ["v12-3:a", "v12-3:b"]
    assert {slot_of(each.slot) for each in named} == {"v12-3"}
    assert [each.at for each in named] == ["172.29.0.2:8080", "127.0.0.72:6100"]
    assert mesh.map([row("172.29.0.2", "a"), row("172.29.0.3", "b")]) == {"v12-3:a": "172.29.0.2"}
    assert LEASE.endswith(".cfg")
