"""What the journal costs: python benchmarks/journal.py [--runs 100000] [--quick]

Each figure stands beside the plain sqlite3 module on the same file, measured in turns with it: the same columns, with
none of our objects.
"""

from __future__ import annotations

import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from _measuring import Report, in_turns, parser, timed, timing
from podium.core.domain.runs import PIPELINE, RunState, Step, StepState, Trigger
from podium.core.domain.watching import Sample
from podium.core.journal import Journal
from podium.core.journal.runs import page_query

# Times sqlite3's.
PAGE, SEARCH, CHANGE, BATCH, SAMPLES, AUDIT, LOOK, IMPORT = 4.0, 1.5, 3.0, 3.0, 4.0, 4.0, 2.0, 1.8
# A look every tenth of a second, by us and by sqlite3 alone, finds what is new at the same time.
FEED = 1.2
PEER = "sqlite3"
INSERT = "INSERT INTO peer (environment, signal, at, value) VALUES (?, ?, ?, ?)"


def beside(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> tuple[float, float]:
    found = in_turns({"ours": timing(ours), "theirs": timing(theirs)}, rounds)
    return found["ours"], found["theirs"]


def fill(journal: Journal, runs: int) -> None:
    states = [RunState.SUCCEEDED] * 17 + [RunState.FAILED] * 2 + [RunState.CANCELLED]
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


def pages(report: Report, journal: Journal, runs: int, rounds: int) -> None:
    raw = sqlite3.connect(journal.path)
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
        ours, theirs = beside(
            lambda options=options: journal.runs.page(limit=50, **options),
            lambda s=sql, v=values: raw.execute(s, v).fetchall(),
            rounds,
        )
        report.compare(name, ours, PEER, theirs, most=SEARCH if "search" in options else PAGE)
    raw.close()


def changes(report: Report, journal: Journal, raw: sqlite3.Connection, rounds: int) -> None:
    """Steps: one change committed, and 200 at once."""
    run = journal.runs.create(kind=PIPELINE, name="x", trigger=Trigger.PERSON, who="anna")
    journal.steps.add(
        run.id, [Step(run.id, f"s{number}", number, StepState.PENDING, command="true") for number in range(200)]
    )

    def set_raw(number: int) -> None:
        sql = "UPDATE steps SET state=?, started=?, attempt=? WHERE run_id=? AND name=?"
        raw.execute(sql, ("running", 1.0, 1, run.id, f"s{number}"))

    def set_ours(number: int) -> None:
        journal.steps.update(run.id, f"s{number}", state=StepState.RUNNING, started=1.0, attempt=1)

    def batch() -> None:
        with journal.transaction():
            for number in range(200):
                set_ours(number)

    def raw_batch() -> None:
        raw.execute("BEGIN IMMEDIATE")
        for number in range(200):
            set_raw(number)
        raw.execute("COMMIT")

    ours, theirs = beside(lambda: set_ours(7), lambda: set_raw(7), rounds * 7)
    report.compare("a step's change, committed", ours, PEER, theirs, most=CHANGE)
    report.compare("200 changes in one", *_with(PEER, *beside(batch, raw_batch, rounds)), most=BATCH)


def _with(peer: str, ours: float, theirs: float) -> tuple[float, str, float]:
    return ours, peer, theirs


def writes(report: Report, journal: Journal, rounds: int) -> None:
    raw = sqlite3.connect(journal.path, isolation_level=None)
    raw.execute("PRAGMA synchronous=NORMAL")
    changes(report, journal, raw, rounds)
    raw.execute("CREATE TABLE peer (environment TEXT, signal TEXT, at REAL, value REAL)")
    clock = iter(range(1_000_000))

    def sample() -> None:
        at = float(next(clock))
        journal.samples.add([Sample("production", f"signal{number}", at, 1.0) for number in range(7)])

    def insert(count: int) -> None:
        raw.execute("BEGIN IMMEDIATE")
        raw.executemany(INSERT, [("production", f"signal{number}", 1.0, 1.0) for number in range(count)])
        raw.execute("COMMIT")

    def audit() -> None:
        journal.audit.add("anna", "promote", "production", "why")

    report.compare("seven samples", *_with("seven rows", *beside(sample, lambda: insert(7), rounds)), most=SAMPLES)
    report.compare("an audit entry", *_with("a row", *beside(audit, lambda: insert(1), rounds)), most=AUDIT)

    def look() -> None:
        raw.execute("PRAGMA data_version").fetchone()

    found = beside(journal.data_version, look, rounds * 25)
    report.compare("a look at the change feed", *_with(PEER, *found), most=LOOK)
    raw.close()


OURS = """
from podium.core.journal import Journal
version = Journal.open(Path(sys.argv[1])).data_version
"""
THEIRS = """
import sqlite3
raw = sqlite3.connect(sys.argv[1])
version = lambda: raw.execute("PRAGMA data_version").fetchone()[0]
"""
WATCHER = """
for _ in range(int(sys.argv[2])):
    seen = version()
    print("ready", flush=True)
    while version() == seen:
        time.sleep(0.1)
    print(time.time(), flush=True)
"""


def noticed(journal: Journal, opening: str, rounds: int) -> float:
    """The median seconds until another process that looks ten times a second has noticed a change."""
    code = f"import sys, time\nfrom pathlib import Path\n{opening}{WATCHER}"
    command = [sys.executable, "-c", code, str(journal.path), str(rounds)]
    delays: list[float] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watcher:
        assert watcher.stdout is not None
        for number in range(rounds):
            watcher.stdout.readline()
            written = time.time()
            journal.values.set("news", str(number))
            delays.append(float(watcher.stdout.readline()) - written)
    return statistics.median(delays)


def imports(report: Report, rounds: int) -> None:
    code = "import time; b = time.process_time(); {}; print(time.process_time() - b)"

    def taken(what: str) -> float:
        command = [sys.executable, "-c", code.format(what)]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    peer = "import sqlite3, json, dataclasses, enum, pathlib"
    found = in_turns({what: lambda w=what: taken(w) for what in (peer, "import podium.core.journal")}, rounds)
    report.compare("import podium.core.journal", found["import podium.core.journal"], peer, found[peer], most=IMPORT)


def main() -> int:
    options_of = parser(__doc__)
    options_of.add_argument("--runs", type=int, default=100_000)
    options = options_of.parse_args()
    runs, rounds = (1000, 3) if options.quick else (options.runs, 41)
    report = Report()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "journal.db"
        with Journal.open(path) as journal:
            took = timed(lambda: fill(journal, runs))
            report.figure("runs written", f"{runs:,} in {took:.1f} s, {path.stat().st_size / 2**20:.0f} MiB")
            pages(report, journal, runs, rounds)
            writes(report, journal, rounds)
            ways = {"ours": OURS, "theirs": THEIRS}
            looks = 2 if options.quick else 5
            found = in_turns({name: lambda w=way: noticed(journal, w, looks) for name, way in ways.items()}, looks)
            report.compare("noticed by another process", found["ours"], PEER, found["theirs"], most=FEED)
        imports(report, 1 if options.quick else 9)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
