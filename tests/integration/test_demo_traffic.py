"""The example's client, by which the demonstrations count what is lost: what it counts was lost indeed."""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

from tests.support import wait_until

REPLAY = Path(__file__).parents[2] / "examples" / "flights" / "replay.py"


class Impatient(BaseHTTPRequestHandler):
    """Keeps a connection for one more request, and closes it when none comes in time, as a proxy does."""

    protocol_version = "HTTP/1.1"
    timeout = 0.05
    closed: list[str]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        content = b'{"predictions": [1]}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def finish(self) -> None:
        super().finish()
        self.connection.close()
        self.closed.append(self.path)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def replay() -> ModuleType:
    spec = importlib.util.spec_from_file_location("replay_of_flights", REPLAY)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    Impatient.closed = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Impatient) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_connection_that_was_closed_while_idle_loses_nothing(replay: ModuleType, server: ThreadingHTTPServer) -> None:
    client = replay.Client(f"http://127.0.0.1:{server.server_port}", 10.0)
    for number in (1, 2):
        assert client.send(b"{}") == ""
        wait_until(lambda count=number: len(Impatient.closed) == count, 10.0, what="the server closes it")
    assert client.send(b"{}") == ""
    client.close()


def test_what_is_not_answered_is_told_and_not_sent_again(replay: ModuleType, server: ThreadingHTTPServer) -> None:
    client = replay.Client(f"http://127.0.0.1:{server.server_port}", 10.0)
    server.shutdown()
    server.server_close()
    assert client.send(b"{}") == "ConnectionRefusedError"
