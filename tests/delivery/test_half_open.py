"""Connections on which nothing, or half a request, comes: they end soon, and others are answered meanwhile."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from podium.core.delivery.proxy.front import Front
from podium.core.delivery.proxy.haproxy import ProxyLayout, binary, render
from podium.core.domain.project import RequestBounds

from tests.runner.scale import scaled
from tests.support import free_port, wait_until

HALF = b"POST /invocations HTTP/1.1\r\nHost: mo"
HELD = 600
CEILING = 200


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[Callable[[Front, float], int]]:
    with ExitStack() as ends:

        def start(front: Front, headers: float) -> int:
            port = free_port()
            layout = ProxyLayout("127.0.0.1", port, (), RequestBounds(headers=headers), front)
            (tmp_path / "haproxy.cfg").write_text(render(layout, tmp_path / "s.sock"))
            process = subprocess.Popen([binary(), "-db", "-f", str(tmp_path / "haproxy.cfg")], cwd=tmp_path)
            ends.callback(process.wait)
            ends.callback(process.kill)
            wait_until(lambda: ask(port, "127.0.0.1"), 20)
            return port

        yield start


def ask(port: int, source: str) -> bytes:
    try:
        with socket.create_connection(("127.0.0.1", port), scaled(10), source_address=(source, 0)) as client:
            client.sendall(b"GET /ping HTTP/1.1\r\nHost: m\r\n\r\n")
            return client.recv(65_536)
    except ConnectionError:
        return b""


@contextmanager
def half_open(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Half of them say nothing, half begin a request."""
    with ExitStack() as ends:
        held = [ends.enter_context(socket.socket()) for _ in range(count)]
        for number, each in enumerate(held):
            each.settimeout(scaled(10))
            with suppress(ConnectionError):  # one that is not accepted
                each.connect(("127.0.0.1", port))
                if number % 2:
                    each.sendall(HALF)
        yield held


def ended(client: socket.socket) -> bool:
    """Whether the proxy has closed it, after it said that the request is late or without a word."""
    client.setblocking(False)
    try:
        answer = client.recv(65_536)
        return not answer or answer.startswith(b"HTTP/1.1 408 ")
    except BlockingIOError:
        return False
    except OSError:  # reset, or never accepted
        return True


def test_others_are_answered_while_many_are_half_open_and_those_end(proxied: Callable[[Front, float], int]) -> None:
    port = proxied(Front(), scaled(2.0))
    with half_open(port, HELD) as held:
        assert ask(port, "127.0.0.1").startswith(b"HTTP/1.1 503 "), "an answer, though no replica is there"
        assert sum(map(ended, held)) < HELD, "while some are still held"
        left = list(held)

        def over() -> bool:
            left[:] = [each for each in left if not ended(each)]
            return not left

        wait_until(over, 30)


def test_an_address_has_no_more_than_its_share_of_them(proxied: Callable[[Front, float], int]) -> None:
    port = proxied(Front(ceiling=CEILING), scaled(30.0))
    with half_open(port, HELD) as held:
        refused: set[int] = set()

        def settled() -> bool:
            refused.update(number for number, each in enumerate(held) if number not in refused and ended(each))
            return len(refused) == HELD - CEILING

        wait_until(settled, 20)
        assert ask(port, "127.0.0.1") == b"", "it has its share already"
        assert ask(port, "127.0.0.2").startswith(b"HTTP/1.1 503 "), "others are answered as if nothing was"
