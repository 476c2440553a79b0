"""Answers health checks while a prediction that was expected to be short keeps the event loop.

A thread takes the connections that come meanwhile from the same listening socket. It answers /ping and /health itself.
All others wait a moment for the event loop, which takes them over when it is free again; if it is not, they are
answered with 503, and a proxy sends their requests on to another replica.
"""

from __future__ import annotations

import contextlib
import http
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from .scoring import ScoringAnswer, problem

if TYPE_CHECKING:
    from .app import App

BLOCKED_SECONDS = 0.3  # a prediction may keep the event loop for so long
_LOOK_INTERVAL = 0.1
_HOLD_SECONDS = 1.0
_POLL_SECONDS = 0.05
_MAX_HELD = 256
_MAX_READ = 1 << 20
_HEALTH = (b"GET /ping ", b"GET /health ")
_HEAD_BYTES = max(map(len, _HEALTH))
_BUSY = problem(503, "TEMPORARILY_UNAVAILABLE", "A prediction takes longer than it was expected to.")


class Standby(threading.Thread):
    """The thread. `adopt` gives connections to the event loop, as if that had accepted them."""

    def __init__(self, app: App, listening: socket.socket, adopt: Callable[[list[socket.socket]], None]) -> None:
        super().__init__(name="standby", daemon=True)
        self._app = app
        self._listening = listening
        self._adopt = adopt
        self._held: dict[int, tuple[socket.socket, float]] = {}
        self._unread: set[int] = set()  # those of `_held` of which it is not known yet what they ask

    def run(self) -> None:
        while self._listening.fileno() >= 0:
            time.sleep(_LOOK_INTERVAL)
            if self._app.predictor.blocked() > BLOCKED_SECONDS:
                with contextlib.suppress(OSError, ValueError):  # the listening socket was closed
                    self._stand_by()
                self._hand_over()

    def _stand_by(self) -> None:
        while self._app.predictor.blocked():
            poll = select.poll()
            for number in (self._listening.fileno(), *self._unread):
                poll.register(number, select.POLLIN)
            for number, _ in poll.poll(_POLL_SECONDS * 1000):
                if number == self._listening.fileno():
                    self._accept()
                else:
                    self._look(number)
            self._send_on()

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                connection, _ = self._listening.accept()
                connection.setblocking(False)
                # Readable only when it can be known whether it is a health check.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, _HEAD_BYTES)
                self._held[connection.fileno()] = (connection, time.monotonic())
                self._unread.add(connection.fileno())

    def _look(self, number: int) -> None:
        """Answers a health check. Anything else stays unread, for whoever will answer it."""
        connection = self._held[number][0]
        try:
            head = connection.recv(_HEAD_BYTES, socket.MSG_PEEK)
        except OSError:
            head = b""
        self._unread.discard(number)  # it stays readable
        if not head or head.startswith(_HEALTH):
            self._answer(number, self._app.health())

    def _send_on(self) -> None:
        """Answers those that have waited for long enough, or are too many."""
        due = time.monotonic() - _HOLD_SECONDS
        old = [number for number, (_, since) in self._held.items() if since < due]
        for number in old or list(self._held)[: max(0, len(self._held) - _MAX_HELD)]:
            self._answer(number, _BUSY)

    def _answer(self, number: int, answer: ScoringAnswer) -> None:
        connection, _ = self._held.pop(number)
        self._unread.discard(number)
        words = http.HTTPStatus(answer.status).phrase
        head = (
            f"HTTP/1.1 {answer.status} {words}\r\ncontent-length: {len(answer.body)}\r\ncontent-type:"
            f" {answer.media_type.decode()}\r\nconnection: close\r\n\r\n"
        )
        with contextlib.suppress(OSError), connection:
            _read_all(connection)  # else the kernel would reset the connection, and the answer with it
            connection.send(head.encode() + answer.body)

    def _hand_over(self) -> None:
        held, self._held = [connection for connection, _ in self._held.values()], {}
        self._unread.clear()
        for connection in held:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        if held:
            self._adopt(held)


def _read_all(connection: socket.socket) -> None:
    left = _MAX_READ
    with contextlib.suppress(OSError):
        while left > 0 and (piece := connection.recv(65_536)):
            left -= len(piece)
