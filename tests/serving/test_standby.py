"""The thread that takes connections while a prediction keeps the event loop."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any, cast

import pytest
from podium.core.serving.scoring import ScoringAnswer
from podium.core.serving.standby import Standby

from tests.runner.scale import scaled

ROUNDS = 5
PING = b"GET /ping HTTP/1.1\r\n\r\n"
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
        app = SimpleNamespace(predictor=SimpleNamespace(blocked=blocked), health=lambda: ScoringAnswer(200, b"\n"))
        asked = [PING, POST] * 40
        clients = [socket.create_connection(listening.getsockname(), timeout=scaled(20)) for _ in asked]
        try:
            for client, request in zip(clients, asked, strict=True):
                client.sendall(request)
            standby = Standby(cast("Any", app), listening, adopt)
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
            standby = Standby(cast("Any", app), listening, adopt)
            standby.start()
            standby.join()
            with adopted[0] as connection:
                connection.settimeout(scaled(20))
                assert connection.recv(100) == b"POST ", "readable for the event loop, however little it is"
