"""What the journal costs: python benchmarks/journal.py [--runs 100000]

Each figure stands beside a peer measured in turns with it: the plain sqlite3 module on the same file, reading the
same columns with none of our objects. Ends with 1 when a bound is missed.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from podium.core.domain.runs import PIPELINE, RunState, Step, StepState, Trigger
from podium.core.domain.watching import Sample
from podium.core.journal import Journal
from podium.core.journal.runs import page_query

PAGE_BOUND = 0.020
FEED_BOUND = 0.250


def median(call: Callable[[], object], times: int = 41) -> float:
    found: list[float] = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        found.append(time.perf_counter() - began)
    return statistics.median(found)


def fill(journal: Journal, runs: int) -> float:
    states = [RunState.SUCCEEDED] * 17 + [RunState.FAILED] * 2 + [RunState.CANCELLED]
    began = time.perf_counter()
    for low in range(0, runs, 1000):
        with journal.transaction():
            for number in range(low, min(low + 1000, runs)):
                run = journal.runs.create(
                    kind=PIPELINE,
                    name=f"p{number % 7}",
                    trigger=Trigger.PUSH,
                    who="anna",
                    why="push to main",
                    commit="c" * 40,
                )
                journal.runs.set_state(run.id, states[number % 20], message="")
    return time.perf_counter() - began


def pages(journal: Journal, path: Path, runs: int) -> bool:
    raw = sqlite3.connect(path)
    good = True
    cases: dict[str, dict[str, object]] = {
        "newest 50": {},
        "50 from the middle": {"before": runs // 2},
        "50 failed": {"states": [RunState.FAILED]},
        "active": {"states": [RunState.QUEUED, RunState.RUNNING, RunState.WAITING]},
        "50 failed of one pipeline": {"name": "p3", "states": [RunState.FAILED]},
        "search, nothing found": {"search": "no such word"},
    }
    for name, options in cases.items():
        sql, values = page_query(limit=50, **options)
        ours, peer = (
            median(lambda options=options: journal.runs.page(limit=50, **options)),
            median(lambda s=sql, v=values: raw.execute(s, v).fetchall()),
        )
        bound = None if "search" in options else PAGE_BOUND
        good &= bound is None or ours < bound
        limit = "" if bound is None else f"   bound {bound * 1e3:.0f} ms"
        print(f"  {name:<28} {ours * 1e3:8.2f} ms   sqlite3 {peer * 1e3:8.2f} ms   {ours / peer:5.1f} ×{limit}")
    return good


def writes(journal: Journal, path: Path) -> None:
    run = journal.runs.create(kind=PIPELINE, name="x", trigger=Trigger.PERSON, who="anna")
    journal.steps.add(
        run.id, [Step(run.id, f"s{number}", number, StepState.PENDING, command="true") for number in range(200)]
    )
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("PRAGMA synchronous=NORMAL")
    one = median(lambda: journal.steps.update(run.id, "s7", state=StepState.RUNNING, started=1.0, attempt=1), 300)
    peer = median(
        lambda: raw.execute(
            "UPDATE steps SET state=?, started=?, attempt=? WHERE run_id=? AND name=?",
            ("running", 1.0, 1, run.id, "s7"),
        ),
        300,
    )
    print(f"  a step's change, committed   {one * 1e6:8.0f} µs   sqlite3 {peer * 1e6:8.0f} µs   {one / peer:5.1f} ×")

    def batch() -> None:
        with journal.transaction():
            for number in range(200):
                journal.steps.update(run.id, f"s{number}", state=StepState.RUNNING, started=1.0)

    print(f"  200 changes in one           {median(batch, 21) * 1e6 / 200:8.0f} µs each")
    clock = iter(range(1_000_000))

    def sample() -> None:
        at = float(next(clock))
        journal.samples.add([Sample("production", f"signal{number}", at, 1.0) for number in range(7)])

    print(f"  seven samples                {median(sample) * 1e6:8.0f} µs")
    print(
        "  an audit entry              "
        f" {median(lambda: journal.audit.add('anna', 'promote', 'production', 'why')) * 1e6:8.0f} µs"
    )
    print(f"  a look at the change feed    {median(journal.data_version, 1000) * 1e6:8.1f} µs")


_WATCHER = """
import sys, time
from pathlib import Path
from podium.core.journal import Journal
journal = Journal.open(Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    seen = journal.data_version()
    print("ready", flush=True)
    while journal.data_version() == seen:
        time.sleep(0.1)
    print(time.time(), flush=True)
"""


def feed(journal: Journal, path: Path, rounds: int = 10) -> bool:
    watcher = subprocess.Popen(
        [sys.executable, "-c", _WATCHER, str(path), str(rounds)], stdout=subprocess.PIPE, text=True
    )
    assert watcher.stdout is not None
    delays: list[float] = []
    for number in range(rounds):
        watcher.stdout.readline()
        written = time.time()
        journal.values.set("news", str(number))
        delays.append(float(watcher.stdout.readline()) - written)
    watcher.wait(10)
    print(
        f"  noticed by another process that looks ten times a second: median {statistics.median(delays) * 1e3:.0f} ms,"
        f" worst {max(delays) * 1e3:.0f} ms"
    )
    return statistics.median(delays) < FEED_BOUND


def imports() -> None:
    code = "import time; b = time.process_time(); {}; print(time.process_time() - b)"

    def cost(what: str) -> float:
        return min(
            float(
                subprocess.run(
                    [sys.executable, "-c", code.format(what)], capture_output=True, text=True, check=True
                ).stdout
            )
            for _ in range(7)
        )

    peer, ours = cost("import sqlite3, json, dataclasses, enum, pathlib"), cost("import podium.core.journal")
    print(
        f"  import podium.core.journal   {ours * 1e3:8.1f} ms   of which sqlite3, json, dataclasses, enum, pathlib"
        f" {peer * 1e3:.1f} ms"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100_000)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "journal.db"
        with Journal.open(path) as journal:
            took = fill(journal, runs)
            print(f"{runs:,} runs written in {took:.1f} s, {path.stat().st_size / 2**20:.0f} MiB")
            good = pages(journal, path, runs)
            writes(journal, path)
            good &= feed(journal, path)
        imports()
    print("every bound is met" if good else "A BOUND IS MISSED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
