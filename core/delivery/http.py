"""One small HTTP request to a replica or through the proxy, with a time-out and no library to import."""

from __future__ import annotations

import http.client
import json
from typing import Any


def request(port: int, method: str, path: str, *, host: str = "127.0.0.1", body: bytes | None = None, timeout: float = 2.0) -> tuple[int, bytes]:
    """(status, body). OSError when nobody answers in `timeout` seconds, and for an answer that is not HTTP."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, path, body=body, headers={**headers, "Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise OSError(f"not HTTP: {error!r}") from error
    finally:
        connection.close()


def get_json(port: int, path: str, *, host: str = "127.0.0.1", timeout: float = 2.0) -> dict[str, Any]:
    """The JSON object at `path`. OSError when there is none."""
    status, body = request(port, "GET", path, host=host, timeout=timeout)
    if status != 200:
        raise OSError(f"{path} answered {status}")
    try:
        value = json.loads(body)
    except ValueError as error:
        raise OSError(f"{path} did not answer JSON") from error
    if not isinstance(value, dict):
        raise OSError(f"{path} did not answer an object")
    return value  # pyright: ignore[reportUnknownVariableType]
