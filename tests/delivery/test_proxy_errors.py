"""What the proxy itself answers has the form of a replica's errors (what it cannot parse excepted, a line that is not
HTTP or headers that do not end: HAProxy has fixed texts for it, docs/serving.md)."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from podium.core.delivery.proxy.haproxy import ProxyLayout, binary, render
from podium.core.domain.project import RequestBounds

from tests.runner.scale import scaled
from tests.support import free_port, wait_until

HEAD = b"POST /invocations HTTP/1.1\r\nHost: m\r\nContent-Type: application/json\r\n"
PING = b"GET /ping HTTP/1.1\r\nHost: m\r\n"
BODY = HEAD + b"Content-Length: 2\r\n\r\n"
BOUNDS = RequestBounds(body=4096, headers=0.5, arrival=0.5)


def fields(count: int) -> bytes:
    return b"".join(b"X-%d: x\r\n" % number for number in range(count))


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (BODY + b"{}", 503, "TEMPORARILY_UNAVAILABLE"),
        (BODY + b"{", 408, "DEADLINE_EXCEEDED"),  # the rest does not come
        (HEAD, 408, ""),  # the headers do not end
        (HEAD + b"Content-Length: 4097\r\n\r\n", 413, "REQUEST_LIMIT_EXCEEDED"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1001\r\n" + b" " * 4097 + b"\r\n", 413, "REQUEST_LIMIT_EXCEEDED"),
        (HEAD + b"Content-Length: 4096\r\n\r\n" + b" " * 4096, 503, "TEMPORARILY_UNAVAILABLE"),
        (PING + fields(99) + b"\r\n", 503, "TEMPORARILY_UNAVAILABLE"),
        (PING + fields(100) + b"\r\n", 431, "REQUEST_LIMIT_EXCEEDED"),
        (PING + fields(900) + b"\r\n", 431, "REQUEST_LIMIT_EXCEEDED"),
        (PING + b"X: " + b"x" * 32_000 + b"\r\n\r\n", 503, "TEMPORARILY_UNAVAILABLE"),
        (PING + b"X: " + b"x" * 32_800 + b"\r\n\r\n", 431, "REQUEST_LIMIT_EXCEEDED"),
        (
            HEAD + b"Content-Length: 4096\r\nX: " + b"x" * 30_000 + b"\r\n\r\n" + b" " * 4096,
            503,
            "TEMPORARILY_UNAVAILABLE",
        ),
        (b"GET /" + b"x" * 8_191 + b" HTTP/1.1\r\nHost: m\r\n\r\n", 503, "TEMPORARILY_UNAVAILABLE"),
        (b"GET /" + b"x" * 8_192 + b" HTTP/1.1\r\nHost: m\r\n\r\n", 414, "REQUEST_LIMIT_EXCEEDED"),
    ],
    ids=[
        "whole",
        "cut short",
        "headers cut short",
        "said to be too large",
        "too large",
        "as large as may be",
        "as many headers as may be",
        "too many headers",
        "far too many",
        "as large as headers may be",
        "too large headers",
        "large headers and a body",
        "as long as an address may be",
        "too long an address",
    ],
)
def test_it_is_json(tmp_path: Path, sent: bytes, status: int, code: str) -> None:
    head, _, body = answered(tmp_path, sent).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    if code:
        assert b"content-type: application/json" in head.lower() and json.loads(body)["error_code"] == code


def test_a_connection_on_which_nothing_came_is_closed_without_a_word(tmp_path: Path) -> None:
    """A client that opens one in advance would take a 408 for the answer to what it asks later."""
    with proxy(tmp_path) as port, socket.create_connection(("127.0.0.1", port), timeout=scaled(10)) as client:
        assert client.recv(65_536) == b""


def answered(directory: Path, sent: bytes) -> bytes:
    with proxy(directory) as port:
        return ask(port, sent)


@contextmanager
def proxy(directory: Path) -> Iterator[int]:
    port = free_port()
    text = render(ProxyLayout("127.0.0.1", port, (), BOUNDS), directory / "s.sock")
    (directory / "haproxy.cfg").write_text(text)
    process = subprocess.Popen([binary(), "-db", "-f", str(directory / "haproxy.cfg")])
    try:
        wait_until(lambda: ask(port, b"GET /ping HTTP/1.0\r\n\r\n"), 20)
        yield port
    finally:
        process.kill()
        process.wait()


def ask(port: int, sent: bytes) -> bytes:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=scaled(10)) as client:
            client.sendall(sent)
            return client.recv(65_536)
    except ConnectionError:
        return b""
