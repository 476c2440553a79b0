"""Two-way streams to a container: attach and exec. The engine hands the HTTP connection over, and from then on it
carries raw bytes. This is done by hand because the docker package drops the bytes that arrive together with the
response header: a shell's first prompt, or a step's first line."""

from __future__ import annotations

import json
import socket
from typing import Any
from urllib.parse import urlencode

from docker import errors as docker_errors

from ...errors import UNREADABLE
from .client import Engine
from .errors import refusal
from .http_head import MAX_HEAD_BYTES, http_head


def hijack(
    engine: Engine, path: str, *, what: str, query: dict[str, str] | None = None, body: dict[str, Any] | None = None
) -> tuple[socket.socket, bytes]:
    """Sends a POST to `path` (`/containers/ID/attach`) and returns the connection and the bytes that came with the
    header. Raises PodiumError if the engine refuses."""
    target = f"/v{engine.api.api_version}{path}" + (f"?{urlencode(query)}" if query else "")
    content = json.dumps(body).encode() if body is not None else b""
    head = (
        f"POST {target} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    with engine.doing(what):
        line = engine.dial()
        try:
            line.sendall(head.encode() + content)
            status, rest = http_head(line)
            if status not in (101, 200):
                text = _message(line, rest)
                raise refusal(docker_errors.APIError(text, explanation=text), what)
            line.settimeout(None)
        except BaseException:
            line.close()
            raise
    return line, rest


def _message(line: socket.socket, data: bytes) -> str:
    line.settimeout(2.0)
    try:
        while len(data) < MAX_HEAD_BYTES and b"}" not in data and (piece := line.recv(4096)):
            data += piece
    except OSError:
        pass
    start = data.find(b"{")
    try:
        return str(json.loads(data[start : data.rfind(b"}") + 1])["message"])
    except UNREADABLE:
        return data.decode("utf-8", "replace")[:300]


class FrameSplitter:
    """Splits the engine's frames: standard output and standard error on one connection, each piece with a header of
    eight bytes."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[int, memoryview]]:
        """Returns the pieces in `data` (1 for output, 2 for errors). An incomplete frame is returned as far as it
        has arrived."""
        found: list[tuple[int, memoryview]] = []
        view = memoryview(self._rest + data if self._rest else data)
        at, size = 0, len(view)
        while size - at >= 8:
            length = int.from_bytes(view[at + 4 : at + 8], "big")
            if size - at - 8 < length:
                break
            found.append((view[at], view[at + 8 : at + 8 + length]))
            at += 8 + length
        self._rest = bytes(view[at:])
        return found
