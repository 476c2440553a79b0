"""What the commands cost that people type all day: python benchmarks/startup.py [--quick]

Whole processes in turns, medians. The floor is the CPU time of `import typer`, which the command line is made of (of
`python -c pass` for --version), the peer the wall time of the MLflow command that answers the same question. The
journal has 10,000 runs and 1,000 versions.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from _measuring import Cost, Report, cost, in_turns, mebibytes, parser

RUNS = 10_000
VERSIONS = 1_000
PASS, TYPER = "`python -c pass`", "`import typer`"
FLOORS = {PASS: "pass", TYPER: "import typer"}
PEERS = {
    "`mlflow --version`": ["--version"],
    "`mlflow runs list`": ["runs", "list", "--experiment-id", "0"],
    "`mlflow experiments search`": ["experiments", "search"],
}


@dataclass(frozen=True)
class Case:
    """At most `most` times the CPU time of `floor`; at most `share` of the wall time of `peer`."""

    name: str
    most: float | None = None
    floor: str = TYPER
    peer: str = ""
    share: float | None = None

    @property
    def arguments(self) -> list[str]:
        return self.name.split()[1:]


CASES = (
    Case("podium --version", 2.5, PASS, "`mlflow --version`", 0.05),
    Case("podium ps -o json", 1.6, TYPER, "`mlflow runs list`", 0.1),
    Case("podium ps --all -o json", None, TYPER),
    Case("podium status -o json", 2.0, TYPER),
    Case("podium versions -o json", 3.0, TYPER, "`mlflow experiments search`", 0.15),
    Case("podium --help", 3.5, TYPER),
)


def fill(home: Path, runs: int, versions: int) -> None:
    """A project whose journal knows so many runs and versions."""
    from podium.core.config import load
    from podium.core.domain.models import Version
    from podium.core.domain.runs import PIPELINE, RunState, Trigger
    from podium.core.journal import Journal
    from podium.core.registry.snapshot import fingerprint

    (home / "podium.yaml").write_text(
        "project: bench\npipelines: {release: {steps: {one: {run: 'true'}}}}\nenvironments: {production: {port:"
        " 5100}}\n"
    )
    project = load(home)
    store = project.state / "mlflow" / "mlflow.db"
    store.parent.mkdir(mode=0o700, parents=True)
    sqlite3.connect(store).execute("CREATE TABLE placeholder (x)").connection.commit()
    with Journal.open(project.state / "journal.db") as journal:
        with journal.transaction():
            for number in range(runs):
                run = journal.runs.create(
                    kind=PIPELINE,
                    name="release",
                    trigger=Trigger.PUSH,
                    who="anna",
                    commit=f"{number:040x}",
                    branch="main",
                )
                journal.runs.set_state(run.id, RunState.SUCCEEDED if number % 7 else RunState.FAILED)
        known = [
            Version(
                "bench",
                n,
                1e9 + n,
                commit=f"{n:040x}",
                metrics={"roc_auc": 0.7, "log_loss": 0.4},
                params={"depth": "4"},
            )
            for n in range(versions, 0, -1)
        ]
        journal.versions.replace("bench", known, fingerprint(project.mlflow) or "asked")


def measure(ours: Path, theirs: Path, rounds: int, peers: Sequence[str]) -> tuple[dict[str, Cost], dict[str, float]]:
    """(what each of ours and of the floors took in the median, the wall seconds of each peer), all in turns."""
    tools = Path(sys.executable).parent
    commands = {case.name: [str(tools / "podium"), *case.arguments] for case in CASES}
    commands |= {name: [sys.executable, "-c", code] for name, code in FLOORS.items()}
    taken: dict[str, list[Cost]] = {name: [] for name in commands}

    def asked(name: str) -> Callable[[], float]:
        def call() -> float:
            taken[name].append(cost(commands[name], ours))
            return taken[name][-1].cpu

        return call

    def peer(name: str) -> Callable[[], float]:
        return lambda: cost([str(tools / "mlflow"), *PEERS[name]], theirs).seconds

    for name in peers:
        peer(name)()  # once unmeasured: MLflow creates its database
    slow = in_turns({name: peer(name) for name in peers} | {name: asked(name) for name in commands}, min(rounds, 3))
    if rounds > 3:
        in_turns({name: asked(name) for name in commands}, rounds - 3)
    return {name: middle(costs) for name, costs in taken.items()}, {name: slow[name] for name in peers}


def middle(costs: Sequence[Cost]) -> Cost:
    half = len(costs) // 2
    seconds, cpu = (sorted(getattr(one, what) for one in costs)[half] for what in ("seconds", "cpu"))
    return Cost(seconds, cpu, max(one.memory for one in costs))


def show(report: Report, taken: dict[str, Cost], peers: dict[str, float]) -> None:
    for case in CASES:
        mine = taken[case.name]
        report.compare(f"{case.name}, CPU", mine.cpu, case.floor, taken[case.floor].cpu, most=case.most)
        if case.peer in peers:
            report.compare(f"{case.name}, wall", mine.seconds, case.peer, peers[case.peer], most=case.share)
        elif case.peer:
            report.not_measured(f"{case.name}, wall", f"{case.peer} is left out with --quick")
        report.figure(f"{case.name}, memory", f"{mebibytes(mine.memory):>18}")


def main() -> int:
    options_of = parser(__doc__)
    options_of.add_argument("--fill", type=Path, help=argparse.SUPPRESS)
    options = options_of.parse_args()
    runs, versions = (200, 50) if options.quick else (RUNS, VERSIONS)
    if options.fill:
        fill(options.fill, runs, versions)
        return 0
    report = Report()
    with tempfile.TemporaryDirectory() as directory:
        ours, theirs = Path(directory) / "ours", Path(directory) / "theirs"
        ours.mkdir()
        theirs.mkdir()
        # In a process of its own: a child's peak memory is never reported below that of the process that forked it.
        quick = ["--quick"] if options.quick else []
        subprocess.run([sys.executable, __file__, "--fill", str(ours), *quick], check=True)
        os.environ["MLFLOW_TRACKING_URI"] = "sqlite:///mlflow.db"
        peers = [] if options.quick else [*PEERS]
        show(report, *measure(ours, theirs, 1 if options.quick else 15, peers))
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
