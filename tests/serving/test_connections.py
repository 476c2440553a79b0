"""What is left of connections that are over: nothing, however they ended."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from podium.core.serving.one_write import protocol
from podium.core.serving.server import KEEP_ALIVE_SECONDS

from tests.runner.scale import scaled

REQUEST = b"GET / HTTP/1.1\r\nhost: model\r\n\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def closed(client: socket.socket) -> None:
    client.close()


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def half_closed(client: socket.socket) -> None:
    client.shutdown(socket.SHUT_WR)
    client.recv(1)
    client.close()


def ask(port: int, end: Callable[[socket.socket], None]) -> None:
    client = socket.create_connection(("127.0.0.1", port), timeout=10)
    client.sendall(REQUEST)
    while not client.recv(4096).endswith(b"ok"):
        pass
    end(client)


@pytest.mark.parametrize("end", [closed, reset, half_closed])
@pytest.mark.parametrize("name", ["httptools", "h11"])
def test_nothing_is_kept_of_one_that_is_over(name: str, end: Callable[[socket.socket], None]) -> None:
    kind: Any = protocol(name)

    def kept() -> int:
        gc.collect()
        return sum(type(each) is kind for each in gc.get_objects())

    async def left(port: int) -> int:
        for _ in range(5):
            await asyncio.to_thread(ask, port, end)
        for _ in range(100):
            await asyncio.sleep(0.02)
            if not kept():
                break
        return kept()

    assert asyncio.run(served(kind, left)) == 0


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("httptools", b"get / HTTP/1.1\r\nhost: m\r\n\r\n"),  # a method that is none; h11 takes every word for one
        ("httptools", b"\x00\r\n\r\n"),
        ("h11", b"X / HTTP/9\r\n\r\n"),
        ("h11", b"\x00\r\n\r\n"),
    ],
)
def test_what_is_no_request_is_told_so_in_json(name: str, sent: bytes) -> None:
    def told(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=scaled(10)) as client:
            client.sendall(sent)
            return b"".join(iter(lambda: client.recv(4096), b""))

    answer = asyncio.run(served(protocol(name), lambda port: asyncio.to_thread(told, port)))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ") and b"content-type: application/json" in head
    assert json.loads(body) == {"error_code": "BAD_REQUEST", "message": "This is not a request in HTTP."}


async def served(kind: Any, use: Callable[[int], Awaitable[Any]]) -> Any:
    """Returns what `use` does with the port of a server."""
    config = uvicorn.Config(app, http=kind, lifespan="off", log_level="critical", timeout_keep_alive=KEEP_ALIVE_SECONDS)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve([listening]))
        found = await use(listening.getsockname()[1])
        server.should_exit = True
        await serving
    return found
