"""What a child costs that has MLflow loaded already: python benchmarks/preload.py [--rounds 5] [--quick]

The floor is `python -c "import mlflow.pyfunc"`, measured in turns with the rest of the same run. Beside it, from a
preloading server that is there: a child of a built-in step's kind to its end, and two replicas of a small scikit-learn
model until both answer; and the same two replicas as new interpreters. Last, the memory of the server with two and
with four replicas that have predicted, beside `mlflow models serve` that has: all that the processes really take, with
what they share counted once (PSS).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable
from pathlib import Path

import psutil
from _measuring import Report, cost, free_port, in_turns, mebibytes, parser, timed, timing
from podium.core.preload.client import SWITCH, Process, dismiss, start_detached, start_plain
from podium.core.preload.protocol import Child
from podium.core.serving.health import healthy
from serving import BODIES, mlflow_server, save

# Ratios to the import of mlflow.pyfunc.
STEP_BOUND = 0.35
REPLICAS_BOUND = 0.6
# Ratios to the memory of one `mlflow models serve`.
TWO_BOUND = 0.45
FURTHER_BOUND = 0.1
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


class Replicas:
    """`count` replicas of a model until the end of `with`; `seconds` passed until all answered /ping with 200."""

    def __init__(self, state: Path, model: Path, count: int, *, preloaded: bool) -> None:
        self.ports = [free_port() for _ in range(count)]
        self.pids: list[int] = []
        self._plain: list[subprocess.Popen[bytes]] = []
        started = time.perf_counter()
        try:
            with Path(os.devnull).open("r+b") as nothing:
                for port in self.ports:
                    self._start(state, model, port, (nothing.fileno(),) * 3, preloaded=preloaded)
            while not all(healthy(port) for port in self.ports):
                if time.perf_counter() - started > PATIENCE:
                    raise SystemExit("a replica does not answer")
                time.sleep(0.02)
        except BaseException:
            self.__exit__()
            raise
        self.seconds = time.perf_counter() - started

    def _start(self, state: Path, model: Path, port: int, streams: tuple[int, int, int], *, preloaded: bool) -> None:
        made = child(
            "podium.core.serving.server",
            *("--model", str(model), "--host", "127.0.0.1", "--port", str(port), "--model-name", "m"),
            detached=True,
        )
        if not preloaded:
            self._plain.append(start_plain(made, streams))
        elif (found := start_detached(state, made, streams)) is not None:
            self.pids.append(found[0])
        else:
            raise SystemExit("the replica did not come from the server")

    def __enter__(self) -> Replicas:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)
        for process in self._plain:
            process.kill()
            process.wait(PATIENCE)


def replicas(state: Path, model: Path, *, preloaded: bool) -> float:
    """Seconds from the start of two replicas until both answer."""
    with Replicas(state, model, 2, preloaded=preloaded) as started:
        return started.seconds


def real(processes: Iterable[psutil.Process]) -> float:
    """MiB that processes take; what several share is counted once."""
    return sum(each.memory_full_info().pss for each in processes) / 2**20


def predict(url: str) -> None:
    body = BODIES["matrix"].encode()
    request = urllib.request.Request(f"{url}/invocations", body, {"Content-Type": "application/json"})
    for _ in range(20):
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            answer.read()


def memory(state: Path, model: Path, count: int) -> float:
    """MiB of the preloading server and `count` of its replicas that have predicted."""
    with Replicas(state, model, count, preloaded=True) as started:
        for port in started.ports:
            predict(f"http://127.0.0.1:{port}")
        server = [
            each
            for each in psutil.process_iter(["cmdline"])
            if {"podium.core.preload.server", str(state / "preload")} <= {*(each.info["cmdline"] or ())}
        ]
        return real([*server, *map(psutil.Process, started.pids)])


def memory_of_mlflow(model: Path, log: Path) -> float:
    with mlflow_server(model, "asyncio", log) as server:
        predict(server.url)
        return real(server.tree())


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
            two, four = memory(state, model, 2), memory(state, model, 4)
            theirs = memory_of_mlflow(model, Path(directory) / "mlflow.log")
        finally:
            dismiss(state)
    report.compare("the first child, server to be started", first, FLOOR, found[FLOOR])
    for name, most in (("a built-in step", STEP_BOUND), ("two replicas", REPLICAS_BOUND)):
        report.compare(name, found[name], FLOOR, found[FLOOR], most=most)
    if not options.quick:
        report.compare("two new interpreters", found["two new interpreters"], FLOOR, found[FLOOR])
    peer = "`mlflow models serve`"
    report.compare("memory of two replicas and their server", two, peer, theirs, most=TWO_BOUND, show=mebibytes)
    report.compare("memory of each further replica", (four - two) / 2, peer, theirs, most=FURTHER_BOUND, show=mebibytes)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
