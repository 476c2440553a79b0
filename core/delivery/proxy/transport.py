"""How Podium speaks with replicas and with a proxy: directly where they are on this machine, through a relay where
they are on another one."""

from __future__ import annotations

import json
from pathlib import Path, PurePath
from typing import Any, Protocol

from ..host import http
from .haproxy import ask_socket


class Transport(Protocol):
    """`address` is the one a replica's row has, or one of the machine that serves."""

    def http(
        self, address: str, port: int, method: str, path: str, *, body: bytes | None = None, timeout: float = 2.0
    ) -> tuple[int, bytes]:
        """(status, body). OSError when nobody answers in `timeout` seconds, and for an answer that is not HTTP."""
        ...

    def ask(self, socket: PurePath, command: str, *, timeout: float = 1.0) -> str:
        """What the runtime API at a `socket` of the proxy answers. Unreachable when it does not within `timeout`
        seconds."""
        ...


class Direct:
    """Replicas and proxy are reached from here."""

    def http(
        self, address: str, port: int, method: str, path: str, *, body: bytes | None = None, timeout: float = 2.0
    ) -> tuple[int, bytes]:
        return http.request(port, method, path, host=address, body=body, timeout=timeout)

    def ask(self, socket: PurePath, command: str, *, timeout: float = 1.0) -> str:
        return ask_socket(Path(socket), command, timeout=timeout)


def get_json(transport: Transport, address: str, port: int, path: str, *, timeout: float = 2.0) -> dict[str, Any]:
    """The JSON object at `path`. OSError when there is none."""
    status, body = transport.http(address, port, "GET", path, timeout=timeout)
    if status != 200:
        raise OSError(f"{path} answered {status}")
    try:
        value = json.loads(body)
    except ValueError as error:
        raise OSError(f"{path} did not answer JSON") from error
    if not isinstance(value, dict):
        raise OSError(f"{path} did not answer an object")
    return value  # pyright: ignore[reportUnknownVariableType]
