"""As much of an engine as a test of its bad moments needs: a Unix socket that answers HTTP as it is told, and breaks
off, or is silent, when it is told to."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from types import TracebackType
from typing import Any, Self

from podium.core.containers import Engine, open_engine
from podium.core.containers.engine.address import Address

Answer = Callable[["Request"], None]


@dataclass(frozen=True, slots=True)
class Seen:
    """What was asked. `body` is empty for one that came in pieces."""

    request: str
    query: str
    headers: Mapping[str, str]
    body: bytes


class Request(BaseHTTPRequestHandler):
    """One request. An answer that ends without `end` breaks off: the connection is closed in the middle."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def handle_one(self) -> None:
        path = self.path.partition("?")[0]
        path = "/" + path.split("/", 2)[2] if path.startswith("/v1.") else path
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.wire.seen.append(
            Seen(f"{self.command} {path}", self.path.partition("?")[2], dict(self.headers), body)
        )
        self.server.wire.answer(f"{self.command} {path}")(self)

    do_GET = do_POST = do_PUT = do_DELETE = handle_one

    def log_message(self, format: str, *args: object) -> None:
        pass

    def begin(self, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def put(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def end(self) -> None:
        self.wfile.write(b"0\r\n\r\n")


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True
    block_on_close = False
    wire: Wire

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever was told that something is wrong hangs up on us."""


class Wire:
    """`answers` has, for `GET /images/json` and the like, what is done with such a request: the next of several, and
    the last again and again."""

    def __init__(self, path: Path) -> None:
        self.address = Address("unix", path=str(path))
        self.answers: dict[str, deque[Answer]] = {}
        self.seen: list[Seen] = []
        self.tell("GET /version", document({"ApiVersion": "1.44"}))
        self._server = _Server(str(path), Request)
        self._server.wire = self
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def tell(self, request: str, *answers: Answer) -> None:
        self.answers[request] = deque(answers)

    def answer(self, request: str) -> Answer:
        known = self.answers.get(request) or deque([document({"message": f"no answer to {request}"}, 404)])
        return known.popleft() if len(known) > 1 else known[0]

    def engine(self, *, timeout: int = 10) -> Engine:
        return open_engine(self.address, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def document(value: Any, status: int = 200) -> Answer:
    def answer(request: Request) -> None:
        data = json.dumps(value).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    return answer


def messages(*found: object, then: Callable[[Request], None] = Request.end) -> Answer:
    """An answer that goes on, message by message, and then ends, or does something else."""

    def answer(request: Request) -> None:
        request.begin()
        for message in found:
            request.put(json.dumps(message).encode() + b"\r\n")
        then(request)

    return answer


def breaks(request: Request) -> None:
    """In the middle of a chunk."""
    request.wfile.write(b"ff\r\n{")
    request.close_connection = True


def half(request: Request) -> None:
    """In order, but in the middle of a message."""
    request.put(b'{"status": "Down')
    request.end()


def archive(pieces: Iterable[bytes]) -> Answer:
    def answer(request: Request) -> None:
        request.begin()
        for piece in pieces:
            request.put(piece)
        request.end()

    return answer
