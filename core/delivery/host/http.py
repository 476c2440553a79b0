"""One small HTTP request to a replica or through the proxy, with a time-out and no library to import."""

from __future__ import annotations

import http.client


def request(
    port: int, method: str, path: str, *, host: str = "127.0.0.1", body: bytes | None = None, timeout: float = 2.0
) -> tuple[int, bytes]:
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
