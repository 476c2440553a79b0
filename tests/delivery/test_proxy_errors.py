"""What the proxy itself answers has the form of a replica's errors (what is no request at all excepted, a line that is not
HTTP or headers that do not end: HAProxy has fixed texts for it)."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

import pytest
from podium.core.delivery.proxy.haproxy import ProxyLayout, binary, render
from podium.core.domain.project import RequestBounds

from tests.runner.scale import scaled
from tests.support import free_port, wait_until

HEAD = b"POST /invocations HTTP/1.1\r\nHost: m\r\nContent-Type: application/json\r\n"
BODY = HEAD + b"Content-Length: 2\r\n\r\n"
BOUNDS = RequestBounds(body=4096, headers=0.5, arrival=0.5)


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (BODY + b"{}", 503, "TEMPORARILY_UNAVAILABLE"),
        (BODY + b"{", 408, "DEADLINE_EXCEEDED"),  # the rest does not come
        (HEAD, 408, ""),  # the headers do not end
        (HEAD + b"Content-Length: 4097\r\n\r\n", 413, "REQUEST_LIMIT_EXCEEDED"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1001\r\n" + b" " * 4097 + b"\r\n", 413, "REQUEST_LIMIT_EXCEEDED"),
        (HEAD + b"Content-Length: 4096\r\n\r\n" + b" " * 4096, 503, "TEMPORARILY_UNAVAILABLE"),
    ],
    ids=["whole", "cut short", "headers cut short", "said to be too large", "too large", "as large as may be"],
)
def test_it_is_json(tmp_path: Path, sent: bytes, status: int, code: str) -> None:
    port = free_port()
    text = render(ProxyLayout("127.0.0.1", port, (), BOUNDS), tmp_path / "s.sock")
    (tmp_path / "haproxy.cfg").write_text(text)
    process = subprocess.Popen([binary(), "-db", "-f", str(tmp_path / "haproxy.cfg")])
    try:
        answer = wait_until(lambda: ask(port, sent), 20)
    finally:
        process.kill()
        process.wait()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    if code:
        assert b"content-type: application/json" in head.lower() and json.loads(body)["error_code"] == code


def ask(port: int, sent: bytes) -> bytes:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=scaled(10)) as client:
            client.sendall(sent)
            return client.recv(65_536)
    except ConnectionError:
        return b""
