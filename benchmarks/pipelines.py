"""What a pipeline of steps that do nothing costs, beside doit and DVC: python benchmarks/pipelines.py [--peers DIR]
[--quick]

Projects are generated in a temporary directory: chains of 50, 200 and 800 steps, a fan of 200 with two jobs, and a
chain of 200 with a file in and a file out for each step, run again when nothing has changed. Whole processes, wall
time, median of several (DVC: one run of the long chains), all in turns. Podium is run as `podium run`, with journal,
logs and worker.

The peers are looked for in DIR/bin (`make bench` installs them below .venv-bench), else on PATH; what one that is
missing would have been the peer of is not measured.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from _measuring import PEERS_VARIABLE, Report, parser, timed

TOOLS = ("podium", "doit", "dvc")


@dataclass(frozen=True)
class Case:
    """`most`: at most so many times a peer's time."""

    name: str
    kind: str
    size: int
    again: bool = False
    most: tuple[tuple[str, float], ...] = ()


CASES = (
    Case("chain of 50", "chain", 50, most=(("doit", 2.0),)),
    Case("chain of 200", "chain", 200, most=(("doit", 1.0), ("dvc", 1 / 30))),
    Case("chain of 800", "chain", 800, most=(("doit", 2.0),)),
    Case("fan of 200, 2 jobs", "fan", 200, most=(("doit", 0.9),)),
    Case("chain of 200, unchanged", "files", 200, again=True, most=(("doit", 1.5), ("dvc", 1 / 8))),
)
QUICK = (
    Case("chain of 5", "chain", 5, most=(("doit", 1.0),)),
    Case("fan of 5, 2 jobs", "fan", 5, most=(("doit", 0.9),)),
    Case("chain of 5, unchanged", "files", 5, again=True, most=(("doit", 1.5),)),
)
# A step of the longest chain, of one of the shortest.
GROWTH = 1.0


def needs(kind: str, number: int) -> str:
    return f"s{number - 1}" if kind != "fan" and number else ""


def podium_project(home: Path, kind: str, size: int) -> None:
    lines = ["project: bench", "pipelines:", "  main:", "    steps:"]
    for n in range(size):
        before = f", needs: [{needs(kind, n)}]" if needs(kind, n) else ""
        files = f", inputs: [in{n}{f', out{n - 1}' if n else ''}], outputs: [out{n}]" if kind == "files" else ""
        command = f"cp in{n} out{n}" if kind == "files" else "true"
        lines.append(f"      s{n}: {{run: '{command}'{before}{files}}}")
    (home / "podium.yaml").write_text("\n".join(lines) + "\n")


def doit_project(home: Path, kind: str, size: int) -> None:
    lines = [
        "DOIT_CONFIG = {'verbosity': 0, 'dep_file': '.doit'}",
        "def task_s():",
        f"    for n in range({size}):",
        "        task = {'name': str(n)}",
    ]
    if kind == "files":
        lines += [
            "        task['actions'] = [f'cp in{n} out{n}']",
            "        task['file_dep'] = [f'in{n}'] + ([f'out{n - 1}'] if n else [])",
            "        task['targets'] = [f'out{n}']",
        ]
    else:
        lines.append("        task['actions'] = ['true']")
        if kind == "chain":
            lines.append("        task['task_dep'] = [f's:{n - 1}'] if n else []")
    (home / "dodo.py").write_text("\n".join([*lines, "        yield task"]) + "\n")


def dvc_project(home: Path, kind: str, size: int, dvc: str) -> None:
    """DVC orders stages by files only, so each stage of a chain writes one."""
    lines = ["stages:"]
    for n in range(size):
        inputs = [f"in{n}"] if kind == "files" else []
        inputs += [f"out{n - 1}"] if kind != "fan" and n else []
        lines += [f"  s{n}:", f"    cmd: {f'cp in{n} out{n}' if kind == 'files' else f'touch out{n}'}"]
        lines += ["    deps:", *(f"    - {name}" for name in inputs)] if inputs else []
        lines += ["    outs:", f"    - out{n}"]
    (home / "dvc.yaml").write_text("\n".join(lines) + "\n")
    subprocess.run(["git", "init", "-q"], cwd=home, check=True, timeout=30)
    subprocess.run([dvc, "init", "-q"], cwd=home, check=True, timeout=60, env=environment())
    subprocess.run([dvc, "config", "core.analytics", "false"], cwd=home, check=True, timeout=60, env=environment())


