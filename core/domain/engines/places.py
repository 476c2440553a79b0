"""The address of what runs on one of several hosts: `HOST/ADDRESS`."""

from __future__ import annotations

_BETWEEN = "/"


def split(address: str) -> tuple[str, str]:
    """Returns (host, address there); an empty host for an address without one, and for the path of a Unix socket."""
    if address.startswith(_BETWEEN):
        return "", address
    name, between, inside = address.rpartition(_BETWEEN)
    return (name, inside) if between else ("", address)


def joined(host: str, address: str) -> str:
    """Returns an address with its host; without one it is what it was."""
    return f"{host}{_BETWEEN}{address}" if host else address
