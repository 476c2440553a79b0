"""A client from outside that forgives nothing: whatever is not a whole answer with status 200 in time is a failed
request, told with its moment.

    python tests/servers/client.py PORT REPORT [--host 127.0.0.1] [--rate 150] [--connections 8] [--timeout 5] [--body JSON]
    [--path /invocations]

Half of the connections are kept open between requests, as a service's are, and half are new for each request. One
that was closed between two requests is opened anew, as every client does; a request that was sent is never sent
again. REPORT is replaced four times a second and when the client ends (SIGTERM): a JSON object with `asked`,
`answers` (body -> how often), `failures` ([seconds since 1970, what]) and `times` ([seconds since 1970,
milliseconds] of every request, with `--times`). Standard library alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Report:
    path: Path
    keep_times: bool
    asked: int = 0
    answers: Counter[str] = field(default_factory=Counter[str])
    failures: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    times: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])

    def write(self) -> None:
        text = json.dumps(
            {
                "asked": self.asked,
                "answers": self.answers,
                "failures": self.failures[-1000:],
                "failed": len(self.failures),
                "times": self.times,
            }
        )
        temporary = self.path.with_suffix(".new")
        temporary.write_text(text)
        os.replace(temporary, self.path)


class Connection:
    def __init__(self, host: str, port: int, request: bytes) -> None:
        self._host, self._port, self._request = host, port, request
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self) -> tuple[int, str]:
        if self._streams is not None and (self._streams[0].at_eof() or self._streams[0].exception()):
            # it was closed while nothing was asked: whoever keeps connections looks before they use one (RFC 9112, 9.5)
            self.close()
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        writer.write(self._request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        lines = head.split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
        body = (await reader.readexactly(int(headers.get("content-length", 0)))).decode("utf-8", "replace")
        if headers.get("connection") == "close":
            self.close()
        return int(lines[0].split()[1]), body

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def worker(number: int, options: argparse.Namespace, report: Report, stop: asyncio.Event) -> None:
    body = options.body.encode()
    kept = number % 2 == 0
    head = (
        f"POST {options.path} HTTP/1.1\r\nHost: model\r\nContent-Type: application/json\r\nContent-Length:"
        f" {len(body)}\r\n"
    )
    end = "\r\n" if kept else "Connection: close\r\n\r\n"
    connection = Connection(options.host, options.port, f"{head}{end}".encode() + body)
    pause = options.connections / options.rate
    due = asyncio.get_running_loop().time() + pause * number / options.connections
    while not stop.is_set():
        await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
        due = max(due + pause, asyncio.get_running_loop().time() - 1.0)  # after a standstill there is no flood
        await one(connection, options.timeout, report)
    connection.close()


async def one(connection: Connection, timeout: float, report: Report) -> None:
    began, clock = time.time(), time.perf_counter()
    report.asked += 1
    try:
        status, text = await asyncio.wait_for(connection.ask(), timeout)
        if status == 200:
            report.answers[text] += 1
        else:
            report.failures.append((began, f"{status} {text[:100]}"))
    except (
        OSError,
        EOFError,
        asyncio.IncompleteReadError,
        asyncio.LimitOverrunError,
        TimeoutError,
        ValueError,
    ) as error:
        connection.close()
        report.failures.append((began, repr(error)[:150]))
    if report.keep_times:
        report.times.append((began, 1000 * (time.perf_counter() - clock)))


async def run(options: argparse.Namespace) -> None:
    report, stop = Report(options.report, options.times), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    workers = [asyncio.create_task(worker(number, options, report, stop)) for number in range(options.connections)]
    parent = os.getppid()
    while not stop.is_set() and os.getppid() == parent:
        if not options.times:  # writing them all disturbs what is measured
            report.write()
        try:
            await asyncio.wait_for(stop.wait(), 0.25)
        except TimeoutError:
            continue
    stop.set()
    await asyncio.gather(*workers)
    report.write()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("report", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--rate", type=float, default=150.0)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--timeout", type=float, default=5.0)
    parser.add_argument("--body", default='{"inputs": [[1.0]]}')
    parser.add_argument("--path", default="/invocations")
    parser.add_argument("--times", action="store_true")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