def environment() -> dict[str, str]:
    return {**os.environ, "DVC_NO_ANALYTICS": "1", "GIT_CONFIG_GLOBAL": os.devnull, "PYTHONDONTWRITEBYTECODE": ""}


def commands(found: dict[str, str], kind: str) -> dict[str, list[str]]:
    jobs = ["-n", "2"] if kind == "fan" else []
    every = {
        "podium": [found.get("podium", ""), "run", "main", "-q", "--jobs", "2"],
        "doit": [found.get("doit", ""), *jobs],
        "dvc": [found.get("dvc", ""), "repro", "-q"],
    }
    return {name: command for name, command in every.items() if name in found}


def wall(command: Sequence[str], cwd: Path) -> float:
    def call() -> None:
        done = subprocess.run(
            command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, timeout=900, env=environment(), check=False
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed: {done.stderr.decode(errors='replace')[-500:]}")

    return timed(call)


def prepare(case: Case, tool: str, home: Path, found: dict[str, str]) -> Callable[[], None]:
    """Writes the project; what has to be done before each measurement so that the tool does all of it again."""
    home.mkdir(parents=True)
    if case.kind == "files":
        for n in range(case.size):
            (home / f"in{n}").write_text(f"{n}\n")
    if tool == "podium":
        podium_project(home, case.kind, case.size)
        return lambda: None
    if tool == "doit":
        doit_project(home, case.kind, case.size)
        return lambda: None
    dvc_project(home, case.kind, case.size, found["dvc"])

    def forget() -> None:
        (home / "dvc.lock").unlink(missing_ok=True)
        shutil.rmtree(home / ".dvc/cache", ignore_errors=True)
        for path in home.glob("out*"):
            path.unlink()
        shutil.rmtree(home / ".dvc/tmp", ignore_errors=True)

    return (lambda: None) if case.again else forget


def measure(case: Case, found: dict[str, str], directory: Path, rounds: int) -> dict[str, float]:
    run = commands(found, case.kind)
    if not any(peer == "dvc" for peer, _ in case.most):
        run.pop("dvc", None)
    homes = {tool: directory / f"{case.kind}-{case.size}-{tool}" for tool in run}
    ready = {tool: prepare(case, tool, home, found) for tool, home in homes.items()}
    times: dict[str, list[float]] = {tool: [] for tool in run}
    # Twice: what was written a moment ago is only trusted the next time.
    for _ in range(2 if case.again else 0):
        for tool, command in run.items():
            wall(command, homes[tool])
    for number in range(rounds):
        for tool, command in run.items():
            if tool == "dvc" and number and not case.again:
                continue
            ready[tool]()
            times[tool].append(wall(command, homes[tool]))
    return {tool: statistics.median(taken) for tool, taken in times.items()}


def show(report: Report, case: Case, taken: dict[str, float]) -> None:
    for peer, most in case.most:
        if peer in taken:
            report.compare(case.name, taken["podium"], peer, taken[peer], most=most)
        else:
            report.not_measured(case.name, f"{peer} is not installed here; `make bench` installs it")


def find(peers: Path | None) -> dict[str, str]:
    found = {"podium": str(Path(sys.executable).parent / "podium")}
    for tool in TOOLS[1:]:
        path = shutil.which(tool, path=str(peers / "bin")) if peers else shutil.which(tool)
        if path:
            found[tool] = path
    return found


def main() -> int:
    options_of = parser(__doc__)
    given = os.environ.get(PEERS_VARIABLE)
    options_of.add_argument("--peers", type=Path, default=given, help="a virtual environment with doit and dvc")
    options = options_of.parse_args()
    report = Report()
    found = find(options.peers.resolve() if options.peers else None)
    steps: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="podium-bench-") as directory:
        for case in QUICK if options.quick else CASES:
            taken = measure(case, found, Path(directory), 1 if options.quick else 7)
            show(report, case, taken)
            steps[case.name] = taken["podium"] / case.size
    if not options.quick:
        short, long = steps["chain of 50"], steps["chain of 800"]
        report.compare("a step in a chain of 800", long, "in one of 50", short, most=GROWTH)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
