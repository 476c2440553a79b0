"""How long the commands take that people type all day, beside MLflow's own: python benchmarks/startup.py [--quick]

Whole processes, wall time, the median of several; the peers run in turns with ours, so that a busy machine slows
both. Prints ratios and, for ours, the bound that the project has set itself. Ends with 1 when a bound is missed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

RUNS = 10_000
VERSIONS = 1_000


@dataclass(frozen=True)
class Case:
    """`bound` is in seconds; `peer` is the MLflow command that answers the same question."""

    name: str
    command: Sequence[str]
    bound: float | None = None
    peer: str = ""


def measure(command: Sequence[str], cwd: Path) -> tuple[float, float]:
    """(seconds, MiB at most) of one process; SystemExit when it fails."""
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {said.decode(errors='replace')[-500:]}")
    return seconds, usage.ru_maxrss / 1024


def fill(home: Path) -> None:
    """A project whose journal knows 10,000 runs and 1,000 versions."""
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
    project.state.mkdir(mode=0o700)
    import sqlite3

    sqlite3.connect(project.state / "mlflow.db").execute("CREATE TABLE placeholder (x)").connection.commit()
    with Journal.open(project.state / "journal.db") as journal:
        with journal.transaction():
            for number in range(RUNS):
                run = journal.runs.create(
                    kind=PIPELINE,
                    name="release",
                    trigger=Trigger.PUSH,
                    who="anna",
                    commit=f"{number:040x}",
                    branch="main",
                )
                journal.runs.set_state(run.id, RunState.SUCCEEDED if number % 7 else RunState.FAILED)
        versions = [
            Version(
                "bench",
                n,
                1e9 + n,
                commit=f"{n:040x}",
                metrics={"roc_auc": 0.7, "log_loss": 0.4},
                params={"depth": "4"},
            )
            for n in range(VERSIONS, 0, -1)
        ]
        journal.versions.replace("bench", versions, fingerprint(project.mlflow) or "asked")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three rounds instead of nine")
    parser.add_argument("--fill", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.fill:
        fill(chosen.fill)
        return 0
    rounds = 3 if chosen.quick else 9
    tools = Path(sys.executable).parent
    podium, mlflow = str(tools / "podium"), str(tools / "mlflow")
    cases = [
        Case("python -c pass", [sys.executable, "-c", "pass"]),
        Case("podium --version", [podium, "--version"], 0.12, "mlflow --version"),
        Case("podium ps -o json", [podium, "ps", "-o", "json"], 0.3, "mlflow runs list"),
        Case("podium ps --all -o json", [podium, "ps", "--all", "-o", "json"]),
        Case("podium status -o json", [podium, "status", "-o", "json"], 0.3),
        Case("podium versions -o json", [podium, "versions", "-o", "json"], 0.4, "mlflow experiments search"),
        Case("podium --help", [podium, "--help"]),
    ]
    peers = {
        "mlflow --version": [mlflow, "--version"],
        "mlflow runs list": [mlflow, "runs", "list", "--experiment-id", "0"],
        "mlflow experiments search": [mlflow, "experiments", "search"],
    }
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory) / "ours"
        home.mkdir()
        # In a process of its own: a child's peak memory is never reported below that of the process that forked it.
        subprocess.run([sys.executable, __file__, "--fill", str(home)], check=True)
        theirs = Path(directory) / "theirs"
        theirs.mkdir()
        os.environ["MLFLOW_TRACKING_URI"] = "sqlite:///mlflow.db"
        for command in peers.values():
            measure(command, theirs)  # once unmeasured: MLflow creates its database
        times: dict[str, list[tuple[float, float]]] = {}
        for _ in range(rounds):
            for case in cases:
                times.setdefault(case.name, []).append(measure(case.command, home))
            for name, command in peers.items():
                if len(times.get(name, ())) < 3:
                    times.setdefault(name, []).append(measure(command, theirs))
    return report(
        cases, {name: (statistics.median(t for t, _ in all_), max(m for _, m in all_)) for name, all_ in times.items()}
    )


def report(cases: Sequence[Case], medians: dict[str, tuple[float, float]]) -> int:
    missed = 0
    print(f"{RUNS:,} runs and {VERSIONS:,} versions in the journal; medians of whole processes\n")
    for case in cases:
        seconds, memory = medians[case.name]
        line = f"{case.name:<26} {seconds:6.3f} s {memory:5.0f} MiB"
        if case.bound is not None:
            missed += seconds > case.bound
            line += f"   bound {case.bound:.2f} s {'met' if seconds <= case.bound else 'MISSED'}"
        if case.peer:
            other, heavy = medians[case.peer]
            line += f"   {case.peer} {other:.2f} s {heavy:.0f} MiB: {other / seconds:.0f} times"
        print(line)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
