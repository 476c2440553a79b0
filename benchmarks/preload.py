"""What a child costs that has MLflow loaded already: python benchmarks/preload.py [--rounds 5]

The floor is `python -c "import mlflow.pyfunc"`, measured in turns with the rest of the same run. Beside it, from a
preloading server that is there: a child of a built-in step's kind to its end, and two replicas of a small scikit-learn
model until both answer; and the same two replicas as new interpreters. Ends with 1 when a bound is missed.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from podium.core.preload.client import SWITCH, Process, dismiss, start_detached, start_plain
from podium.core.preload.protocol import Child
from podium.core.serving.health import healthy

from benchmarks.serving import free_port, save

# Ratios to the import of mlflow.pyfunc.
STEP_BOUND = 0.35
REPLICAS_BOUND = 0.6
PATIENCE = 120.0


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def floor() -> None:
    command = [sys.executable, "-P", "-c", "import mlflow.pyfunc"]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, timeout=PATIENCE)


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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="two rounds")
    options = parser.parse_args()
    os.environ.pop(SWITCH, None)
    took: dict[str, list[float]] = {"import": [], "step": [], "two replicas": [], "two new interpreters": []}
    with tempfile.TemporaryDirectory() as directory:
        state, model = Path(directory), Path(directory) / "model"
        save(model, "matrix")
        try:
            first = timed(lambda: step(state))
            for _ in range(2 if options.quick else options.rounds):
                took["import"].append(timed(floor))
                took["step"].append(timed(lambda: step(state)))
                took["two replicas"].append(replicas(state, model, preloaded=True))
                took["two new interpreters"].append(replicas(state, model, preloaded=False))
        finally:
            dismiss(state)
    middle = {name: statistics.median(times) for name, times in took.items()}
    print(f"import mlflow.pyfunc             {middle['import']:.2f} s")
    print(f"first child, server to be started {first:.2f} s")
    missed = False
    for name, bound in (("step", STEP_BOUND), ("two replicas", REPLICAS_BOUND), ("two new interpreters", 0.0)):
        ratio = middle[name] / middle["import"]
        said = "" if not bound else f"   bound {bound} {'met' if ratio <= bound else 'MISSED'}"
        missed = missed or bool(bound and ratio > bound)
        print(f"{name:<32} {middle[name]:.2f} s   {ratio:.2f} imports{said}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
