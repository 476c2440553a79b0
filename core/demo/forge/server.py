"""Speaks HTTP: reads requests, lets somebody answer them, and writes what they say, with the faults of the script.

It listens on this machine only. Each connection has a thread, which ends with it.
"""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import IO

from .exchange import Answer, Request
from .faults import Fault

_ADDRESS = "127.0.0.1"
_MAX_BODY = 512 << 20  # bytes of a push
_MAX_LINE = 1 << 16
_IN_MEMORY = 1 << 20
_PIECE = 1 << 16
_IDLE_SECONDS = 60.0


class Outcome:
    """What is sent: an answer, and what goes wrong with it. Without an answer the connection ends."""

    def __init__(self, answer: Answer | None, fault: Fault | None = None) -> None:
        self.answer, self.fault = answer, fault


Respond = Callable[[Request, IO[bytes]], Outcome]


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, respond: Respond, port: int = 0) -> None:
        super().__init__((_ADDRESS, port), _Handler)
        self.respond = respond
        self.ending = threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://{_ADDRESS}:{self.server_address[1]}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends all connections, and listens no more."""
        self.ending.set()
        self.shutdown()
        self.server_close()
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(5.0)

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        if isinstance(request, socket.socket):
            with self._lock:
                self._open.add(request)
        super().process_request(request, client_address)  # pyright: ignore[reportArgumentType]

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        if isinstance(request, socket.socket):
            with self._lock:
                self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing of connections that clients have ended."""
        import sys

        if not isinstance(sys.exception() if hasattr(sys, "exception") else sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # pyright: ignore[reportArgumentType]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "forge"
    sys_version = ""
    disable_nagle_algorithm = True
    timeout = _IDLE_SECONDS
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as body:
            if not self._read_body(body):
                self.close_connection = True
                return
            self._send(self.server.respond(self._request(), body))

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def _request(self) -> Request:
        path, _, query = self.path.partition("?")
        # A header that comes twice is one with both values: two tokens are none.
        headers = {name.lower(): ", ".join(self.headers.get_all(name) or ()) for name in self.headers}
        return Request(self.command, path, query, headers)

    # -- what comes in

    def _read_body(self, into: IO[bytes]) -> bool:
        """Reads the body, whichever way it is sent. False if it is too large or cut off."""
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            pieces = self._chunks()
        else:
            length = self.headers.get("content-length", "0")
            pieces = self._pieces(int(length) if length.isdigit() else 0)
        total = 0
        for piece in pieces:
            total += len(piece)
            if not piece or total > _MAX_BODY:
                return False
            into.write(piece)
        return True

    def _pieces(self, length: int) -> Iterator[bytes]:
        while length > 0:
            piece = self.rfile.read(min(length, _PIECE))
            length -= len(piece)
            yield piece
            if not piece:
                return

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(_MAX_LINE).split(b";")[0].strip() or b"0", 16):
            yield from self._pieces(size)
            self.rfile.readline(_MAX_LINE)
        while self.rfile.readline(_MAX_LINE).strip():
            pass

    # -- what goes out

    def _send(self, outcome: Outcome) -> None:
        fault = outcome.fault
        if fault and fault.slow:
            self.server.ending.wait(fault.slow)
        if outcome.answer is None:
            self._end()
        elif outcome.answer.files is not None:
            self._send_file(outcome.answer, bool(fault and fault.cut))
        else:
            self._send_whole(outcome.answer, fault)

    def _send_whole(self, answer: Answer, fault: Fault | None) -> None:
        content = answer.payload()
        head = self._head(answer, fault, {"Content-Length": str(len(content))})
        sent = b"" if self.command == "HEAD" or answer.status in (204, 304) else content
        if fault and fault.cut:
            self.wfile.write(head + sent[: len(sent) // 2])
            self._end()
            return
        self.wfile.write(head + sent)

    def _send_file(self, answer: Answer, cut: bool) -> None:
        """Sends what git answers as it comes, in chunks."""
        try:
            self.wfile.write(self._head(answer, None, {"Transfer-Encoding": "chunked"}))
            while piece := answer.files.read(_PIECE):
                if cut:
                    self.wfile.write(b"%x\r\n" % len(piece) + piece[: len(piece) // 2])
                    break
                self.wfile.write(b"%x\r\n" % len(piece) + piece + b"\r\n")
            if not cut:
                self.wfile.write(b"0\r\n\r\n")
        finally:
            answer.files.close()
        if cut:
            self._end()

    def _head(self, answer: Answer, fault: Fault | None, own: dict[str, str]) -> bytes:
        status = answer.status
        words = self.responses.get(status, ("",))[0] if status in self.responses else ""
        headers = {"Server": "forge", "Date": self._date(fault), "Content-Type": answer.kind, **own, **answer.headers}
        if status in (204, 304):
            headers.pop("Content-Type", None)
            headers.pop("Content-Length", None)
        if fault:
            headers.update(fault.headers)
        lines = [f"HTTP/1.1 {status} {words}", *(f"{name}: {value}" for name, value in headers.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")

    def _date(self, fault: Fault | None) -> str:
        import time

        return formatdate(time.time() + (fault.skew if fault else 0.0), usegmt=True)

    def _end(self) -> None:
        """Ends the connection at once, as one that breaks does."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
