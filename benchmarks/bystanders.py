"""What one bad prediction costs the others: 100 requests a second to two replicas behind their proxy, and now and then
one that hangs, ends its process, is huge, or cannot be read.

    python benchmarks/bystanders.py [--seconds 60] [--quick]

Each kind is sent once in its own stretch of time, after a stretch at rest. Requests are due at fixed times, and their
latency counts from then: a server that keeps others waiting cannot hide it. A replica that ended is started again, as
the agent does. Counted: other requests that failed (none may), and the 99th percentile of the others, in multiples of
that at rest.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from _measuring import Report, free_port, parser, seconds

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from podium.core.delivery.proxy.haproxy import BackendServer, ProxyLayout
from podium.core.delivery.proxy.proxy import of_process
from podium.core.domain.project import RequestBounds
from podium.core.serving.health import healthy
from serving import Server, our_server

from tests.serving.fatal import EXIT, FINE, HANG, save

RATE = 100.0  # requests a second
MOST = 2.0  # times the 99th percentile at rest
HANG_TIMEOUT = 5.0  # `request.prediction` of the environment
SICK = 2  # looks after which a replica is ended that cannot predict
JSON = "application/json"


def body(x: float) -> bytes:
    return json.dumps({"dataframe_split": {"columns": ["x"], "data": [[x]]}}).encode()


BAD = {
    "at rest": None,
    "one huge": b'{"dataframe_split":{"columns":["x"],"data":[' + b"[]," * 5_500_000 + b"[]]}}",
    "one malformed": b'{"inputs": [' * 500,
    "one that ends its process": body(EXIT),
    "one that hangs": body(HANG),
}


@dataclass
class Stretch:
    """What became of the requests of one stretch."""

    times: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def p99(self) -> float:
        return sorted(self.times)[int(len(self.times) * 0.99)]


async def ask(port: int, content: bytes) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        head = f"POST /invocations HTTP/1.1\r\nHost: m\r\nContent-Type: {JSON}\r\nContent-Length: {len(content)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode() + content)
        await writer.drain()
        answer = await reader.read()
        return int(answer.split(maxsplit=2)[1])
    finally:
        writer.close()


async def stretch(port: int, length: float, bad: bytes | None) -> Stretch:
    """Sends good requests for so many seconds, and the bad one after a tenth of them."""
    found = Stretch()
    began = time.perf_counter()

    async def one(due: float) -> None:
        try:
            status = await ask(port, body(FINE))
            if status != 200:
                found.failures.append(str(status))
        except (OSError, IndexError, ValueError) as error:
            found.failures.append(type(error).__name__)
        found.times.append(time.perf_counter() - due)

    async def the_bad_one(content: bytes) -> None:
        await asyncio.sleep(length / 10)
        await ask(port, content)

    tasks = [asyncio.create_task(the_bad_one(bad))] if bad is not None else []
    for number in range(int(length * RATE)):
        due = began + number / RATE
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(due)))
    await asyncio.gather(*tasks, return_exceptions=True)
    return found


class Healed(threading.Thread):
    """Starts replicas again that ended, or that cannot predict any more, as the agent does."""

    def __init__(self, servers: list[Server], again: list[tuple[Path, Path, str]]) -> None:
        super().__init__(daemon=True)
        self._servers, self._again = servers, again
        self._sick = [-1] * len(servers)  # looks at which it could not predict, since it could; -1 before it could
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.5):
            for number, server in enumerate(self._servers):
                if healthy(int(self._again[number][2])):
                    self._sick[number] = 0
                elif self._sick[number] >= 0:
                    self._sick[number] += 1
                if self._sick[number] == SICK:
                    server.process.kill()
                    server.process.wait()
                if server.process.poll() is not None:
                    self._servers[number] = started(*self._again[number])
                    self._sick[number] = -1


def started(model: Path, log: Path, port: str) -> Server:
    options = ("--guard", str(log.parent / "guard"), "--timeout", str(HANG_TIMEOUT))
    return our_server(model, "uvloop", log, *options, port=int(port))


def main() -> int:
    options_of = parser(__doc__)
    options_of.add_argument("--seconds", type=float, default=60.0)
    options = options_of.parse_args()
    length = 5.0 if options.quick else options.seconds
    report = Report()
    with tempfile.TemporaryDirectory() as made:
        scratch = Path(made)
        model = save(scratch)
        again = [(model, scratch / f"{number}.log", str(free_port())) for number in range(2)]
        servers = [started(*each) for each in again]
        port = free_port()
        proxy = of_process(scratch, "bench")
        healed = Healed(servers, again)
        try:
            for server in servers:
                server.__enter__()
            layout = tuple(BackendServer(f"v1-{n}", int(each[2]), 100) for n, each in enumerate(again, 1))
            proxy.ensure(ProxyLayout("127.0.0.1", port, layout, RequestBounds(prediction=HANG_TIMEOUT)))
            healed.start()
            asyncio.run(stretch(port, 3.0, None))
            found = {name: asyncio.run(stretch(port, length, bad)) for name, bad in BAD.items()}
        finally:
            healed.over.set()
            proxy.stop()
            for server in servers:
                server.__exit__()
    rest = found["at rest"]
    for name, each in found.items():
        report.count(f"{name}: others that failed", len(each.failures), 0, of=f" of {len(each.times):,}")
        if each is not rest:
            report.compare(f"{name}: p99 of the others", each.p99, "at rest", rest.p99, most=MOST, show=seconds)
    return report.end()


if __name__ == "__main__":
    raise SystemExit(main())
