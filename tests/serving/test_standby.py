"""The thread that takes connections while a prediction keeps the event loop."""

from __future__ import annotations

import queue
import select
import socket
import threading
import time
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any, cast

import pytest
from podium.core.serving.scoring import ScoringAnswer
from podium.core.serving.standby import Standby, whole

from tests.runner.scale import scaled

ROUNDS = 5
PING = b"GET /ping HTTP/1.1\r\n\r\n"
OPTIONS = SimpleNamespace(timeout=60.0)
POST = b"POST /invocations HTTP/1.1\r\ncontent-length: 0\r\n\r\n"


def test_many_connections_at_once_cost_few_rounds_and_one_look_each(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=200) as listening:
        listening.setblocking(False)
        rounds = iter([1.0] * (1 + ROUNDS))  # of which the first says that the thread has to stand by

        def blocked() -> float:
            return next(rounds, 0.0)

        def adopt(connections: list[socket.socket]) -> None:
            adopted.extend(connections)
            listening.close()  # which ends the thread

        adopted: list[socket.socket] = []
        looked: list[int] = []
        look = Standby._look

        def counted(standby: Standby, number: int) -> None:
            looked.append(number)
            look(standby, number)

        monkeypatch.setattr(Standby, "_look", counted)
        app = SimpleNamespace(
            predictor=SimpleNamespace(blocked=blocked), health=lambda: ScoringAnswer(200, b"\n"), options=OPTIONS
        )
        asked = [PING, POST] * 40
        clients = [socket.create_connection(listening.getsockname(), timeout=scaled(20)) for _ in asked]
        try:
            for client, request in zip(clients, asked, strict=True):
                client.sendall(request)
            standby = Standby(cast("Any", app), listening, adopt, tuple)
            standby.start()
            answers = [client.recv(100) for client in clients[::2]]
            standby.join()
            assert all(answer.startswith(b"HTTP/1.1 200 ") for answer in answers)
            assert len(adopted) == 40 and len(looked) == 80
            requests = {connection.recv(len(POST)) for connection in adopted}
            assert requests == {POST}, "unread for the event loop"
        finally:
            for each in (*clients, *adopted):
                each.close()


def test_a_request_that_comes_in_pieces_is_waited_for_and_handed_over_as_it_is() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        rounds = iter([1.0] * (1 + ROUNDS))
        adopted: list[socket.socket] = []

        def adopt(connections: list[socket.socket]) -> None:
            adopted.extend(connections)
            listening.close()

        app = SimpleNamespace(predictor=SimpleNamespace(blocked=lambda: next(rounds, 0.0)), health=None)
        with socket.create_connection(listening.getsockname(), timeout=scaled(20)) as client:
            client.sendall(b"POST ")
            standby = Standby(cast("Any", app), listening, adopt, tuple)
            standby.start()
            standby.join()
            with adopted[0] as connection:
                connection.settimeout(scaled(20))
                assert connection.recv(100) == b"POST ", "readable for the event loop, however little it is"


def silent(client: socket.socket) -> bool:
    """Whether nothing has come."""
    poll = select.poll()
    poll.register(client, select.POLLIN)
    return poll.poll(0) == []


def asking(usable: int, age: float = 0.0) -> bytes:
    """A request that the proxy has had for so many seconds, and so many replicas can take."""
    return POST.replace(b"\r\n\r\n", b"\r\nx-podium-sent: %d %d\r\n\r\n" % ((time.time() - age) * 1000, usable))


def test_only_what_another_replica_can_take_is_let_go_and_the_sooner_the_younger_it_is() -> None:
    over, adopted = threading.Event(), queue.SimpleQueue[list[socket.socket]]()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        app = SimpleNamespace(
            predictor=SimpleNamespace(blocked=lambda: 0.0 if over.is_set() else 1.0), health=None, options=OPTIONS
        )
        standby = Standby(cast("Any", app), listening, adopted.put, tuple)
        standby.start()
        with ExitStack() as opened:

            def ask(request: bytes) -> socket.socket:
                client = opened.enter_context(socket.create_connection(listening.getsockname(), timeout=scaled(20)))
                client.sendall(request)
                return client

            assert ask(asking(2)).recv(100).startswith(b"HTTP/1.1 503 ")
            waiting = [
                ask(asking(1, age=20.0)),
                ask(asking(2, age=20.0)),
                ask(b"POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\n"),
            ]
            assert ask(asking(2)).recv(100).startswith(b"HTTP/1.1 503 "), "whoever waited before it"
            over.set()
            for connection in adopted.get(timeout=scaled(20)):
                opened.enter_context(connection)
            assert all(map(silent, waiting)), "none has an answer"
        listening.close()
        standby.join()


@pytest.mark.parametrize(
    ("there", "ends"), [(b"", True), (POST, True), (POST[:-2], False), (POST.replace(b"0", b"1"), False)]
)
def test_a_connection_without_a_request_under_way_is_closed_unless_half_of_one_has_come(
    there: bytes, ends: bool
) -> None:
    over = threading.Event()
    client, ours = socket.socketpair()
    with client, ours, socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        ours.setblocking(False)
        client.settimeout(scaled(20))
        client.sendall(there)
        asked = threading.Semaphore(0)

        def idle() -> list[int]:
            asked.release()
            return [ours.fileno()]

        app = SimpleNamespace(predictor=SimpleNamespace(blocked=lambda: 0.0 if over.is_set() else 1.0), options=OPTIONS)
        standby = Standby(cast("Any", app), listening, lambda _: None, idle)
        standby.start()
        for _ in range(3):
            assert asked.acquire(timeout=scaled(20))
        if ends:
            assert client.recv(1) == b""
            assert ours.recv(100) == b"", "the event loop must not predict it as well"
        else:
            assert silent(client) and ours.recv(100) == there
        over.set()
        listening.close()
        standby.join()


@pytest.mark.parametrize(
    ("request_", "is_whole"),
    [
        (b"GET /ping HTTP/1.1\r\n\r\n", True),
        (b"POST / HTTP/1.1\r\nContent-Length:  3 \r\n\r\nabc", True),
        (b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nabc", False),
        (b"POST / HTTP/1.1\r\nContent-Length: four\r\n\r\nabcd", False),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", False),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", True),
        (b"POST / HTTP/1.1\r\n", False),
        (b"", False),
    ],
)
def test_whether_all_of_a_request_has_come(request_: bytes, is_whole: bool) -> None:
    assert whole(request_) == is_whole
