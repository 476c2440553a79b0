"""How long a rollback to the warm version takes, from the command's start to the first answer of the old version,
with requests running: python benchmarks/rollback.py [--rounds 5] [--rate 200] [--replicas 2] [--quick]

A real project in a directory of its own: MLflow's store, two versions of a small model, the real serving app,
HAProxy. A process of its own sends `--rate` requests/s to /invocations over 8 connections and counts every failure;
another connection asks /version every 5 ms and so sees the moment of change. The peer is the same step back by hand, as
one does it without Podium: stop `mlflow models serve` of the new version, start it with the old one, on the same port.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from _measuring import Report, free_port, parser, seconds

# Times stopping and starting `mlflow models serve`.
BOUND = 0.15
QUESTION = json.dumps({"inputs": [[5.1, 3.5, 1.4, 0.2]]}).encode()
PODIUM_YAML = """\
project: iris
pipelines: {{release: {{steps: {{one: {{run: "true"}}}}}}}}
environments:
  production: {{driver: process, port: {port}, replicas: {replicas}, strategy: {{blue-green: {{drain: 5s}}}}}}
"""
GENERATOR = """
import http.client, json, sys, threading, time
port, rate, clients, body = int(sys.argv[1]), float(sys.argv[2]), 8, sys.argv[3].encode()
stop, lock, counts, first = threading.Event(), threading.Lock(), {"answered": 0, "failed": 0}, []
def client():
    connection, due = http.client.HTTPConnection("127.0.0.1", port, timeout=10), time.monotonic()
    while not stop.is_set():
        due += clients / rate
        try:
            connection.request("POST", "/invocations", body=body, headers={"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            good = answer.status == 200
        except (OSError, http.client.HTTPException):
            connection.close()
            good = False
        with lock:
            counts["answered" if good else "failed"] += 1
        stop.wait(max(0.0, due - time.monotonic()))
threads = [threading.Thread(target=client) for _ in range(clients)]
[thread.start() for thread in threads]
sys.stdin.readline()
stop.set()
[thread.join() for thread in threads]
print(json.dumps(counts))
"""


class Load:
    """The generator's process; `counts` once it has ended."""

    def __init__(self, port: int, rate: float) -> None:
        self.counts: dict[str, int] = {}
        command = [sys.executable, "-c", GENERATOR, str(port), str(rate), QUESTION.decode()]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Load:
        time.sleep(1.0)
        return self

    def __exit__(self, *_: object) -> None:
        self.counts = json.loads(self._process.communicate("\n", timeout=60)[0])


class Watcher:
    """Notes when /version begins to answer `wanted` (or, without one, when /ping answers 200 again)."""

    def __init__(self, port: int, wanted: str, host: str = "127.0.0.1") -> None:
        self.at: float | None = None
        self._host, self._port, self._wanted = host, port, wanted
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=2)
        while not self._stop.is_set() and self.at is None:
            try:
                connection.request("GET", "/version" if self._wanted else "/ping")
                answer = connection.getresponse()
                body = answer.read()
                if answer.status == 200 and (not self._wanted or json.loads(body)["version"] == self._wanted):
                    self.at = time.monotonic()
            except (OSError, ValueError, KeyError, http.client.HTTPException):
                connection.close()
            self._stop.wait(0.005)
        connection.close()

    def wait(self, seconds: float) -> float:
        self._thread.join(seconds)
        self._stop.set()
        if self.at is None:
            raise SystemExit(f"version {self._wanted or '(any)'} did not answer within {seconds} s")
        return self.at


def podium(home: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "podium.cli", *arguments, "-C", str(home)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"podium {' '.join(arguments)} ended with {done.returncode}\n{done.stdout}{done.stderr}")


def register(home: Path, strengths: Sequence[float] = (0.1, 1.0)) -> list[str]:
    """A version for each; the directories of their models."""
    import mlflow
    from podium.core.config import load
    from podium.core.registry.prepare import prepare
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    project = load(home)
    prepare(project.mlflow, project.state)
    mlflow.set_tracking_uri(project.mlflow.tracking_uri)
    mlflow.set_experiment(project.mlflow.experiment)
    rows, truth = load_iris(return_X_y=True)
    for strength in strengths:
        with mlflow.start_run():
            mlflow.sklearn.log_model(
                LogisticRegression(C=strength, max_iter=500).fit(rows, truth),
                name="model",
                input_example=rows[:2],
                registered_model_name="iris",
            )
    return [mlflow.artifacts.download_artifacts(f"models:/iris/{number}") for number in range(1, len(strengths) + 1)]


def ours(home: Path, port: int, rounds: int, rate: float) -> tuple[list[float], dict[str, int]]:
    taken: list[float] = []
    with Load(port, rate) as load:
        for number in range(rounds):
            if number:
                podium(home, "quarantine", "lift", "2")
                podium(home, "promote", "2", "-e", "production", "--yes", "--force", "--why", "the benchmark goes on")
            time.sleep(1.0)
            watcher = Watcher(port, "1")
            began = time.monotonic()
            podium(home, "rollback", "-e", "production", "--yes", "--why", "benchmark")
            taken.append(watcher.wait(60.0) - began)
    return taken, load.counts


def serve(model: str, port: int) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "serve",
        "-m",
        model,
        "-p",
        str(port),
        "-h",
        "127.0.0.1",
        "--env-manager",
        "local",
    ]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(command, start_new_session=True, env={**os.environ, "PATH": path}, **quiet)


