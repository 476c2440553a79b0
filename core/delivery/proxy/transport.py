"""How Podium reaches replicas and a proxy: directly on this machine, through a relay on another one."""

from __future__ import annotations

import json
from pathlib import Path, PurePath
from typing import Any, Protocol

from ..host import http
from .haproxy import ask_socket


class Transport(Protocol):
    """Reaches replicas and proxy. `address` is the address of a replica's row (the path of its Unix socket, if it
    listens on one), or of the machine that serves."""

    def http(
        self,
        address: str,
        port: int,
        method: str,
        path: str,
        *,
        unix: str = "",
        body: bytes | None = None,
        timeout: float = 2.0,
    ) -> tuple[int, bytes]:
        """Returns (status, body); over the Unix socket `unix` where one is named. Raises OSError if no answer arrives
        in `timeout` seconds, or if the answer is not HTTP."""
        ...

    def ask(self, socket: PurePath, command: str, *, timeout: float = 1.0) -> str:
        """Returns the answer of the runtime API at a `socket` of the proxy. Raises Unreachable if there is none
        within `timeout` seconds."""
        ...


class DirectTransport:
    """The transport to replicas and a proxy on this machine."""

    def http(
        self,
        address: str,
        port: int,
        method: str,
        path: str,
        *,
        unix: str = "",
        body: bytes | None = None,
        timeout: float = 2.0,
    ) -> tuple[int, bytes]:
        return http.request(port, method, path, host=address, unix=unix, body=body, timeout=timeout)

    def ask(self, socket: PurePath, command: str, *, timeout: float = 1.0) -> str:
        return ask_socket(Path(socket), command, timeout=timeout)


def get_json(
    transport: Transport, address: str, port: int, path: str, *, unix: str = "", timeout: float = 2.0
) -> dict[str, Any]:
    """Returns the JSON object at `path`. Raises OSError if there is none."""
    status, body = transport.http(address, port, "GET", path, unix=unix, timeout=timeout)
    if status != 200:
        raise OSError(f"{path} answered {status}")
    try:
        value = json.loads(body)
    except ValueError as error:
        raise OSError(f"{path} did not answer JSON") from error
    if not isinstance(value, dict):
        raise OSError(f"{path} did not answer an object")
    return value  # pyright: ignore[reportUnknownVariableType]
