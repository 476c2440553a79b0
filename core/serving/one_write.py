"""What a replica's connections do otherwise than uvicorn's: the head and the body of an answer go with one write,
nothing is left of a connection that was reset, what is no request is answered in JSON as all else, and it can be told
whether a request is under way.

uvicorn writes them one after the other. A replica that is killed in between has sent the head only: the proxy has
passed it on and can ask no other replica any more. It also saves a system call for each request.
"""

from __future__ import annotations

import asyncio
from typing import Any

_HEAD = b"HTTP/1.1 "
_NO_REQUEST = b'{"error_code": "BAD_REQUEST", "message": "This is not a request in HTTP."}'


class OneWrite:
    """A transport that keeps the head of an answer until its body comes, or until the event loop's next turn."""

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(_HEAD):
            self._head = data
            self._loop.call_soon(self._flush)
            return
        self._transport.write(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._head:
            data, self._head = self._head, b""
            self._transport.write(data)


def protocol(name: str) -> type[asyncio.Protocol]:
    """Returns uvicorn's protocol of that name (`httptools` or `h11`) with these changes."""
    if name == "httptools":
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as Base
    else:
        from uvicorn.protocols.http.h11_impl import H11Protocol as Base
    base: Any = Base

    class Protocol(base):
        @property
        def idle(self) -> bool:
            """Whether no request is under way."""
            return self.cycle is None or self.cycle.response_complete

        @property
        def descriptor(self) -> int:
            """Its socket's."""
            return self.transport.get_extra_info("socket").fileno()

        def connection_made(self, transport: Any) -> None:
            base.connection_made(self, OneWrite(transport, self.loop))

        def connection_lost(self, exc: Exception | None) -> None:
            # Where the other side reset the connection, uvicorn keeps its keep-alive timer, and with that all of it:
            # with a time-out of an hour, proxies that reset idle connections would fill the memory.
            base.connection_lost(self, exc)
            self._unset_keepalive_if_required()

        def send_400_response(self, msg: str) -> None:
            head = f"{_HEAD.decode()}400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
            self.transport.write(f"{head}content-length: {len(_NO_REQUEST)}\r\n\r\n".encode() + _NO_REQUEST)
            self.transport.close()

    return Protocol
