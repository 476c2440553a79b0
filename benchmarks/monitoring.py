"""How often drift alarms ring without any change, and with one; what a window costs.

    python benchmarks/monitoring.py [--months 1000] [--drifts 200] [--measures psi js …] [--quick]

A/A: monitors with a reference of their own are evaluated once a day on windows of the same distribution, for so many
months in all, at one false alarm a month. The number of alarms may not be above what a binomial distribution of that
chance reaches once in a thousand times. Drifts: one of five columns moves by two fifths of a standard deviation
(of words: fifteen points of a share), and has to be found by the first window that has it.

The agent's part: an hour of 200 requests/s with 20 columns, of which one in a hundred is captured, is collected and
evaluated as the agent does it (what replicas wrote every two seconds; drift in a process of its own; a signal each
minute), and is compared with an hour of one core.

The window of 10,000 rows and 50 columns is compared as the agent does it, once what is known of the reference without
any change is kept; the floor is scipy's test of Kolmogorov and Smirnov over the same columns, in turns.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from _measuring import Report, cost, in_turns, mebibytes, parser, seconds, share, timing

MEASURES = ("psi", "js", "ks", "wasserstein", "chi2")
DAYS = 30
# Windows that one reference is compared with: by how much it differs from others is a part of the chance.
WINDOWS_OF_ONE = 60
REFERENCE, WINDOW = 1500, 500
FOUND = 0.9
AGENT = 0.05
RATE, CAPTURED, WIDTH = 200, 0.01, 20
# Seconds after which the agent collects again (docs/feedback.md).
COLLECTED = 2.0
PROJECT = """\
project: p
environments: {e: {port: 5100}}
monitors:
  drift: {environment: e, drift: psi, reference: reference.csv, window: 10000}
  signal: {environment: e, signal: requests}
