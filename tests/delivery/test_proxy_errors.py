"""What the proxy itself answers has the form of a replica's errors (a line that is not HTTP at all excepted: HAProxy has
one fixed text for it)."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

import pytest
from podium.core.delivery.proxy.haproxy import ProxyLayout, binary, render

from tests.runner.scale import scaled
from tests.support import free_port, wait_until

HEAD = b"POST /invocations HTTP/1.1\r\nHost: m\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [(HEAD + b"{}", 503, "TEMPORARILY_UNAVAILABLE"), (HEAD + b"{", 408, "DEADLINE_EXCEEDED")],
)
def test_it_is_json(tmp_path: Path, sent: bytes, status: int, code: str) -> None:
    port = free_port()
    text = render(ProxyLayout("127.0.0.1", port, ()), tmp_path / "s.sock").replace(
        "http-request 30s", "http-request 500ms"
    )
    (tmp_path / "haproxy.cfg").write_text(text)
    process = subprocess.Popen([binary(), "-db", "-f", str(tmp_path / "haproxy.cfg")])
    try:
        answer = wait_until(lambda: ask(port, sent), 20)
    finally:
        process.kill()
        process.wait()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode()) and b"content-type: application/json" in head.lower()
    assert json.loads(body)["error_code"] == code


def ask(port: int, sent: bytes) -> bytes:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=scaled(10)) as client:
            client.sendall(sent)
            return b"".join(iter(lambda: client.recv(65_536), b"")) if sent.endswith(b"{") else client.recv(65_536)
    except ConnectionError:
        return b""
