"""The keys of an environment that say how clients reach it, and who may change it."""

from __future__ import annotations

from ..kinds import Choice, Flag, Integer, Text, Throughput
from ..patterns import bad_local
from ..sections import Either, Key, ListOf, Section
from .common import ACCOUNT

_HOST = r"[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){0,20}|[0-9a-fA-F:]{2,45}"
_file = Text(check=bad_local)
_accounts = ListOf(Text(pattern=ACCOUNT, what="an account's name"), single=True)

_TLS = Section(
    "tls",
    (
        Key("certificate", _file, "PEM file with the certificate that clients see, and its intermediates"),
        Key("key", _file, "PEM file of its private key (mode 600)"),
        Key("host", Text(pattern=_HOST, what="a host's name"), "name by which clients reach it; in the certificate"),
        Key("engine", _file, "as `tls: DIRECTORY`: for a tcp:// host (that of docker.tls)"),
    ),
)

_AUTH = Section(
    "auth",
    (
        Key("client_ca", _file, "PEM file; clients need a certificate that one of its own has signed", required=True),
        Key(
            "clients",
            ListOf(Text(pattern=r"[A-Za-z0-9_][A-Za-z0-9_.@ -]{0,63}", what="a common name"), least=1, single=True),
            "common names of those who may (all)",
        ),
    ),
)

_LIMITS = Section(
    "limits",
    (
        Key("rate", Throughput(1 / 3600, 1_000_000), "requests of one client: 100/s, 30/m (any number)"),
        Key("connections", Integer(1, 100_000), "open connections from one address (any number)"),
    ),
)

_ALLOWED = Section(
    "who",
    (
        Key("accounts", _accounts, "accounts of this machine"),
        Key("groups", _accounts, "Unix groups of this machine"),
    ),
)
_role = Either(_accounts, _ALLOWED)

_WHO = Section(
    "who",
    (
        Key("promote", _role, "deploys, promotes, gives a canary more traffic (everybody)"),
        Key("rollback", _role, "rolls back, pauses and aborts a canary (everybody)"),
        Key("approve", _role, "approves steps that change it (everybody whom the step lets)"),
        Key("lift", _role, "lifts quarantines of its model (everybody)"),
        Key("stop", _role, "stops and starts it (everybody)"),
    ),
)

ACCESS: tuple[Key, ...] = (
    Key(
        "tls",
        Either(_file, _TLS),
        "certificate that clients see; or, as one value, the directory of a tcp:// host's (ca.pem, cert.pem, key.pem)",
    ),
    Key("auth", Either(Choice(("tokens",)), _AUTH), "how clients prove who they are: tokens or client_ca (not at all)"),
    Key("open", Flag(), "true: reached from other machines without TLS or without authorisation, and meant so (false)"),
    Key("limits", _LIMITS, "what one client may do"),
    Key("who", _WHO, "who may change it"),
)
