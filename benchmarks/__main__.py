"""`make bench`: every benchmark in turn, each a script of its own that also runs alone.

    python -m benchmarks [--quick] [NAME ...]

Ends with 0 only if everything was measured and every bound was met: with 3 if one was missed, with 4 if something was
not measured, with 1 if a script failed. `--quick` runs each once at its smallest size, several side by side: whether it
still runs, not what it costs.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks._measuring import MISSED, NOT_MEASURED, REPORT_VARIABLE
from tests.runner.scale import scaled, settle

HERE = Path(__file__).parent
# Seconds that one script may take on a quiet machine.
PATIENCE, QUICK_PATIENCE = 1800.0, 90.0
STOP_PATIENCE = 20.0
# Side by side they begin first, so that none of them is left alone at the end.
LONG = ("docker_delivery", "images", "rollback", "versions", "serving")


@dataclass
class Outcome:
    """What has become of all scripts."""

    failed: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    unmeasured: list[str] = field(default_factory=list)

    def take(self, name: str, code: int, report: Path) -> None:
        if code not in (0, MISSED, NOT_MEASURED):
            self.failed.append(f"{name}: it ended with {code}")
        for line in report.read_text().splitlines():
            found = json.loads(line)
            self.missed += [f"{name}: {words}" for words in found["missed"]]
            self.unmeasured += [f"{name}: {words}" for words in found["unmeasured"]]

    def end(self) -> int:
        """Says all of it at the end, where it is seen; the exit code."""
        print()
        for words, lines in (("failed", self.failed), ("missed", self.missed), ("not measured", self.unmeasured)):
            print(*(f"{words}: {line}" for line in lines), sep="\n", end="\n" if lines else "")
        if self.failed:
            return 1
        if self.missed or self.unmeasured:
            return MISSED if self.missed else NOT_MEASURED
        print("every bound was met")
        return 0


def run(name: str, options: Sequence[str], report: Path, *, patience: float, together: bool) -> int:
    """Runs one script; its lines are shown as they come, or together when it has ended. Returns its exit code."""
    # Timings of uncompiled Python say little about an installed Podium.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, str(HERE / f"{name}.py"), *options]
    began = time.monotonic()
    if not together:
        print(f"\n== {name}", flush=True)
    process = subprocess.Popen(
        command,
        env=environment | {REPORT_VARIABLE: str(report)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if together else None,
        stderr=subprocess.STDOUT if together else None,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        said = f"{stop(process)}\n{name} did not end within {patience:.0f} s\n"
    except BaseException:
        stop(process)
        raise
    if together:
        print(f"\n== {name} ({time.monotonic() - began:.0f} s)\n{said}", end="", flush=True)
    return process.returncode


def stop(process: subprocess.Popen[str]) -> str:
    """Ends a script, first in words, so that it stops what it started; what it had said."""
    process.send_signal(signal.SIGINT)
    try:
        return process.communicate(timeout=STOP_PATIENCE)[0] or ""
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.communicate()[0] or ""


def scripts() -> list[str]:
    return [path.stem for path in sorted(HERE.glob("*.py")) if not path.name.startswith("_")]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="each once, at its smallest size")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these: " + ", ".join(scripts()))
    asked = parser.parse_args()
    if unknown := sorted({*asked.names} - {*scripts()}):
        parser.error(f"there is no benchmark {', '.join(unknown)}")
    outcome = Outcome()
    options = ["--quick"] if asked.quick else []
    settle()
    patience = scaled(QUICK_PATIENCE if asked.quick else PATIENCE)
    with tempfile.TemporaryDirectory(prefix="podium-bench-") as directory:

        def one(name: str) -> None:
            report = Path(directory) / name
            report.touch()
            outcome.take(name, run(name, options, report, patience=patience, together=asked.quick), report)

        names = asked.names or scripts()
        # Side by side nothing can be measured, but a script that no longer runs is found in half the time.
        with ThreadPoolExecutor(2 if asked.quick else 1) as pool:
            list(pool.map(one, sorted(names, key=lambda name: name not in LONG) if asked.quick else names))
    return outcome.end()


if __name__ == "__main__":
    raise SystemExit(main())
