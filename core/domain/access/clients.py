"""How clients reach an environment: TLS, authorisation, limits for each client."""

from __future__ import annotations

import ipaddress
from enum import StrEnum

from ..frozen import Frozen


class Tls(Frozen):
    """The certificate that an environment's proxy shows."""

    certificate: str
    """A PEM file with the certificate and its intermediates, relative to the project."""
    key: str
    """The PEM file of its private key."""
    host: str
    """The name by which clients reach it; the certificate has to be for it."""


class Auth(Frozen):
    """How clients prove who they are."""

    tokens: bool = False
    """By a bearer token, made with `podium tokens add`."""
    client_ca: str = ""
    """By a certificate that one of this PEM file's has signed; empty for tokens."""
    clients: tuple[str, ...] = ()
    """The common names of those who may; empty for all that were signed."""


class ClientLimits(Frozen):
    """What one client may do, in each instance of the proxy."""

    rate: float | None = None
    """Requests a second; None for as many as it likes."""
    connections: int | None = None
    """Open connections from one address; None for the ceiling of the proxy."""


class TokenScope(StrEnum):
    """What a client's token is for."""

    PREDICT = "predict"
    METRICS = "metrics"


class Token(Frozen):
    """A client's token, of which only the digest is kept."""

    environment: str
    name: str
    scope: TokenScope
    digest: str
    """SHA-256, in hexadecimal."""
    who: str
    """Who made it."""
    at: float
    """When, in seconds since the epoch."""

    @property
    def words(self) -> str:
        """Returns what the proxy keeps beside the digest."""
        return f"{self.scope}:{self.name}"


def is_loopback(address: str) -> bool:
    """Tells whether an address is reached from its own machine only."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"
