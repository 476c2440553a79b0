"""How the proxies of several hosts reach each other's replicas, and until when each of them may answer, as HAProxy's
rules. Manual: https://docs.haproxy.org/2.8/configuration.html.

Every host has a proxy, and every proxy knows all replicas. Those on its own host it asks directly; those on another
one it asks through that host's proxy, at the peer port: over TLS, on which both sides show a certificate of the
environment's own authority, or plainly where podium.yaml calls the network trusted.

A replica's server is named after its place, `SLOT:HOST`: one that is started elsewhere is another server.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import field, replace

from ...domain.frozen import Frozen
from ..host.http import socket_in

# Says which replica a request between hosts is for. What a client sends by that name is removed.
_HEADER = "x-podium-replica"
_PEM, _AUTHORITY, _MAP, LEASE = "peer.pem", "peers.pem", "peers.map", "lease.cfg"
_SEPARATOR = ":"
# No connection is kept: what is sent on one to a machine that fell silent would be waited for, not sent again.
UNKEPT = " pool-max-conn 0"


class BackendServer(Frozen):
    """One replica in the proxy's configuration: `weight` is 0..100, and 0 gets no new request; `address` is the path of
    its Unix socket, or one of a network that `port` belongs to."""

    slot: str
    port: int
    weight: int
    address: str = "127.0.0.1"
    host: str = ""
    """The host that it runs on; empty where all is on one."""
    options: str = ""
    """More of HAProxy's options."""

    @property
    def at(self) -> str:
        """Returns its address as it is configured."""
        if socket_in(self.address):
            return f"unix@{self.address}"
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    @property
    def shown(self) -> str:
        """Returns its address as `show stat` writes it, which names no Unix socket."""
        return "unix" if socket_in(self.address) else self.at


class Mesh(Frozen):
    """The hosts of an environment. `host` is the one that a configuration is for."""

    addresses: Mapping[str, str]
    """Name -> IP address of every host, by which the others reach it."""
    port: int
    """The peer port, the same on every host."""
    replica_port: int
    """The port on which every replica listens at its own address."""
    lease: float | None
    """Seconds that a proxy answers after it was last told that it is right; None for ever."""
    authority: str = field(default="", repr=False)
    """The certificate of the environment's own authority in PEM; empty on a trusted network."""
    certificates: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Host -> its certificate and key in PEM."""
    host: str = ""

    def seen_from(self, host: str) -> Mesh:
        return replace(self, host=host)

    @property
    def files(self) -> dict[str, str]:
        """Returns name -> content of the files that the host's configuration names, without the map."""
        return {_PEM: self.certificates[self.host], _AUTHORITY: self.authority} if self.authority else {}

    def servers(self, servers: Sequence[BackendServer]) -> tuple[BackendServer, ...]:
        """Returns the servers as the host's proxy reaches them."""
        return tuple(self._server(each) for each in servers)

    def _server(self, server: BackendServer) -> BackendServer:
        named = replace(server, slot=f"{server.slot}{_SEPARATOR}{server.host}")
        if server.host == self.host:
            return named
        options = UNKEPT
        if self.authority:
            # `check-ssl` is said, because a server that is added while HAProxy runs does not take it from `ssl`.
            options += f" {_credentials()} verifyhost {certificate_name(server.host)} check-ssl"
        return replace(named, address=self.addresses.get(server.host, "192.0.2.1"), port=self.port, options=options)

    def map(self, servers: Sequence[BackendServer]) -> dict[str, str]:
        """Returns the address of each replica on the host, by the name of its server."""
        return {f"{each.slot}{_SEPARATOR}{each.host}": each.address for each in servers if each.host == self.host}

    def map_file(self, servers: Sequence[BackendServer]) -> dict[str, str]:
        """Returns the map as a file, with a head: so that it is there, and not empty, where nothing runs yet."""
        lines = (f"{name} {address}\n" for name, address in sorted(self.map(servers).items()))
        return {_MAP: f"# replicas of this host\n{''.join(lines)}"}

    # What a configuration says of it

    @property
    def fence(self) -> tuple[str, ...]:
        """Returns the rule by which a proxy that nobody has told for too long that it is right answers nobody."""
        if self.lease is None:
            return ()
        words = "This host was cut off for too long to know which version should answer."
        text = json.dumps({"error_code": "TEMPORARILY_UNAVAILABLE", "message": words})
        return (
            "http-request return status 503 content-type application/json hdr Retry-After 5 string"
            f" '{text}' if {{ date,sub(proc.lease) gt 0 }}",
        )

    def sections(self) -> str:
        """Returns the frontend for the other hosts, and where it leads: the replica that they name."""
        unknown = json.dumps({"error_code": "TEMPORARILY_UNAVAILABLE", "message": "This replica is not here."})
        names = " ".join(certificate_name(each) for each in sorted(self.addresses))
        known = f"{{ var(txn.at) -m found }}{f' {{ ssl_c_s_dn(cn) -m str {names} }}' if self.authority else ''}"
        loaded = f"backend peer-files\n  server none 127.0.0.1:1 disabled {_credentials()}\n" if self.authority else ""
        bind = f"*:{self.port} ssl crt {_PEM} ca-file {_AUTHORITY} verify required" if self.authority else self._plain
        return f"""frontend peers
  # certificates {self._digest}
  bind {bind}
  http-request set-var(txn.at) req.hdr({_HEADER}),map_str({_MAP})
  http-request return status 503 content-type application/json string '{unknown}' unless {known}
  default_backend here
backend here
  no option redispatch
  retries 0
  http-request del-header {_HEADER}
  http-request set-dst var(txn.at)
  http-request set-dst-port int({self.replica_port})
  server replica 0.0.0.0:0
{loaded}"""

    @property
    def _plain(self) -> str:
        own = self.addresses[self.host]
        return f"[{own}]:{self.port}" if ":" in own else f"{own}:{self.port}"

    @property
    def _digest(self) -> str:
        """Returns what makes another configuration of other certificates."""
        return hashlib.sha256("".join(self.files.values()).encode()).hexdigest()[:16]


# The kernel notices a machine that fell silent while its answer is waited for.
KEEPALIVE = "  option srvtcpka\n  srvtcpka-idle 1s\n  srvtcpka-intvl 1s\n  srvtcpka-cnt 3\n"
# What the backend of all replicas says: every request names its replica, and so does every check.
BACKEND_LINES = f"  http-send-name-header {_HEADER}\n{KEEPALIVE}"
CHECK_HEADER = f' hdr {_HEADER} "%[srv_name]"'
MAP, FILES = _MAP, (_PEM, _AUTHORITY, _MAP)


def slot_of(name: str) -> str:
    """Returns the replica's slot by its server's name."""
    return name.partition(_SEPARATOR)[0]


def certificate_name(host: str) -> str:
    """Returns the name that a host's certificate is for: other hosts know it by no other."""
    return f"h{hashlib.sha256(host.encode()).hexdigest()[:20]}.podium"


def _credentials() -> str:
    return f"ssl crt {_PEM} ca-file {_AUTHORITY} verify required"
