"""What the benchmarks share: their options, the cost of a child, measuring in turns, and the lines that they print.

Every bound is a ratio to a peer or a floor that was measured in the same run, in turns with ours: what else the machine
does slows both. A script ends with 0 if every bound was met, with `MISSED` if one was not, with `NOT_MEASURED` if all
that could be measured were met; with anything else it could not do its work.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# What is measured are installed programs: pip compiles what it installs. Where nobody may write byte code, every start
# would compile Podium, which is a checkout, and not its peers.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

MISSED, NOT_MEASURED = 3, 4
# Where `python -m benchmarks` wants to read what was missed and what was not measured, a JSON object a line.
REPORT_VARIABLE = "PODIUM_BENCH_REPORT"
# The environment that `make bench` installs the peers in.
PEERS_VARIABLE = "PODIUM_BENCH_PEERS"


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Returns a parser that knows `--quick`, described by the first paragraph of the script's docstring."""
    made = argparse.ArgumentParser(description=(doc or "").split("\n\n")[0])
    made.add_argument("--quick", action="store_true", help="the smallest sizes: whether it runs, not what it costs")
    return made


@dataclass(frozen=True)
class Cost:
    """What one process took: `seconds` on the clock, `cpu` seconds with its children's, MiB of `memory` at most."""

    seconds: float
    cpu: float
    memory: float


def cost(command: Sequence[str], cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Cost:
    """Runs a process to its end; SystemExit with its last words when it fails."""
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    with process.stderr:
        said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {said.decode(errors='replace')[-2000:]}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def timed(call: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Returns the seconds that one call takes."""
    began = clock()
    call()
    return clock() - began


def timing(call: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> Callable[[], float]:
    """Returns a call that returns the seconds it took, for `in_turns`."""
    return lambda: timed(call, clock)


def in_turns(calls: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Calls all of them, one after the other, `rounds` times; returns the median of the figures that each returned."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            found[name].append(call())
    return {name: statistics.median(figures) for name, figures in found.items()}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def seconds(value: float) -> str:
    if value >= 1.0:
        return f"{value:,.2f} s"
    return f"{value * 1e3:,.1f} ms" if value >= 1e-3 else f"{value * 1e6:,.1f} µs"


def per_second(what: str) -> Callable[[float], str]:
    return lambda value: f"{value:,.0f} {what}/s"


def mebibytes(value: float) -> str:
    return f"{value:,.0f} MiB"


def share(value: float) -> str:
    """A share of one core."""
    return f"{value:.2%}"


class Report:
    """Prints a line for each figure, and knows in the end what was missed and what was not measured."""

    def __init__(self) -> None:
        self._missed: list[str] = []
        self._unmeasured: list[str] = []
        print(f"  {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}", flush=True)

    def figure(self, what: str, value: str) -> None:
        """A figure that has no bound."""
        print(f"  {what:<52} {value}", flush=True)

    def compare(
        self,
        what: str,
        ours: float,
        peer: str,
        theirs: float,
        *,
        most: float | None = None,
        least: float | None = None,
        show: Callable[[float], str] = seconds,
    ) -> None:
        """Our figure beside that of a peer or a floor, and the ratio that is allowed, if any is."""
        ratio = ours / theirs if theirs else float("inf")
        line = f"{show(ours):>18}   {peer} {show(theirs)}   {ratio:.3g}×"
        if most is not None:
            line += self._judge(f"{what}: {ratio:.3g}× {peer}", f"at most {most:.3g}×", ratio <= most)
        if least is not None:
            line += self._judge(f"{what}: {ratio:.3g}× {peer}", f"at least {least:.3g}×", ratio >= least)
        self.figure(what, line)

    def count(self, what: str, found: int, most: int, of: str = "") -> None:
        """A number of things that may not be larger."""
        self.figure(what, f"{found:>18,}{of}{self._judge(f'{what}: {found:,}', f'at most {most:,}', found <= most)}")

    def not_measured(self, what: str, why: str) -> None:
        self._unmeasured.append(f"{what}: {why}")
        self.figure(what, f"not measured: {why}")

    def _judge(self, words: str, bound: str, met: bool) -> str:
        if not met:
            self._missed.append(f"{words}, {bound}")
        return f"   {bound}   {'met' if met else 'MISSED'}"

    def end(self) -> int:
        """Says what was missed and what was not measured, also to `python -m benchmarks`; the exit code."""
        if path := os.environ.get(REPORT_VARIABLE):
            with Path(path).open("a") as file:
                file.write(json.dumps({"missed": self._missed, "unmeasured": self._unmeasured}) + "\n")
        for words, lines in (("missed", self._missed), ("not measured", self._unmeasured)):
            for line in lines:
                print(f"{words}: {line}")
        return MISSED if self._missed else NOT_MEASURED if self._unmeasured else 0
