"""What the proxy itself answers has the form of a replica's errors."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from podium.core.delivery.proxy.haproxy import Layout
from podium.core.delivery.proxy.proxy import of_process

from tests.runner.scale import scaled
from tests.support import free_port

POST = b"POST /invocations HTTP/1.1\r\nHost: m\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [(POST, 503, "TEMPORARILY_UNAVAILABLE"), (b"this is not HTTP\r\n\r\n", 400, "BAD_REQUEST")],
)
def test_it_is_json(tmp_path: Path, request_bytes: bytes, status: int, code: str) -> None:
    port = free_port()
    proxy = of_process(tmp_path, "staging")
    proxy.ensure(Layout("127.0.0.1", port, ()))
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=scaled(10)) as client:
            client.sendall(request_bytes)
            client.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: client.recv(65_536), b""))
    finally:
        proxy.stop()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode()) and b"content-type: application/json" in head.lower()
    assert json.loads(body)["error_code"] == code
