"""Scraping real servers on real ports: those that answer, those that are slow, hang, or say too much."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from podium.core.delivery.proxy.transport import DirectTransport
from podium.core.domain.delivery import Replica, ReplicaState
from podium.core.errors import Unreachable
from podium.core.telemetry import scrape as room
from podium.core.telemetry.scrape import scrape

from tests.support import http_server


@contextmanager
def ending(stop: threading.Event) -> Iterator[None]:
    """Lets handlers end that wait for `stop`."""
    try:
        yield
    finally:
        stop.set()


def exposition(count: float) -> bytes:
    return "".join(f'podium_request_seconds_bucket{{le="{bound}"}} {count}\n' for bound in ("0.1", "+Inf")).encode()


class Served(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, body: Callable[[], bytes], status: int = 200) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body, self.status = body, status
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    server: Served

    def do_GET(self) -> None:
        body = self.server.body()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(OSError):  # who asked may not want to hear all of it
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


Serve = Callable[..., Replica]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[Served] = []

    def one(body: Callable[[], bytes], status: int = 200) -> Replica:
        servers.append(Served(body, status))
        return replica(f"v1-{len(servers)}", servers[-1].server_port)

    yield one
    for server in servers:
        server.shutdown()
        server.server_close()


def replica(slot: str, port: int) -> Replica:
    return Replica(f"prod-{slot}", "prod", 1, slot, port, ReplicaState.READY)


def test_those_that_answer_are_found_by_their_slot(serve: Serve) -> None:
    found = scrape([serve(lambda: exposition(3)), serve(lambda: exposition(5))], DirectTransport())
    assert found == {"v1-1": {0.1: 3, math.inf: 3}, "v1-2": {0.1: 5, math.inf: 5}}


def test_nothing_to_scrape_is_nothing_found() -> None:
    assert scrape([], DirectTransport()) == {}


def test_one_that_hangs_keeps_nothing_from_the_others(serve: Serve) -> None:
    go_on = threading.Event()

    def hang() -> bytes:
        go_on.wait(30.0)
        return exposition(1)

    hanging = [serve(hang) for _ in range(3)]
    try:
        found = scrape([*hanging, serve(lambda: exposition(7)), replica("v1-9", 1)], DirectTransport(), timeout=0.3)
        assert found == {"v1-4": {0.1: 7, math.inf: 7}}
    finally:
        go_on.set()


def test_more_replicas_than_threads_are_all_scraped(serve: Serve) -> None:
    one = serve(lambda: exposition(2))
    rows = [replica(f"v1-{number}", one.port) for number in range(3 * room.MAX_PARALLEL)]
    assert scrape(rows, DirectTransport(), timeout=20.0, deadline=30.0).keys() == {row.slot for row in rows}


def test_a_transport_that_keeps_to_no_time_out_is_left_behind() -> None:
    go_on, asked = threading.Event(), threading.Event()

    class Stuck:
        def http(self, address: str, port: int, method: str, path: str, *, timeout: float) -> tuple[int, bytes]:
            asked.set()
            go_on.wait(30.0)
            return 200, exposition(1)

    assert scrape([replica("v1-1", 1)], Stuck(), deadline=0.2) == {}
    assert asked.is_set() and not go_on.is_set(), "it is still at it, and nobody waits for it"
    go_on.set()


@pytest.mark.parametrize("error", [OSError("reset"), Unreachable("the engine does not answer")])
def test_one_that_cannot_be_asked_is_left_out(error: Exception) -> None:
    class Cut:
        def http(self, address: str, port: int, method: str, path: str, *, timeout: float) -> tuple[int, bytes]:
            if port == 1:
                raise error
            return 200, exposition(4)

    assert scrape([replica("v1-1", 1), replica("v1-2", 2)], Cut()) == {"v1-2": {0.1: 4, math.inf: 4}}


def test_an_answer_that_is_an_error_is_none(serve: Serve) -> None:
    assert scrape([serve(lambda: exposition(3), 503)], DirectTransport()) == {}


def test_of_a_huge_body_only_whole_lines_count(serve: Serve) -> None:
    """A count that is cut in two is another count."""
    head, line = exposition(6).replace(b'le="0.1"', b'le="0.5"'), b'podium_request_seconds_bucket{le="0.1"} 1000000\n'
    comment = b"#" * (room.MAX_BYTES - len(head) - len(line) + 4 - 1) + b"\n"
    huge = head + comment + line + b"# more\n" * 1000
    assert huge[: room.MAX_BYTES].endswith(b"} 1000")
    assert scrape([serve(lambda: huge)], DirectTransport())["v1-1"] == {0.5: 6, math.inf: 6}


def test_a_body_without_end_is_given_up(serve: Serve) -> None:
    """It is a replica's fault, and must not fill our memory."""
    found = scrape([serve(lambda: b"x" * (9 << 20))], DirectTransport(), timeout=20.0, deadline=20.0)
    assert found == {}


@pytest.mark.parametrize("promised", [10, 1000])
def test_an_answer_that_keeps_the_line_open_is_whole_when_it_has_its_length(promised: int) -> None:
    stop = threading.Event()

    class Open(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n0123456789" % promised)
            if promised == 10:
                stop.wait(30.0)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http_server(Open) as server, ending(stop):
        if promised == 10:
            assert DirectTransport().http("127.0.0.1", server.server_port, "GET", "/", timeout=20.0) == (
                200,
                b"0123456789",
            )
        else:
            with pytest.raises(OSError, match="IncompleteRead"):
                DirectTransport().http("127.0.0.1", server.server_port, "GET", "/", timeout=20.0)


def test_a_body_that_drips_is_given_up() -> None:
    stop = threading.Event()

    class Drip(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            while not stop.is_set():
                try:
                    self.wfile.write(b"#\n")
                except OSError:
                    return
                time.sleep(0.05)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http_server(Drip) as server, ending(stop):
        with pytest.raises(OSError, match="not complete within"):
            DirectTransport().http("127.0.0.1", server.server_port, "GET", "/metrics", timeout=0.3)
