"""The process that sends a load: `python -P -m podium.core.delivery.load.generator PARENT`.

Open loop: request i is due at i / rate after the start, whatever became of those before it, and its latency counts from
that moment. A server that stalls for a second so delays a whole second's worth of requests, each by what its client
would have waited; a closed loop would have sent one request less per connection and called the stall one slow answer
(«coordinated omission», G. Tene, How NOT to Measure Latency, 2013; wrk2 sends in the same way).

It reads a document of JSON on standard input and writes one on standard output. The requests are users' data: they are
neither in its arguments nor in a file.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...child import end_with_parent

# Connections that are open at the same time. A request beyond them waits for one, and its time counts.
MAX_CONNECTIONS = 500
WARM_UP_REQUESTS = 20
_START_DELAY = 0.1
_MAX_HEAD_BYTES = 1 << 16
_NO_ANSWER = 0


@dataclass(slots=True)
class Answers:
    """What became of each request, in the order in which they were due. Times are seconds."""

    latency: list[float] = field(default_factory=list[float])
    """From when it was due until its answer was read, or given up."""
    status: list[int] = field(default_factory=list[int])
    """The HTTP status; 0 for no answer."""
    lag: list[float] = field(default_factory=list[float])
    """How much later than due this process came to send it: the generator's fault, not the server's."""


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @property
    def usable(self) -> bool:
        """Whether the server has not closed it meanwhile."""
        return not self.reader.at_eof() and not self.writer.is_closing()

    def close(self) -> None:
        self.writer.close()


class Generator:
    """Sends the requests of one load."""

    def __init__(self, host: str, port: int, requests: Sequence[bytes], timeout: float, *, unix: str = "") -> None:
        self._host, self._port, self._requests, self._timeout, self._unix = host, port, requests, timeout, unix
        self._idle: list[_Connection] = []
        self._room = asyncio.Semaphore(MAX_CONNECTIONS)

    async def send(self, rate: float, seconds: float) -> Answers:
        """Sends `rate` requests a second for so many seconds, after a warm-up that is not counted."""
        loop, number = asyncio.get_running_loop(), max(1, round(rate * seconds))
        for place in range(WARM_UP_REQUESTS):
            await self._ask(place, loop.time() + self._timeout)
        answers = Answers([0.0] * number, [_NO_ANSWER] * number, [0.0] * number)
        begin, tasks = loop.time() + _START_DELAY, set[asyncio.Task[None]]()
        for place in range(number):
            due = begin + place / rate
            await asyncio.sleep(max(0.0, due - loop.time()))
            answers.lag[place] = max(0.0, loop.time() - due)
            task = loop.create_task(self._count(place, due, answers))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)
        for connection in self._idle:
            connection.close()
        return answers

    async def _count(self, place: int, due: float, answers: Answers) -> None:
        answers.status[place] = await self._ask(place, due + self._timeout)
        answers.latency[place] = asyncio.get_running_loop().time() - due

    async def _ask(self, place: int, deadline: float) -> int:
        """Returns the status. A request is never sent twice, because that would hide an error."""
        connection: _Connection | None = None
        try:
            async with asyncio.timeout_at(deadline), self._room:
                connection = await self._connection()
                connection.writer.write(self._requests[place % len(self._requests)])
                await connection.writer.drain()
                status, keep = await _answer(connection.reader)
            if keep:
                self._idle.append(connection)
                connection = None
            return status
        except (OSError, TimeoutError, EOFError, ValueError, asyncio.LimitOverrunError):
            return _NO_ANSWER
        finally:
            if connection is not None:
                connection.close()

    async def _connection(self) -> _Connection:
        while self._idle:
            found = self._idle.pop()
            if found.usable:
                return found
            found.close()
        if self._unix:
            return _Connection(*await asyncio.open_unix_connection(self._unix, limit=_MAX_HEAD_BYTES))
        return _Connection(*await asyncio.open_connection(self._host, self._port, limit=_MAX_HEAD_BYTES))


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """Reads one answer; returns its status, and whether the connection stays open."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split(" ", 2)[1])
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    if fields.get("transfer-encoding", "").lower() == "chunked":
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            await reader.readexactly(size + 2)
        await reader.readuntil(b"\r\n")
    elif "content-length" in fields:
        await reader.readexactly(int(fields["content-length"]))
    else:
        await reader.read()
        return status, False
    return status, fields.get("connection", "").lower() != "close"


def as_request(host: str, port: int, body: bytes, content_type: str | None) -> bytes:
    """Returns one request for `/invocations` as it is written to a connection."""
    kind = f"Content-Type: {content_type}\r\n" if content_type is not None else ""
    at = "localhost" if "/" in host else f"[{host}]" if ":" in host else host
    head = f"POST /invocations HTTP/1.1\r\nHost: {at}:{port}\r\n{kind}Content-Length: {len(body)}\r\n\r\n"
    return head.encode("latin-1", "replace") + body


def main(document: Mapping[str, Any]) -> dict[str, Any]:
    """Sends the load that the document describes; returns what became of each request."""
    host, port = str(document["host"]), int(document["port"])
    requests = [
        as_request(host, port, base64.b64decode(each["body"]), each.get("content_type"))
        for each in document["requests"]
    ]

    async def work() -> Answers:
        made = Generator(host, port, requests, float(document["timeout"]), unix=str(document["unix"]))
        return await made.send(float(document["rate"]), float(document["seconds"]))

    found = asyncio.run(work())
    return {"latency": found.latency, "status": found.status, "lag": found.lag}


if __name__ == "__main__":
    end_with_parent(signal.SIGKILL)
    if os.getppid() != int(sys.argv[1]):
        os._exit(1)
    json.dump(main(json.load(sys.stdin)), sys.stdout)
