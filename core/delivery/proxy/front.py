"""What stands between clients and replicas beside the weights: TLS, authorisation and limits for each client, as
HAProxy's rules. Manual: https://docs.haproxy.org/2.8/configuration.html.

Podium itself does not come in this way: it asks over a Unix socket that only its own account can open.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import PurePath

from ...domain.access.clients import TokenScope
from ...domain.frozen import Frozen
from ..host.paths import numbered

# Mozilla's intermediate profile, version 5.7, without DHE: https://wiki.mozilla.org/Security/Server_Side_TLS.
_CIPHERS = ":".join(
    f"ECDHE-{key}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for key in ("ECDSA", "RSA")
)
_SUITES = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
ENTRY = "entry"
_REALM = "podium"
# A client's counters are forgotten when it was not seen for so long; so many clients are known at once.
_TABLE = "size 100k expire 2h"
# One client is one address; of IPv6 the network that a provider gives to one customer.
_ADDRESS = "src,ipmask(32,64)"
# What the replicas answer (docs/serving.md). Every other path is refused here, however it is written.
_PATHS = "/invocations /feedback /ping /health /version /metrics"


class Front(Frozen):
    """How clients reach the replicas. The default lets everybody."""

    certificate: str = field(default="", repr=False)
    """The certificate, its intermediates and its private key in PEM; empty for plain HTTP."""
    fingerprint: str = ""
    """The certificate's SHA-1, as HAProxy shows it."""
    client_ca: str = ""
    """Certificates in PEM, one of which has signed that of each client; empty where clients need none."""
    clients: tuple[str, ...] = ()
    """The common names of those clients; empty for all."""
    asks_tokens: bool = False
    """Whether predictions need a client's token."""
    guards_metrics: bool = False
    """Whether `/metrics` needs a token of its own."""
    tokens: Mapping[str, str] = field(default_factory=dict[str, str])
    """Digest of each token, as HAProxy writes it (in capitals) -> `SCOPE:NAME`."""
    rate: float | None = None
    """The requests a second of one client."""
    connections: int | None = None
    """The open connections from one address."""
    ceiling: int | None = None
    """The open connections from one address where `connections` says nothing: more are not accepted."""

    @property
    def plain(self) -> bool:
        """Tells whether everybody may do everything."""
        return self == Front()

    @property
    def knows_tokens(self) -> bool:
        return self.asks_tokens or self.guards_metrics

    def files(self, instance: int) -> dict[str, str]:
        """Returns name -> content of the files that the configuration of an instance names."""
        certificate, clients, tokens = file_names(instance)
        found = {name: text for name, text in ((certificate, self.certificate), (clients, self.client_ca)) if text}
        if self.knows_tokens:
            # With a head, so that the file is there, and not empty, where nobody has a token yet.
            lines = (f"{digest} {words}\n" for digest, words in sorted(self.tokens.items()))
            found[tokens] = f"# digests of tokens\n{''.join(lines)}"
        return found


def file_names(instance: int) -> tuple[str, str, str]:
    """Returns the names of an instance's files beside its configuration: certificate with key, authorities, tokens."""
    return numbered("served.pem", instance), numbered("clients.pem", instance), numbered("tokens.map", instance)


def own_socket(runtime: PurePath) -> PurePath:
    """Returns the Unix socket by which Podium sends requests of its own; `runtime` is that of the runtime API."""
    return runtime.with_suffix(".own")


def global_lines(front: Front, *, files: bool = False) -> str:
    """Returns what the global section needs: paths of files are relative to the configuration. `files` where it names
    others than the front's."""
    return "" if front.plain and not files else "  default-path config\n"


class Entry(Frozen):
    """Where an instance takes requests: `address` is what HAProxy listens at, `runtime` the socket of its runtime API.
    `first` are rules that come before all others for clients, and do not hold for Podium itself."""

    address: str
    runtime: PurePath
    instance: int
    first: tuple[str, ...] = ()


def frontend(front: Front, entry: Entry, bounds: str, backend: str) -> str:
    """Returns the frontend for clients, and that of Podium itself where they differ. `bounds` are the rules that hold
    for each request; they come last, so that nobody waits for the body of one that is refused anyway."""
    if front.plain and not entry.first:
        return f"frontend {ENTRY}\n  bind {entry.address}\n{bounds}  default_backend {backend}\n"
    instance, runtime = entry.instance, entry.runtime
    lines = (
        f"bind {entry.address}{_tls(front, instance)}",
        *_connections(front),
        *entry.first,
        f"http-request {answer(404, 'ENDPOINT_NOT_FOUND', 'There is nothing here.')} unless {{ path {_PATHS} }}",
        *_proofs(front, instance),
        *_rate(front, backend),
    )
    body = "".join(f"  {line}\n" for line in lines)
    rest = f"{bounds}  default_backend {backend}\n"
    own = f"frontend own\n  bind unix@{own_socket(runtime)} mode 600\n{rest}"
    return f"frontend {ENTRY}\n{body}{rest}{own}"


def backend_lines(front: Front) -> str:
    """Returns what the backend needs: the counters of clients by their names."""
    if front.rate is None:
        return ""
    return f"  stick-table type string len 80 {_TABLE} store gpc0_rate({_period(front.rate)}s)\n"


