"""Reads the head of an HTTP response directly from a socket."""

from __future__ import annotations

import socket

MAX_HEAD_BYTES = 64 << 10  # bytes


def http_head(line: socket.socket) -> tuple[int, bytes]:
    """Returns the status (0 for a response without one) and the part of the body that arrived with the head."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = line.recv(4096)
        if not piece or len(data) > MAX_HEAD_BYTES:
            raise ConnectionResetError("the engine ended the connection")
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    words = head.split(None, 2)
    return (int(words[1]) if len(words) > 1 and words[1].isdigit() else 0), rest
