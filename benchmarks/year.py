"""What reading costs after years of use: python benchmarks/year.py [--quick]

`podium status`, `podium ps` and the cockpit's first paint on a journal with 100,000 runs, a million samples and 10,000
deployments, each beside the same on a new project with a handful of each, started in turns. Whole processes, on the
clock; the medians.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from _measuring import Report, in_turns, parser
from podium.core.adoption.settling import settle
from podium.core.domain.models import Version
from podium.core.journal import Journal

from tests.tui.terminal import Terminal

TIMES = 1.5
YAML = """\
project: flights
mlflow: {tracking_uri: "http://127.0.0.1:9"}
environments:
  staging: {port: 5911}
  production: {port: 5912, protected: true}
"""
# As wide as what the demonstration notes of a deployment.
DATA = '{"new": [], "weights": {}, "start_seconds": 2.5, "traffic_seconds": 0.4, "share": 100, "verified": true}'
SIGNALS = 14


@dataclass(frozen=True)
class Amount:
    runs: int
    samples: int
    deployments: int


FEW = Amount(20, 200, 4)
YEARS = Amount(100_000, 1_000_000, 10_000)
QUICK = Amount(10_000, 100_000, 1_000)


def fill(home: Path, amount: Amount) -> None:
    home.mkdir()
    (home / "podium.yaml").write_text(YAML)
    settle(home)
    with Journal.open(home / ".podium/journal.db") as journal:
        versions = [Version("flights", number, float(number), aliases=()) for number in range(1, 5)]
        journal.versions.replace("flights", versions, "seeded")
        raw = journal._database.connection
        now = time.time()
        with journal.transaction():
            fill_runs(raw, amount.runs, now)
            fill_deployments(raw, amount.deployments, now)
            fill_samples(raw, amount.samples, now)
            for number in range(amount.runs // 10):
                journal.audit.add("anna", "promote", f"production (run {number})")


def fill_runs(raw: sqlite3.Connection, number: int, now: float) -> None:
    states = ["succeeded"] * 17 + ["failed"] * 2 + ["cancelled"]
    raw.executemany(
        'INSERT INTO runs (kind, name, state, "trigger", who, created, why, "commit", branch, dirty, params, jobs,'
        " workspace, started, ended) VALUES ('pipeline', ?, ?, 'push', 'anna', ?, 'push to main', ?, 'main', 0, '{}',"
        " 2, '', ?, ?)",
        ((f"p{each % 7}", states[each % 20], now - (number - each) * 60, "c" * 40, now, now) for each in range(number)),
    )
    raw.executemany(
        "INSERT INTO steps VALUES (?, 'train', 0, 'succeeded', '[]', '', 'python train.py', 1, 0, NULL, '', 0, ?, ?,"
        " '', '{}')",
        ((each + 1, now, now) for each in range(number)),
    )


def fill_deployments(raw: sqlite3.Connection, number: int, now: float) -> None:
    raw.executemany(
        "INSERT INTO deployments (environment, how, state, model, to_version, from_version, at, who, why, run_id,"
        ' "commit", digest, strategy, forced, phase, ended, data)'
        " VALUES (?, 'promote', 'succeeded', 'flights', ?, NULL, ?, 'anna', '', ?, '', '', 'canary', 0, 'clean_up', ?,"
        " ?)",
        (
            (
                ("staging", "production")[each % 2],
                1 + each // 2 % 4,
                now - (number - each) * 600,
                1 + each % 20,
                now,
                DATA,
            )
            for each in range(number)
        ),
    )


def fill_samples(raw: sqlite3.Connection, number: int, now: float) -> None:
    for series in range(SIGNALS):
        environment, signal = ("staging", "production")[series % 2], f"signal{series // 2}"
        raw.execute("INSERT INTO sample_series VALUES (?, ?, ?)", (series + 1, environment, signal))
    each = number // SIGNALS
    raw.executemany(
        "INSERT INTO samples VALUES (?, 60, ?, 60, 30.0)",
        ((series + 1, int(now) // 60 * 60 - at * 60) for series in range(SIGNALS) for at in range(each)),
    )


def command(home: Path, *words: str) -> float:
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "podium.cli", "-C", str(home), *words], capture_output=True, check=False, timeout=120
    )
    if done.returncode not in (0, 5):
        raise SystemExit(f"podium {' '.join(words)} failed: {done.stderr.decode()[-500:]}")
    return time.perf_counter() - began


def first_paint(home: Path) -> float:
    with Terminal(["-m", "podium.tui", str(home)]) as terminal:
        deadline = time.perf_counter() + 60
        while "✓ ".encode() not in terminal.output:
            if time.perf_counter() > deadline:
                raise SystemExit("the cockpit did not answer within a minute")
            time.sleep(0.0005)
        at = terminal.output.find("✓ ".encode())
        seconds = next(moment for moment, length in terminal.times if length > at) - terminal.started
        terminal.press("q")
        terminal.wait_exit(30)
    return seconds


def measure(report: Report, name: str, call: Callable[[Path], float], few: Path, years: Path, rounds: int) -> None:
    found = in_turns({"few": lambda: call(few), "years": lambda: call(years)}, rounds)
    report.compare(name, found["years"], "a new project", found["few"], most=TIMES)


def main() -> int:
    options = parser(__doc__).parse_args()
    amount, rounds = (QUICK, 1) if options.quick else (YEARS, 9)
    os.environ["NO_COLOR"] = "1"
    report = Report()
    with tempfile.TemporaryDirectory() as scratch:
        few, years = Path(scratch) / "few", Path(scratch) / "years"
        fill(few, FEW)
        fill(years, amount)
        sizes = f"{amount.runs:>12,}, {amount.samples:,}, {amount.deployments:,}"
        report.figure("runs, samples, deployments", sizes)
        measure(report, "podium status", lambda home: command(home, "status"), few, years, rounds)
        measure(report, "podium ps", lambda home: command(home, "ps"), few, years, rounds)
        measure(report, "cockpit: first useful paint", first_paint, few, years, rounds)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