def _tls(front: Front, instance: int) -> str:
    if not front.certificate:
        return ""
    clients = ""
    if front.client_ca:
        digest = hashlib.sha256(front.client_ca.encode()).hexdigest()[:16]
        # The digest is part of the configuration, so that other authorities are another configuration.
        clients = f" ca-file {file_names(instance)[1]} verify optional name clients-{digest}"
    return (
        f" ssl crt {file_names(instance)[0]} alpn h2,http/1.1 ssl-min-ver TLSv1.2 no-tls-tickets"
        f" ciphers {_CIPHERS} ciphersuites {_SUITES}{clients}"
    )


def _connections(front: Front) -> Iterator[str]:
    """Yields the rules for connections: those over the limit are told so, and so many more are not even accepted.
    Whether one is over it is decided when it comes: those that were there before are not refused for it."""
    if front.connections is None:
        if front.ceiling is not None:
            yield f"stick-table type ipv6 {_TABLE} store conn_cur"
            yield f"tcp-request connection track-sc0 {_ADDRESS}"
            yield f"tcp-request connection reject if {{ sc0_conn_cur gt {front.ceiling} }}"
        return
    words = f"More than {front.connections} connections are open from this address."
    yield f"stick-table type ipv6 {_TABLE} store conn_cur"
    yield f"tcp-request connection track-sc0 {_ADDRESS}"
    yield f"tcp-request connection reject if {{ sc0_conn_cur gt {2 * front.connections + 8} }}"
    yield f"tcp-request session set-var(sess.over) bool(true) if {{ sc0_conn_cur gt {front.connections} }}"
    refused = answer(429, "RESOURCE_EXHAUSTED", words, "Retry-After 1", "Connection close")
    yield f"http-request {refused} if {{ var(sess.over) -m bool }}"


def _proofs(front: Front, instance: int) -> Iterator[str]:
    if front.knows_tokens:
        found = f"http_auth_bearer,sha2(256),hex,map_str({file_names(instance)[2]})"
        yield f"http-request set-var(txn.token) {found}"
    if front.guards_metrics:
        yield from _scope(TokenScope.METRICS, "{ path /metrics }")
    # A health check has no token, and `/feedback` has tokens of its own, which the replica knows.
    asked = "!{ path /ping /health /feedback" + (" /metrics }" if front.guards_metrics else " }")
    if front.asks_tokens:
        yield from _scope(TokenScope.PREDICT, asked)
    if front.client_ca:
        words = "This needs a certificate of a client that is known here."
        names = " ".join(f'"{name}"' for name in front.clients)
        named = f" {{ ssl_c_s_dn(cn) -m str {names} }}" if names else ""
        yield f"http-request set-var(txn.client) ssl_c_s_dn(cn) if {{ ssl_c_used }} {{ ssl_c_verify 0 }}{named}"
        yield f"http-request {answer(403, 'PERMISSION_DENIED', words)} if {asked} !{{ var(txn.client) -m found }}"
    if front.knows_tokens:
        yield "http-request del-header authorization unless { path /feedback }"


def _scope(scope: TokenScope, asked: str) -> Iterator[str]:
    """Yields the rules by which requests that `asked` matches need a token of this scope."""
    known = "{ var(txn.token) -m found }"
    missing = answer(401, "UNAUTHENTICATED", "This needs a token: Authorization: Bearer TOKEN.", _challenge())
    wrong = answer(401, "UNAUTHENTICATED", "This token is not known here.", _challenge("invalid_token"))
    other = answer(
        403, "PERMISSION_DENIED", f"This token is not one for {scope.value}.", _challenge("insufficient_scope")
    )
    # What a client with the right token passes comes first in each: it is what costs.
    yield f"http-request {missing} if !{known} {asked} !{{ http_auth_bearer -m found }}"
    yield f"http-request {wrong} if !{known} {asked}"
    yield f"http-request {other} if !{{ var(txn.token) -m beg {scope.value}: }} {asked}"


def _challenge(error: str = "") -> str:
    more = f', error="{error}"' if error else ""
    return f"""WWW-Authenticate 'Bearer realm="{_REALM}"{more}'"""


def _rate(front: Front, backend: str) -> Iterator[str]:
    """Yields the rules for requests: so many in each period, of which the refused ones do not count."""
    if front.rate is None:
        return
    period = _period(front.rate)
    most = max(1, math.floor(front.rate * period + 1e-9))
    if front.knows_tokens:
        yield "http-request set-var(txn.client) var(txn.token) if { var(txn.token) -m found }"
    yield f"http-request set-var(txn.client) {_ADDRESS} unless {{ var(txn.client) -m found }}"
    yield f"http-request track-sc1 var(txn.client) table {backend}"
    words = f"More than {most} requests in {period} s came from this client."
    refused = answer(429, "RESOURCE_EXHAUSTED", words, f"Retry-After {period}")
    yield f"http-request {refused} if {{ sc1_gpc0_rate ge {most} }}"
    yield "http-request sc-inc-gpc0(1)"


def _period(rate: float) -> int:
    """Returns the seconds in which requests are counted: long enough for at least one."""
    return next((seconds for seconds in (1, 60) if rate * seconds >= 1), 3600)


def answer(status: int, code: str, message: str, *headers: str) -> str:
    """Returns the action that answers a request in the form of a replica's errors."""
    more = "".join(f" hdr {header}" for header in headers)
    return f"return status {status} content-type application/json string '{told(code, message)}'{more}"


def told(code: str, message: str) -> str:
    """Returns the body of an answer in the form of a replica's errors."""
    return json.dumps({"error_code": code, "message": message})
