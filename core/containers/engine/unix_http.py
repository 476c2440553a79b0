"""One request to an engine on this machine without the docker package, for processes that must stay small. Anything
more goes through `Engine`."""

from __future__ import annotations

import json
import socket
from typing import Any
from urllib.parse import quote

from .address import Address

_TIMEOUT = 2.0
_MAX_ANSWER_BYTES = 4 << 20


def image_id(address: Address, reference: str) -> str | None:
    """Returns the id of an image on an engine at a Unix socket: empty if the engine has no image of that name, None
    if the engine does not answer in time."""
    answer = _get(address.path, f"/images/{quote(reference, safe='/:@')}/json")
    if answer is None:
        return None
    status, body = answer
    return str(body.get("Id") or "") if status == 200 else "" if status == 404 else None


def _get(path: str, target: str) -> tuple[int, dict[str, Any]] | None:
    # HTTP/1.0: the answer comes in one piece and ends with the connection.
    data = bytearray()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(_TIMEOUT)
            line.connect(path)
            line.sendall(f"GET {target} HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
            while piece := line.recv(65536):
                data += piece
                if len(data) > _MAX_ANSWER_BYTES:
                    return None
        head, _, body = bytes(data).partition(b"\r\n\r\n")
        return int(head.split(None, 2)[1]), json.loads(body or b"{}")
    except (OSError, ValueError, IndexError):
        return None
