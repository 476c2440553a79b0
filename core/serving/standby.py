"""Answers health checks while a prediction that was expected to be short keeps the event loop.

A thread takes the connections that come meanwhile from the same listening socket. It answers /ping and /health itself.
All others wait a moment for the event loop, which takes them over when it is free again; if it is not, they are
answered with 503, and a proxy sends their requests on to another replica. Connections that were there before and have
no request under way are closed, so that a proxy does the same with what came over them.
"""

from __future__ import annotations

import contextlib
import http
import math
import os
import re
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .predicting import LONGER, MOMENT, SENT, under_way
from .scoring import ScoringAnswer, problem

if TYPE_CHECKING:
    from .app import App

BLOCKED_SECONDS = 0.3  # a prediction may keep the event loop for so long
_LOOK_INTERVAL = 0.1
_HOLD_SECONDS = 1.0  # where no other replica can take it, or part of the request is still under way
_POLL_SECONDS = 0.05
_LEAST_POLL_SECONDS = 0.001
_MAX_HELD = 256
_MAX_READ = 1 << 20
_HEALTH = (b"GET /ping ", b"GET /health ")
_HEAD_BYTES = max(map(len, _HEALTH))
_PEEKED_BYTES = 64 * 1024  # no larger request is sent on
_BUSY = problem(503, "TEMPORARILY_UNAVAILABLE", "A prediction takes longer than it was expected to.")


@dataclass
class _Held:
    """A connection that the thread has taken at `since`, and when its request is answered at last. `queued` tells
    whether it had to wait for the thread to notice."""

    connection: socket.socket
    since: float
    due: float
    queued: bool


def whole(request: bytes) -> bool:
    """Tells whether this is all of a request."""
    head, end, body = request.partition(b"\r\n\r\n")
    if not end or _field(head, b"transfer-encoding"):
        return bool(end) and body.endswith(b"0\r\n\r\n")
    length = _field(head, b"content-length")
    return not length or (length.isdigit() and len(body) >= int(length))


def _field(head: bytes, name: bytes) -> bytes:
    found = re.search(rb"\r\n" + name + rb":[ \t]*([\x20-\x7e]*)", head, re.IGNORECASE)
    return found[1].strip() if found else b""


class Standby(threading.Thread):
    """The thread. `adopt` gives connections to the event loop, as if that had accepted them; `idle` returns the
    descriptors of those that it has without a request."""

    def __init__(
        self,
        app: App,
        listening: socket.socket,
        adopt: Callable[[list[socket.socket]], None],
        idle: Callable[[], Iterable[int]],
    ) -> None:
        super().__init__(name="standby", daemon=True)
        self._app = app
        self._listening = listening
        self._adopt = adopt
        self._idle = idle
        self._held: dict[int, _Held] = {}
        self._unread: set[int] = set()  # those of `_held` of which it is not known yet what they ask
        self._closed: set[int] = set()  # the idle ones, which the event loop still has

    def run(self) -> None:
        while self._listening.fileno() >= 0:
            time.sleep(_LOOK_INTERVAL)
            if self._app.predictor.blocked() > BLOCKED_SECONDS:
                with contextlib.suppress(OSError, ValueError):  # the listening socket was closed
                    self._stand_by()
                self._hand_over()

    def _stand_by(self) -> None:
        looked = 0.0
        self._accept(queued=True)
        while self._app.predictor.blocked():
            poll, door = select.poll(), self._listening.fileno()
            for number in (door, *self._unread):
                poll.register(number, select.POLLIN)
            for number, _ in poll.poll(self._patience() * 1000):
                if number == door:
                    self._accept()
                else:
                    self._look(number)
            self._send_on()
            if time.monotonic() - looked >= _POLL_SECONDS:
                looked = time.monotonic()
                self._close_idle()

    def _patience(self) -> float:
        left = min((held.due for held in self._held.values()), default=math.inf) - time.monotonic()
        return min(_POLL_SECONDS, max(_LEAST_POLL_SECONDS, left))

    def _accept(self, queued: bool = False) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                connection, _ = self._listening.accept()
                connection.setblocking(False)
                # Readable only when it can be known whether it is a health check.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, _HEAD_BYTES)
                now = time.monotonic()
                self._held[connection.fileno()] = _Held(connection, now, now + _HOLD_SECONDS, queued)
                self._unread.add(connection.fileno())

    def _look(self, number: int) -> None:
        """Answers a health check. Anything else stays unread, for whoever will answer it."""
        held = self._held[number]
        try:
            head = held.connection.recv(_PEEKED_BYTES, socket.MSG_PEEK)
        except OSError:
            head = b""
        self._unread.discard(number)  # it stays readable
        if not head or head.startswith(_HEALTH):
            self._answer(number, self._app.health())
        elif whole(head):
            held.due = held.since + self._hold(under_way(_field(head, SENT), self._app.options.timeout), held.queued)

    def _hold(self, told: tuple[float, float | None], queued: bool) -> float:
        """Returns for how many seconds a request may wait for the event loop, by what the proxy says of it."""
        age, patience = told
        if patience is None:  # no other can take it, and nobody gets an answer after the time-out
            return min(max(_HOLD_SECONDS, LONGER * age), self._app.options.timeout - age)
        return MOMENT if queued else patience

    def _send_on(self) -> None:
        """Answers those that have waited for long enough, or are too many."""
        now = time.monotonic()
        old = [number for number, held in self._held.items() if held.due <= now]
        for number in old or list(self._held)[: max(0, len(self._held) - _MAX_HELD)]:
            self._answer(number, _BUSY)

    def _close_idle(self) -> None:
        """Closes what waits for a request, also if that has come by now and is all there: nobody has begun it."""
        with contextlib.suppress(RuntimeError):  # the event loop goes on just now, and has others
            for number in set(self._idle()) - self._closed:
                self._closed.add(number)
                with contextlib.suppress(OSError), socket.socket(fileno=os.dup(number)) as connection:
                    with contextlib.suppress(BlockingIOError):
                        if not whole(connection.recv(_PEEKED_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)):
                            continue  # the proxy could not send it again
                        _read_all(connection)
                    connection.shutdown(socket.SHUT_RDWR)

    def _answer(self, number: int, answer: ScoringAnswer) -> None:
        connection = self._held.pop(number).connection
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
        held, self._held = [each.connection for each in self._held.values()], {}
        self._unread.clear()
        self._closed.clear()
        for connection in held:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        if held:
            self._adopt(held)


def _read_all(connection: socket.socket) -> None:
    left = _MAX_READ
    with contextlib.suppress(OSError):
        while left > 0 and (piece := connection.recv(65_536)):
            left -= len(piece)
