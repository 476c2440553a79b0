"""Streaming answers of the engine: events, logs and statistics. Each is read from its own connection, which any
thread may close at any time. The docker package's streams return only when the engine ends them (a thread that waits
in one cannot be stopped), and cost several times as much per piece. With HTTP/1.0 the engine sends the bytes without
chunks and ends them by closing the connection."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from typing import Any
from urllib.parse import urlencode

from docker import errors as docker_errors
from requests import Response

from ...closing import Closing
from ...errors import UNREADABLE
from .client import Engine
from .errors import refusal
from .http_head import MAX_HEAD_BYTES, http_head

CHUNK_BYTES = 256 << 10


class Stream(Closing):
    """A GET of `path` with a streaming answer. Raises PodiumError, beginning with `what`, if the engine refuses or
    does not answer."""

    def __init__(self, engine: Engine, path: str, query: dict[str, Any], *, what: str) -> None:
        target = f"/v{engine.api.api_version}{path}" + (f"?{urlencode(query)}" if query else "")
        self._closed = threading.Event()
        with engine.doing(what):
            self.socket = engine.dial()
            try:
                self.socket.sendall(f"GET {target} HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
                status, self._early = http_head(self.socket)
                if status != 200:
                    text = self._refusal()
                    raise refusal(docker_errors.APIError(text, explanation=text, response=_response(status)), what)
                self.socket.settimeout(None)
            except BaseException:
                self.socket.close()
                raise

    def _refusal(self) -> str:
        data = self._early
        with contextlib.suppress(OSError):
            while len(data) < MAX_HEAD_BYTES and (piece := self.socket.recv(4096)):
                data += piece
        try:
            return str(json.loads(data)["message"])
        except UNREADABLE:
            return data.decode("utf-8", "replace")[:300]

    def read(self, timeout: float | None = None) -> bytes | None:
        """Returns the bytes that have arrived, at most CHUNK_BYTES; empty if the stream ended, broke or was closed;
        None if nothing arrived within `timeout` seconds."""
        if self._early:
            early, self._early = self._early, b""
            return early
        try:
            self.socket.settimeout(timeout)
            return self.socket.recv(CHUNK_BYTES)
        except (TimeoutError, BlockingIOError, ssl.SSLWantReadError):
            return None
        except (OSError, ValueError):
            return b""

    @property
    def closed(self) -> bool:
        """Tells whether this process closed the stream."""
        return self._closed.is_set()

    def close(self) -> None:
        """Closes the stream from any thread; a thread that waits in `read` returns immediately."""
        self._closed.set()
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def _response(status: int) -> Response:
    """Returns the part of a response that the docker package's errors need."""
    made = Response()
    made.status_code = status
    return made
