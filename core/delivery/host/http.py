"""One small HTTP request to a replica or through the proxy, with a time-out and without a library to import."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import http.client

# As much as a relay forwards (core/containers/relay/client.py).
MAX_BODY_BYTES = 8 << 20
LOCAL = "localhost"


def request(
    port: int,
    method: str,
    path: str,
    *,
    host: str = "127.0.0.1",
    unix: str = "",
    body: bytes | None = None,
    timeout: float = 2.0,
) -> tuple[int, bytes]:
    """Returns (status, body); over the Unix socket `unix`, or `host` where that is the path of one. Raises OSError if
    the whole answer does not arrive in `timeout` seconds, is not HTTP, or has no end."""
    import http.client  # late: whoever only asks the proxy's socket does without

    deadline = time.monotonic() + timeout
    unix = unix or socket_in(host)
    connection = http.client.HTTPConnection(LOCAL if socket_in(host) else host, port, timeout=timeout)
    try:
        if unix:
            connection.sock = connected(unix, timeout)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, path, body=body, headers={**headers, "Connection": "close"})
        answer = connection.getresponse()
        return answer.status, _body(answer, deadline, timeout)
    except http.client.HTTPException as error:
        raise OSError(f"not HTTP: {error!r}") from error
    finally:
        connection.close()


def socket_in(address: str) -> str:
    """Returns the path of the Unix socket that a replica's address is; empty if it is an address of a network."""
    return address if address.startswith(("/", "./")) else ""


def connected(path: str, timeout: float) -> socket.socket:
    """Returns a connection to a Unix socket. Raises OSError if nobody listens there."""
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    found.settimeout(timeout)
    try:
        found.connect(path)
    except OSError:
        found.close()
        raise
    return found


def _body(answer: http.client.HTTPResponse, deadline: float, timeout: float) -> bytes:
    """Reads the body until the deadline. A socket's time-out applies to each piece, so a server that sends byte by
    byte would never reach it."""
    body, length = bytearray(), answer.length
    while length is None or len(body) < length:
        piece = answer.read1(65_536 if length is None else min(65_536, length - len(body)))
        if not piece:
            break
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise OSError(f"the answer is longer than {MAX_BODY_BYTES >> 20} MiB")
        if time.monotonic() > deadline:
            raise TimeoutError(f"the answer was not complete within {timeout:g} s")
    if length is not None and len(body) < length:
        from http.client import IncompleteRead

        raise IncompleteRead(bytes(body), length - len(body))
    return bytes(body)
