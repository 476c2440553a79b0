"""Engines behind Unix sockets: HTTP as Docker's clients speak it, streams of events, statistics and logs, and the
relay's exec. One process and one loop for all of them: what measures them shares the machine."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from .containers import Container
from .engine import Engine

_STREAMED = re.compile(r"/containers/([^/]+)/(logs|stats)")
_STARTED = re.compile(r"/exec/([^/]+)/start")
_REASONS = {200: "OK", 201: "Created", 204: "No Content", 304: "Not Modified", 404: "Not Found", 409: "Conflict"}
_STREAM_HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"
_UPGRADED = (
    b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade:"
    b" tcp\r\n\r\n"
)


class _Streams:
    """Who follows what of one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.events: set[asyncio.Transport] = set()
        self.stats: dict[asyncio.Transport, Container] = {}
        self.logs: dict[asyncio.Transport, Container] = {}
        engine.told = self.tell

    def tell(self, event: dict[str, Any]) -> None:
        line = json.dumps(event).encode() + b"\n"
        for each in list(self.events):
            each.write(line)
        if event["Action"] in ("die", "destroy"):
            for found in (self.stats, self.logs):
                for each in [line for line, container in found.items() if container.id == event["id"]]:
                    del found[each]
                    each.close()

    def measure(self) -> None:
        """Sends what each container that is followed has used, as an engine does once a second."""
        at = time.time()
        for each, container in self.stats.items():
            each.write(container.stats(at))

    def forget(self, line: asyncio.Transport) -> None:
        self.events.discard(line)
        self.stats.pop(line, None)
        self.logs.pop(line, None)


class _Line(asyncio.Protocol):
    """One connection to one engine."""

    def __init__(self, streams: _Streams) -> None:
        self._streams, self._engine = streams, streams.engine
        self._data = b""
        self._relay: Container | None = None
        self._streaming = False
        self._line: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._line = transport  # pyright: ignore[reportAttributeAccessIssue]

    def connection_lost(self, exc: Exception | None) -> None:
        self._streams.forget(self._line)

    def data_received(self, data: bytes) -> None:
        self._data += data
        if self._relay is not None:
            self._relayed(self._relay)
            return
        while not self._streaming and (request := self._request()) is not None:
            self._answer(*request)

    def _request(self) -> tuple[str, str, bytes] | None:
        """Takes one whole request: (method, target, body)."""
        head, end, rest = self._data.partition(b"\r\n\r\n")
        if not end:
            return None
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        size = int(length[1]) if length else 0
        if len(rest) < size:
            return None
        self._data = rest[size:]
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        return method, target, rest[:size]

    def _answer(self, method: str, target: str, body: bytes) -> None:
        parts = urlsplit(re.sub(r"^/v1\.\d+", "", target))
        query = dict(parse_qsl(parts.query))
        if method == "GET" and parts.path == "/events":
            self._stream()
            self._streams.events.add(self._line)
        elif (
            method == "GET"
            and (found := _STREAMED.fullmatch(parts.path))
            and (found[2] == "stats" or query.get("follow") == "1")
        ):
            self._follow(found[1], found[2])
        elif method == "POST" and (found := _STARTED.fullmatch(parts.path)):
            self._relay = self._engine.execs.pop(found[1])
            self._line.write(_UPGRADED)
        else:
            status, answer = self._engine.answer(method, parts.path, query, body)
            head = f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}\r\nApi-Version: 1.41\r\nContent-Type: "
            kind = "application/json" if not parts.path.endswith("/logs") else "application/vnd.docker.raw-stream"
            self._line.write(f"{head}{kind}\r\nContent-Length: {len(answer)}\r\n\r\n".encode() + answer)

    def _stream(self) -> None:
        self._streaming = True
        self._line.write(_STREAM_HEAD)

    def _follow(self, identity: str, what: str) -> None:
        status, answer = self._engine.answer("GET", f"/containers/{identity}/json", {}, b"")
        if status != 200:
            self._line.write(f"HTTP/1.0 {status} Not Found\r\n\r\n".encode() + answer)
            self._line.close()
            return
        self._stream()
        container = self._engine.container(identity)
        if what == "stats":
            self._line.write(container.stats(time.time()))
            self._streams.stats[self._line] = container
        elif container.running:
            self._streams.logs[self._line] = container
        else:
            self._line.close()

    def _relayed(self, container: Container) -> None:
        *lines, self._data = self._data.split(b"\n")
        for line in lines:
            request = json.loads(line)
            answer = {"id": request["id"], **self._engine.relayed(container, request)}
            said = json.dumps(answer).encode() + b"\n"
            self._line.write(b"\x01\x00\x00\x00" + len(said).to_bytes(4, "big") + said)


async def serve(engines: Sequence[Engine], directory: Path, ready: Callable[[], None]) -> None:
    """Answers at `directory`/NUMBER.sock for each engine until it is cancelled."""
    loop = asyncio.get_running_loop()
    every = [_Streams(engine) for engine in engines]
    servers: list[asyncio.AbstractServer] = []  # one that nobody holds is closed
    for streams in every:
        path = directory / f"{streams.engine.number}.sock"
        made = await loop.create_unix_server(lambda streams=streams: _Line(streams), str(path), backlog=1024)
        servers.append(made)
    ready()
    # Spread over the second, as those of real engines are.
    pause = 1.0 / len(every)
    due = loop.time()
    while True:
        for streams in every:
            streams.measure()
            due = max(due + pause, loop.time())
            await asyncio.sleep(max(0.0, due - loop.time()))


class Fleet:
    """Engines in a child process, from `with` on. What they have is what they were given before."""

    def __init__(self, engines: Sequence[Engine], directory: Path) -> None:
        self.engines, self.directory = engines, directory
        self.pid = 0

    def socket(self, number: int) -> Path:
        return self.directory / f"{number}.sock"

    def __enter__(self) -> Self:
        hear, say = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                os.close(hear)
                signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                _run(self.engines, self.directory, lambda: os.close(say))
            except BaseException as error:  # the child must not go on as a second benchmark
                print(f"the engines ended: {error!r}", file=sys.stderr)
            finally:
                os._exit(code)
        os.close(say)
        os.read(hear, 1)
        os.close(hear)
        if not all(self.socket(each.number).exists() for each in self.engines):
            self.close()
            raise RuntimeError("the engines did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, 0)
            self.pid = 0


def _run(engines: Sequence[Engine], directory: Path, ready: Callable[[], None]) -> None:
    gc.freeze()
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(engines, directory, ready))
    else:
        uvloop.run(serve(engines, directory, ready))
