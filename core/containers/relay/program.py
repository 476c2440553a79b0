"""The program inside the relay: one request per line (JSON) on standard input, one answer per line on standard
output, in the order in which they finish. It is passed to `python -c` as text, so it imports nothing of Podium and
runs on any Python from 3.8. It ends with its input, or after two minutes without a request."""

import base64
import http.client
import json
import os
import socket
import sys
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_lock = threading.Lock()


def answer(number: int, **more: object) -> None:
    with _lock:
        sys.stdout.write(json.dumps({"id": number, **more}) + "\n")
        sys.stdout.flush()


def ask_http(request: "dict[str, Any]") -> "dict[str, Any]":
    """Sends one HTTP request and returns its answer."""
    connection = http.client.HTTPConnection(request["address"], request["port"], timeout=request["timeout"])
    try:
        body = base64.b64decode(request["body"]) if request.get("body") is not None else None
        headers = {"Content-Type": request.get("content_type", "application/json")} if body is not None else {}
        if request.get("unix"):
            connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.sock.settimeout(request["timeout"])
            connection.sock.connect(request["unix"])
        began = time.perf_counter()
        connection.request(request["method"], request["path"], body=body, headers={**headers, "Connection": "close"})
        found = connection.getresponse()
        read = found.read(request["most"])
        return {"status": found.status, "body": base64.b64encode(read).decode(), "seconds": time.perf_counter() - began}
    except http.client.HTTPException as error:
        raise OSError(f"not HTTP: {error!r}") from error
    finally:
        connection.close()


def ask_socket(request: "dict[str, Any]") -> "dict[str, Any]":
    """Sends one command to a Unix socket and returns its answer."""
    data = b""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(request["timeout"])
        connection.connect(request["socket"])
        connection.sendall(request["command"].encode() + b"\n")
        while True:
            piece = connection.recv(65536)
            if not piece:
                return {"body": base64.b64encode(data).decode()}
            data += piece


def write_files(request: "dict[str, Any]") -> "dict[str, Any]":
    """Replaces small files, each at once."""
    for path, text in request["files"].items():
        fresh = f"{path}.{request['id']}"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        os.replace(fresh, path)  # noqa: PTH105 - without the imports of pathlib
    return {"body": ""}


_ANSWERS = {"http": ask_http, "socket": ask_socket, "files": write_files}


def work(request: "dict[str, Any]") -> None:
    try:
        answer(request["id"], **_ANSWERS[request["do"]](request))
    except Exception as error:
        answer(request["id"], error=str(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}")


class Heard:
    """When the last request came."""

    def __init__(self) -> None:
        self.at = time.monotonic()


def watch(heard: Heard) -> None:
    while time.monotonic() - heard.at < 120:
        time.sleep(5)
    os._exit(0)


def main() -> None:
    heard = Heard()
    threading.Thread(target=watch, args=(heard,), daemon=True).start()
    for line in sys.stdin:
        heard.at = time.monotonic()
        threading.Thread(target=work, args=(json.loads(line),), daemon=True).start()
    os._exit(0)


if __name__ == "__main__":
    main()
