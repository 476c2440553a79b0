"""Sends the flights of September to December to a served model, day by day in the order of departure, and the truth of
each day as labels some days later: python autumn.py --url http://127.0.0.1:5100 --day 0.5

Every third flight, six in a request. Prints a JSON object for each day: how many flights and requests it had, how many
requests failed, how many labels were sent. With --step it waits for a line on standard input before each day. After
31 December come the days on which the last labels arrive. Ends with 1 when any request failed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import queue
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from prepare import COLUMNS, TARGET, flights, table, weather
from replay import Client

SAMPLE = 3  # of so many flights one is sent
TOGETHER = 6  # flights of a request
TIMEOUT = 30.0  # seconds before a request counts as failed
CONNECTIONS = 4


@dataclass
class Day:
    """One day's requests: ids, bodies and what became true."""

    date: str
    ids: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    truths: list[list[int]] = field(default_factory=list)

    @property
    def flights(self) -> int:
        return sum(len(each) for each in self.truths)


def days(first: int, last: int) -> Iterator[Day]:
    """The days of these months. Missing weather is null."""
    every, observed = flights(), weather()
    every = every[every["month"].between(first, last)]
    for (month, day), part in every.groupby(["month", "day"]):
        rows = table(part, observed).iloc[::SAMPLE]
        made = Day(f"2013-{month:02d}-{day:02d}")
        inputs = rows[list(COLUMNS)].astype(object).where(rows[list(COLUMNS)].notna(), None).to_numpy().tolist()
        truth = rows[TARGET].tolist()
        for start in range(0, len(inputs), TOGETHER):
            data = inputs[start : start + TOGETHER]
            made.ids.append(f"{made.date}-{start // TOGETHER:03d}")
            made.bodies.append(json.dumps({"dataframe_split": {"columns": list(COLUMNS), "data": data}}).encode())
            made.truths.append(truth[start : start + TOGETHER])
        yield made


def send(day: Day, clients: list[Client], seconds: float) -> Counter[str]:
    """Sends a day's requests evenly over so many seconds; what went wrong, and how often."""
    jobs: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    failures: Counter[str] = Counter()
    lock = threading.Lock()

    def work(client: Client) -> None:
        while (number := jobs.get()) is not None:
            problem = client.send(day.bodies[number], **{"X-Request-Id": day.ids[number]})
            if problem:
                with lock:
                    failures[problem] += 1

    workers = [threading.Thread(target=work, args=(client,)) for client in clients]
    for worker in workers:
        worker.start()
    began = time.monotonic()
    for number in range(len(day.ids)):
        time.sleep(max(0.0, began + seconds * number / len(day.ids) - time.monotonic()))
        jobs.put(number)
    for _ in workers:
        jobs.put(None)
    for worker in workers:
        worker.join()
    return failures


def tell(day: Day, client: Client) -> int:
    """Sends the labels of a day; how many there were. SystemExit when they are not taken."""
    records = [{"request_id": name, "truth": truth} for name, truth in zip(day.ids, day.truths, strict=True)]
    status, content = client.post("/feedback", json.dumps(records).encode(), {})
    if status != 202:
        raise SystemExit(f"autumn: the labels of {day.date} were not taken: {status} {content[:200].decode()}")
    return day.flights


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:5100")
    parser.add_argument("--day", type=float, default=0.5, help="seconds that a day takes (default: %(default)s)")
    parser.add_argument("--late", type=int, default=3, help="days after which labels come (default: %(default)s)")
    parser.add_argument("--from", type=int, default=9, choices=range(1, 13), metavar="1-12", dest="first")
    parser.add_argument("--until", type=int, default=12, choices=range(1, 13), metavar="1-12", dest="last")
    parser.add_argument("--step", action="store_true", help="wait for a line on standard input before each day")
    options = parser.parse_args()
    clients = [Client(options.url, TIMEOUT) for _ in range(CONNECTIONS)]
    waiting: deque[Day] = deque()
    failed = False
    rest = (Day("") for _ in range(options.late))
    for day in itertools.chain(days(options.first, options.last), rest):
        if options.step and not sys.stdin.readline():
            break
        failures = send(day, clients, options.day) if day.ids else Counter()
        failed = failed or bool(failures)
        waiting.append(day)
        labelled = waiting.popleft() if len(waiting) > options.late else Day("")
        told = tell(labelled, clients[0]) if labelled.ids else 0
        done = {"day": day.date, "flights": day.flights, "requests": len(day.ids), "failures": dict(failures)}
        truth = {"labelled": labelled.date, "labels": told, "late": sum(map(sum, labelled.truths))}
        print(json.dumps({**done, **truth}), flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