alerts: {a: {monitor: drift, false_alarms: 1/month}}
"""
# Of the time of scipy's tests over the same columns.
COMPARED = 2.0

Column = Callable[[Any, int], Any]


def words(rng: Any, rows: int, moved: float = 0.0) -> Any:
    return rng.choice(
        np.array(["a", "b", "c", "d", "e"], dtype=object), rows, p=[0.4 - moved, 0.3, 0.2 + moved, 0.08, 0.02]
    )


COLUMNS: Mapping[str, Column] = {
    "normal": lambda rng, rows: rng.normal(0, 1, rows),
    "skewed": lambda rng, rows: rng.lognormal(0, 1, rows),
    "whole": lambda rng, rows: rng.poisson(40, rows),
    "few": lambda rng, rows: rng.binomial(3, 0.2, rows),
    "words": words,
}
MOVED: Mapping[str, Column] = {
    "normal": lambda rng, rows: rng.normal(0.4, 1, rows),
    "words": lambda rng, rows: words(rng, rows, 0.15),
}


def fitting(measure: str) -> dict[str, Column]:
    """The columns that a measure compares."""
    from podium.core.monitoring.statistics import distances

    rng = np.random.default_rng(1)
    return {name: draw for name, draw in COLUMNS.items() if not distances.unfit(measure, draw(rng, 200))}


class Watched:
    """A monitor with a reference of its own."""

    def __init__(self, measure: str, rng: Any) -> None:
        from podium.core.monitoring.statistics import resampling
        from podium.core.monitoring.statistics.tails import null_of

        self.measure, self.rng = measure, rng
        self.draws = fitting(measure)
        self.reference = {name: self._column(name, draw(rng, REFERENCE)) for name, draw in self.draws.items()}
        drawn = resampling.null(measure, {name: each.cells for name, each in self.reference.items()}, WINDOW)
        self.nulls = {name: null_of(measure, each) for name, each in drawn.items()}

    def rings(self, moved: str = "") -> bool:
        from podium.core.monitoring.comparison import compare

        draws = {name: MOVED[name] if name == moved else draw for name, draw in self.draws.items()}
        now = {name: self._column(name, draw(self.rng, WINDOW)) for name, draw in draws.items()}
        found = compare(self.measure, self.reference, now, nulls=self.nulls, chance=1 / DAYS)
        return found.value is not None and found.critical is not None and found.value > found.critical

    @staticmethod
    def _column(name: str, cells: Any) -> Any:
        from podium.core.monitoring.columns import Column as Cells

        return Cells(name, cells, len(cells))


def false_alarms(report: Report, measure: str, months: int) -> None:
    from scipy.stats import binom

    evaluations = months * DAYS
    rng = np.random.default_rng(11)
    rung = 0
    for begin in range(0, evaluations, WINDOWS_OF_ONE):
        watched = Watched(measure, rng)
        rung += sum(watched.rings() for _ in range(min(WINDOWS_OF_ONE, evaluations - begin)))
    most = int(binom.ppf(0.999, evaluations, 1 / DAYS))
    report.count(f"{measure}: alarms in {months:,} months without any change", rung, most)


def found(report: Report, measure: str, drifts: int) -> None:
    rng = np.random.default_rng(12)
    moved = [name for name in MOVED if name in fitting(measure)]
    rung = 0
    for number in range(drifts):
        if number % 20 == 0:
            watched = Watched(measure, rng)
        rung += watched.rings(moved[number % len(moved)])
    what = f"{measure}: drifts found in the first window of {WINDOW}"
    report.compare(what, rung / drifts, "all of them", 1.0, least=FOUND, show=share)


def window(report: Report, rows: int, columns: int, rounds: int) -> None:
    from podium.core.monitoring import nulls
    from podium.core.monitoring.columns import Column as Cells
    from podium.core.monitoring.comparison import compare
    from scipy import stats

    rng = np.random.default_rng(13)
    kinds = list(COLUMNS.values())
    before = {f"c{n}": Cells(f"c{n}", kinds[n % 4](rng, rows), rows) for n in range(columns)}
    now = {f"c{n}": Cells(f"c{n}", kinds[n % 4](rng, rows), rows) for n in range(columns)}
    sizes = dict.fromkeys(before, rows)
    with tempfile.TemporaryDirectory(prefix="podium-bench-") as directory:

        def ours() -> object:
            known = nulls.nulls(Path(directory), "m", "psi", before, sizes)
            return compare("psi", before, now, nulls=known, chance=1 / 720)

        began = time.perf_counter()
        ours()
        report.figure(
            f"a window of {rows:,} rows and {columns} columns, first time", seconds(time.perf_counter() - began)
        )

        def theirs() -> object:
            return [stats.ks_2samp(before[name].cells, each.cells, method="asymp") for name, each in now.items()]

        taken = in_turns({"ours": timing(ours), "scipy": timing(theirs)}, rounds)
    what = f"a window of {rows:,} rows and {columns} columns"
    report.compare(what, taken["ours"], "scipy's ks_2samp", taken["scipy"], most=COMPARED)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report.figure("memory of this process at most", f"{memory:,.0f} MiB")


def agent(report: Report, hours: float) -> None:
    from podium.core.config import load
    from podium.core.domain.delivery import DeploymentState, How
    from podium.core.domain.watching import Sample
    from podium.core.journal import Journal
    from podium.core.monitoring.evaluate import evaluate

    with tempfile.TemporaryDirectory(prefix="podium-bench-") as directory:
        home = Path(directory)
        (home / "podium.yaml").write_text(PROJECT)
        project = load(home, environ={})
        captured(home, round(3600 * hours * RATE * CAPTURED))
        with Journal.open(project.state / "journal.db") as journal:
            row = journal.ledger.begin(
                environment="e", how=How.DEPLOY, model="p", to_version=1, from_version=None, who="bench"
            )
            journal.ledger.finish(row.id, DeploymentState.SUCCEEDED)
            now = time.time()
            journal.samples.add(Sample("e", "requests", now - ago, RATE) for ago in range(60))
            began = time.process_time()
            for _ in range(round(60 * hours)):
                evaluate(project, journal, [project.monitors["signal"]])
            signals = time.process_time() - began
        gathered = collecting(project.state, hours)
        command = [sys.executable, "-P", "-m", "podium.core.monitoring.apart", str(home), "drift"]
        cost(command, home)  # what is known of the reference is kept from now on
        drift = cost(command, home)
    report.figure("evaluating drift, memory at most", mebibytes(drift.memory))
    what = f"an hour of {RATE} requests/s, {WIDTH} columns"
    taken = (signals + gathered) / hours + drift.cpu
    report.figure("of that, collecting what replicas wrote", seconds(gathered / hours))
    report.compare(what, taken, "an hour of a core", 3600.0, most=AGENT, show=seconds)


def collecting(state: Path, hours: float) -> float:
    """Seconds of CPU in which so many hours of requests are collected, each a moment after it was written."""
    from podium.core.labels.store import LabelStore

    written = state / "environments" / "e" / "capture" / "requests-a.tsv"
    at, spent, rows = time.time() - 3600 * hours, 0.0, round(RATE * COLLECTED)
    with LabelStore.open(state, "e") as store, written.open("a") as file:
        for batch in range(round(3600 * hours / COLLECTED)):
            file.writelines(
                f'{at + batch * COLLECTED + row / RATE:.6f}\tq{batch}-{row}\t1\t200\t\t{{"predictions": [0.5]}}\n'
                for row in range(rows)
            )
            file.flush()
            began = time.process_time()
            store.collect()
            spent += time.process_time() - began
    return spent


def captured(home: Path, rows: int) -> None:
    """Writes a reference, and rows as a replica captures them."""
    rng = np.random.default_rng(14)
    names = [f"c{place}" for place in range(WIDTH)]
    with (home / "reference.csv").open("w") as file:
        file.write(",".join(names) + "\n")
        file.writelines(",".join(f"{each:.4f}" for each in row) + "\n" for row in rng.normal(0, 1, (5000, WIDTH)))
    below = home / ".podium" / "environments" / "e" / "capture"
    below.mkdir(parents=True)
    now = time.time()
    with (below / "capture-a.jsonl").open("w") as file:
        for number, row in enumerate(rng.normal(0, 1, (rows, WIDTH)).round(4).tolist()):
            body = json.dumps({"dataframe_split": {"columns": names, "data": [row]}})
            record = {"at": now - rows + number, "request_id": f"r{number}", "version": "1", "status": 200}
            record |= {"content_type": "application/json", "input": body, "output": '{"predictions": [0.5]}'}
            file.write(json.dumps(record) + "\n")


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--months", type=int, default=1000)
    options.add_argument("--drifts", type=int, default=200)
    options.add_argument("--measures", nargs="+", choices=MEASURES, default=MEASURES)
    asked = options.parse_args()
    months, drifts = (4, 10) if asked.quick else (asked.months, asked.drifts)
    report = Report()
    for measure in asked.measures[:1] if asked.quick else asked.measures:
        false_alarms(report, measure, months)
        found(report, measure, drifts)
    window(report, *((1000, 5, 1) if asked.quick else (10_000, 50, 3)))
    agent(report, 0.05 if asked.quick else 1.0)
    return report.end()


if __name__ == "__main__":
    raise SystemExit(main())
