"""Sends a month of real flights to a served model, one request a flight, at a steady rate: python replay.py --month
8 --rate 50 --seconds 30

Prints one JSON object at the end (and, with --progress, one every so many seconds): how many requests were sent,
answered well, refused, or lost, and how long they took. A request that gets no answer within --timeout, or any
answer but 200, counts as failed. Requests that could not be started in time, because all --connections were busy,
are sent late and counted as `late_starts`: none is skipped. Ends with 1 when any request failed.
"""

from __future__ import annotations

import argparse
import http.client
import json
import queue
import random
import select
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit


def bodies(month: int, seed: int) -> list[bytes]:
    """The month's flights as requests, in an order that mixes the days. Missing weather is null."""
    from prepare import COLUMNS, flights, table, weather

    every = flights()
    rows = table(every[every["month"] == month], weather())
    clean = rows[list(COLUMNS)].astype(object).where(rows[list(COLUMNS)].notna(), None)
    made = [
        json.dumps({"dataframe_split": {"columns": list(COLUMNS), "data": [row]}}).encode()
        for row in clean.to_numpy().tolist()
    ]
    random.Random(seed).shuffle(made)
    return made


@dataclass
class Tally:
    """What happened so far. One lock: a count that is off by one would be worth nothing."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    sent: int = 0
    ok: int = 0
    late_starts: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def add(self, problem: str, seconds: float, late: bool) -> None:
        with self.lock:
            self.sent += 1
            self.late_starts += late
            if problem:
                self.failures[problem] += 1
            else:
                self.ok += 1
                self.seconds.append(seconds)

    def summary(self, elapsed: float) -> dict[str, object]:
        with self.lock:
            times = sorted(self.seconds)
            failed = self.sent - self.ok
            share = {
                f"p{p}_ms": round(1000 * times[min(len(times) - 1, len(times) * p // 100)], 2) if times else None
                for p in (50, 95, 99)
            }
            return {
                "sent": self.sent,
                "ok": self.ok,
                "failed": failed,
                "failures": dict(self.failures),
                "late_starts": self.late_starts,
                "seconds": round(elapsed, 2),
                "rate": round(self.sent / elapsed, 1) if elapsed > 0 else 0.0,
                **share,
            }


class Client:
    """One kept-alive connection. A fresh one is made after a failure, and where the server has closed the one that was
    idle (after a minute, as HAProxy does); a failed request is never sent again, which would hide it."""

    def __init__(self, url: str, timeout: float) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 80
        self.timeout = timeout
        self.connection: http.client.HTTPConnection | None = None

    def send(self, body: bytes, **headers: str) -> str:
        """Empty when all is well, else what went wrong in a word or two."""
        status, content = self.post("/invocations", body, headers)
        if status != 200:
            return f"status {status}" if status else content.decode()
        return "" if b"predictions" in content else "no predictions"

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """The answer's status and content; 0 and the kind of error when there is no answer."""
        try:
            if self.connection is not None and ended(self.connection):
                self.close()
            if self.connection is None:
                self.connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
            self.connection.request("POST", path, body, {"Content-Type": "application/json", **headers})
            answer = self.connection.getresponse()
            content = answer.read()
            if answer.will_close:
                self.close()
            return answer.status, content
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return 0, type(error).__name__.encode()

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def ended(connection: http.client.HTTPConnection) -> bool:
    """Whether the other side has closed a connection that nothing is asked over: only then is there something to
    read."""
    return connection.sock is not None and bool(select.select([connection.sock], [], [], 0.0)[0])


def schedule(
    requests: list[bytes], rate: float, seconds: float | None, stop: threading.Event
) -> Iterator[tuple[float, bytes]]:
    """(when, body) at an even pace; when is on the monotonic clock. Starts the month again when it is through."""
    started = time.monotonic()
    number = 0
    while not stop.is_set() and (seconds is None or number < rate * seconds):
        due = started + number / rate
        if stop.wait(max(0.0, due - time.monotonic())):
            return
        yield due, requests[number % len(requests)]
        number += 1


def work(jobs: queue.Queue[tuple[float, bytes] | None], client: Client, tally: Tally) -> None:
    while (job := jobs.get()) is not None:
        due, body = job
        started = time.monotonic()
        problem = client.send(body)
        tally.add(problem, time.monotonic() - started, started - due > 0.1)
    client.close()


def report(tally: Tally, started: float, every: float, stop: threading.Event) -> None:
    while not stop.wait(every):
        print(json.dumps(tally.summary(time.monotonic() - started)), flush=True)


def replay(options: argparse.Namespace, requests: list[bytes], stop: threading.Event) -> dict[str, object]:
    tally, jobs, done = Tally(), queue.Queue[tuple[float, bytes] | None](), threading.Event()
    workers = [
        threading.Thread(target=work, args=(jobs, Client(options.url, options.timeout), tally))
        for _ in range(options.connections)
    ]
    started = time.monotonic()
    for worker in workers:
        worker.start()
    if options.progress:
        threading.Thread(target=report, args=(tally, started, options.progress, done), daemon=True).start()
    for job in schedule(requests, options.rate, None if options.forever else options.seconds, stop):
        jobs.put(job)
    for _ in workers:
        jobs.put(None)
    for worker in workers:
        worker.join()
    done.set()
    return tally.summary(time.monotonic() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:5100")
    parser.add_argument("--month", type=int, choices=range(1, 13), default=8, metavar="1-12")
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long (default: %(default)s)")
    parser.add_argument("--forever", action="store_true", help="until TERM or Ctrl-C")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument(
        "--timeout", type=float, default=10.0, help="seconds before a request counts as failed (default: %(default)s)"
    )
    parser.add_argument(
        "--progress",
        type=float,
        nargs="?",
        const=1.0,
        metavar="SECONDS",
        help="print a line every so often (with no number: every second)",
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.rate <= 0 or options.connections < 1:
        parser.error("--rate and --connections must be positive")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    summary = replay(options, bodies(options.month, options.seed), stop)
    print(json.dumps(summary), flush=True)
    sys.exit(1 if summary["failed"] else 0)


if __name__ == "__main__":
    main()
