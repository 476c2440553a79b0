"""What a pipeline of steps that do nothing costs, beside doit and DVC: python benchmarks/pipelines.py [--peers DIR]
[--quick]

Projects are generated in a temporary directory: chains of 50, 200 and 800 steps, a fan of 200 with two jobs, and a
chain of 200 with a file in and a file out for each step, run again when nothing has changed. Whole processes, wall
time, median of several (DVC: one run of the long chains), all in turns, so that a busy machine slows everybody.
Podium is run as `podium run`, with journal, logs and worker.

The peers are looked for in DIR/bin, else on PATH; one that is missing is said and left out:
    python -m venv /tmp/peers && /tmp/peers/bin/pip install doit==0.37.0 dvc==3.67.1

Ends with 1 when a bound that the project has set itself is missed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

TOOLS = ("podium", "doit", "dvc")


@dataclass(frozen=True)
class Case:
    """`bounds`: seconds for Podium, and at most so many times a peer's time."""

    name: str
    kind: str
    size: int
    again: bool = False
    seconds: float | None = None
    ratios: tuple[tuple[str, float], ...] = ()


CASES = (
    Case("chain of 50", "chain", 50),
    Case("chain of 200", "chain", 200, seconds=1.2, ratios=(("doit", 3.0), ("dvc", 1 / 30))),
    Case("chain of 800", "chain", 800),
    Case("fan of 200, 2 jobs", "fan", 200, seconds=0.9),
    Case("chain of 200, unchanged", "files", 200, again=True, seconds=0.25, ratios=(("dvc", 1 / 8),)),
)


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
    began = time.monotonic()
    done = subprocess.run(
        command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, timeout=900, env=environment(), check=False
    )
    seconds = time.monotonic() - began
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {done.stderr.decode(errors='replace')[-500:]}")
    return seconds


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


def measure(case: Case, found: dict[str, str], directory: Path, rounds: int, *, long: bool) -> dict[str, float]:
    run = commands(found, case.kind)
    if not long and (case.size > 200 or (case.size == 200 and case.kind == "chain")):
        run.pop("dvc", None)
    if case.size > 200 or case.kind == "fan":
        run.pop("dvc", None)
    ready = {tool: prepare(case, tool, directory / f"{case.kind}-{case.size}-{tool}", found) for tool in run}
    times: dict[str, list[float]] = {tool: [] for tool in run}
    if case.again:
        # Twice: what was written a moment ago is only trusted the next time.
        for _ in range(2):
            for tool, command in run.items():
                wall(command, directory / f"{case.kind}-{case.size}-{tool}")
    for number in range(rounds):
        for tool, command in run.items():
            if tool == "dvc" and number and not case.again:
                continue
            ready[tool]()
            times[tool].append(wall(command, directory / f"{case.kind}-{case.size}-{tool}"))
    return {tool: statistics.median(taken) for tool, taken in times.items()}


def report(case: Case, taken: dict[str, float]) -> list[str]:
    """Prints one line; the bounds that were missed."""
    cells = [f"{taken[tool]:8.3f}" if tool in taken else "       –" for tool in TOOLS]
    ratios = [f"{taken['podium'] / taken[tool]:8.3f}" if tool in taken else "       –" for tool in TOOLS[1:]]
    print(f"{case.name:26}", *cells, f"{1000 * taken['podium'] / case.size:8.2f}", *ratios, flush=True)
    missed: list[str] = []
    if case.seconds and taken["podium"] > case.seconds:
        missed.append(f"{case.name}: {taken['podium']:.3f} s, the bound is {case.seconds} s")
    for peer, bound in case.ratios:
        if peer in taken and taken["podium"] / taken[peer] > bound:
            missed.append(
                f"{case.name}: {taken['podium'] / taken[peer]:.3f} of {peer}'s time, the bound is {bound:.3f}"
            )
    return missed


def find(peers: Path | None) -> dict[str, str]:
    found = {"podium": str(Path(sys.executable).parent / "podium")}
    for tool in TOOLS[1:]:
        path = shutil.which(tool, path=str(peers / "bin")) if peers else shutil.which(tool)
        if path:
            found[tool] = path
        else:
            print(f"{tool} is not installed here and is left out (see this file's first lines)")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--peers", type=lambda text: Path(text).resolve(), help="a virtual environment with doit and dvc"
    )
    parser.add_argument("--quick", action="store_true", help="one round, and no long run of DVC")
    options = parser.parse_args()
    found = find(options.peers)
    missed: list[str] = []
    print(
        f"{'seconds':26}",
        *(f"{tool:>8}" for tool in TOOLS),
        f"{'ms/step':>8}",
        *(f"{'/ ' + tool:>8}" for tool in TOOLS[1:]),
    )
    with tempfile.TemporaryDirectory(prefix="podium-bench-") as directory:
        for case in CASES:
            missed += report(
                case, measure(case, found, Path(directory), 1 if options.quick else 5, long=not options.quick)
            )
    for line in missed:
        print(f"missed: {line}")
    print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
