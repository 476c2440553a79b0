"""What a child costs that has MLflow loaded already: python benchmarks/preload.py [--rounds 5] [--quick]

The floor is `python -c "import mlflow.pyfunc"`, measured in turns with the rest of the same run. Beside it, from a
preloading server that is there: a child of a built-in step's kind to its end, and two replicas of a small scikit-learn
model until both answer; and the same two replicas as new interpreters.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _measuring import Report, cost, free_port, in_turns, parser, timed, timing
from podium.core.preload.client import SWITCH, Process, dismiss, start_detached, start_plain
from podium.core.preload.protocol import Child
from podium.core.serving.health import healthy
from serving import save

# Ratios to the import of mlflow.pyfunc.
STEP_BOUND = 0.35
REPLICAS_BOUND = 0.6
PATIENCE = 120.0
FLOOR = "`import mlflow.pyfunc`"


def child(module: str, *arguments: str, detached: bool = False) -> Child:
    return Child(module, arguments, {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}, "/", (0, 1, 2), detached)


def step(state: Path) -> None:
    """A child that imports what a gate asks a model with, is asked nothing, and ends."""
    with Path(os.devnull).open("r+b") as nothing:
        process = Process(state, child("podium.core.quality.model_main", "0"), (nothing.fileno(),) * 3)
        if process.wait(PATIENCE) or not process.preloaded:
            raise SystemExit("the child did not come from the server")


def replicas(state: Path, model: Path, *, preloaded: bool) -> float:
    """Seconds from the start of two replicas until both answer /ping with 200."""
    ports = [free_port(), free_port()]
    pids: list[int] = []
    plain: list[subprocess.Popen[bytes]] = []
    started = time.perf_counter()
    try:
        with Path(os.devnull).open("r+b") as nothing:
            for port in ports:
                made = child(
                    "podium.core.serving.server",
                    *("--model", str(model), "--host", "127.0.0.1", "--port", str(port), "--model-name", "m"),
                    detached=True,
                )
                streams = (nothing.fileno(),) * 3
                if not preloaded:
                    plain.append(start_plain(made, streams))
                elif (found := start_detached(state, made, streams)) is not None:
                    pids.append(found[0])
                else:
                    raise SystemExit("the replica did not come from the server")
        while not all(healthy(port) for port in ports):
            if time.perf_counter() - started > PATIENCE:
                raise SystemExit("a replica does not answer")
            time.sleep(0.02)
        return time.perf_counter() - started
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for process in plain:
            process.kill()
            process.wait(PATIENCE)


def main() -> int:
    options_of = parser(__doc__)
    options_of.add_argument("--rounds", type=int, default=5)
    options = options_of.parse_args()
    os.environ.pop(SWITCH, None)
    report = Report()
    with tempfile.TemporaryDirectory() as directory:
        state, model = Path(directory), Path(directory) / "model"
        save(model, "matrix")
        try:
            first = timed(lambda: step(state))
            calls = {
                FLOOR: lambda: cost([sys.executable, "-P", "-c", "import mlflow.pyfunc"]).seconds,
                "a built-in step": timing(lambda: step(state)),
                "two replicas": lambda: replicas(state, model, preloaded=True),
                "two new interpreters": lambda: replicas(state, model, preloaded=False),
            }
            if options.quick:
                del calls["two new interpreters"]
            found = in_turns(calls, 1 if options.quick else options.rounds)
        finally:
            dismiss(state)
    report.compare("the first child, server to be started", first, FLOOR, found[FLOOR])
    for name, most in (("a built-in step", STEP_BOUND), ("two replicas", REPLICAS_BOUND)):
        report.compare(name, found[name], FLOOR, found[FLOOR], most=most)
    if not options.quick:
        report.compare("two new interpreters", found["two new interpreters"], FLOOR, found[FLOOR])
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