def end(process: subprocess.Popen[bytes]) -> None:
    """With its children, which MLflow puts into a session of their own."""
    import psutil

    whole = (
        [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        if process.poll() is None
        else []
    )
    for one in whole:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.terminate()
    for one in psutil.wait_procs(whole, timeout=10)[1]:
        one.kill()
    process.wait()


def by_hand(models: list[str], port: int, rate: float) -> tuple[float, dict[str, int]]:
    old, new = models
    process = serve(new, port)
    try:
        Watcher(port, "").wait(120.0)
        with Load(port, rate) as load:
            began = time.monotonic()
            end(process)
            process = serve(old, port)
            taken = Watcher(port, "").wait(120.0) - began
    finally:
        end(process)
    return taken, load.counts


def within(home: Path, action: Callable[[], None]) -> None:
    """`action`, and whatever it started ended afterwards."""
    try:
        action()
    finally:
        from podium.core.cockpit import Cockpit

        cockpit = Cockpit.open(home)
        cockpit.environments.stop()
        cockpit.close()


def measure(report: Report, home: Path, models: list[str], port: int, rounds: int, rate: float) -> None:
    for number in (1, 2):
        podium(home, "promote", str(number), "-e", "production", "--yes", "--force", "--why", "benchmark")
    taken, counts = ours(home, port, rounds, rate)
    peer, what = "`mlflow models serve` stopped and started", "rollback to the warm version, median"
    if not models:
        report.not_measured(what, f"{peer} is left out with --quick")
    else:
        hand, lost = by_hand(models, free_port(), rate)
        report.compare(what, statistics.median(taken), peer, hand, most=BOUND)
        report.figure("  requests lost by hand", f"{lost['failed']:>18,}")
    report.figure("  worst", f"{seconds(max(taken)):>18}")
    asked = counts["answered"] + counts["failed"]
    report.count(f"requests lost in {2 * rounds - 1} promotions and rollbacks", counts["failed"], 0, f" of {asked:,}")


def main() -> int:
    options_of = parser(__doc__)
    options_of.add_argument("--rounds", type=int, default=5)
    options_of.add_argument("--rate", type=float, default=200.0, help="requests/s")
    options_of.add_argument("--replicas", type=int, default=2)
    options = options_of.parse_args()
    rounds, replicas = (1, 1) if options.quick else (options.rounds, options.replicas)
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    report = Report()
    with tempfile.TemporaryDirectory(prefix="podium-rollback-") as directory:
        home, port = Path(directory), free_port()
        (home / "podium.yaml").write_text(PODIUM_YAML.format(port=port, replicas=replicas))
        models = register(home)
        hand = [] if options.quick else models
        within(home, lambda: measure(report, home, hand, port, rounds, options.rate))
    return report.end()


if __name__ == "__main__":
    raise SystemExit(main())
