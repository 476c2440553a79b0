"""A replica of ours beside `mlflow models serve`, each alone in turn, with a load generator in a process of its own.

    python benchmarks/serving.py [--seconds 5] [--rounds 1] [--form matrix|table|both|batches] [--json FILE]

Served: a logistic regression over four columns. Asked for one row, in two forms: `matrix` (`inputs`, no signature:
the model itself takes a tenth of a millisecond, so the server is what is measured) and `table` (`dataframe_split`
with a signature: scikit-learn alone takes half a millisecond to look at a DataFrame, for every server alike). MLflow
is measured on asyncio + h11, which is what installing it gives, and on uvloop + httptools, which it uses where they
happen to be installed; ours on both as well, with metrics and with capture at its default rate of 1 %.

Last, tables at 32 connections with `batch: {max: 64, wait: 2ms}` beside the same without.

The generator is wrk where it is on PATH, else asyncio streams in Python, which is said, because it then takes much
of one core itself. Memory is the resident memory of the whole process tree under load.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

COLUMNS = ["a", "b", "c", "d"]
ROW = [5.1, 3.5, 1.4, 0.2]
BODIES = {
    "matrix": json.dumps({"inputs": [ROW]}),
    "table": json.dumps({"dataframe_split": {"columns": COLUMNS, "data": [ROW]}}),
}
LOOPS = {"asyncio": "h11", "uvloop": "httptools"}
CONNECTIONS = (1, 8)
# Of the comparison with and without batches; requests/s with, in multiples of those without.
MANY = 32
BATCH_BOUND = 3.0
START = 90.0  # seconds that a server gets to load its model


@dataclass(frozen=True)
class Measured:
    """Milliseconds; `memory` in MiB; `errors` are answers that were not 200 and requests without one."""

    rate: float
    p50: float
    p99: float
    errors: int
    memory: float = 0.0


def save(path: Path, form: str) -> None:
    import mlflow.sklearn
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    x, y = load_iris(return_X_y=True)
    fitted = LogisticRegression(max_iter=500).fit(pd.DataFrame(x, columns=COLUMNS) if form == "table" else x, y)
    signature = (
        ModelSignature(inputs=Schema([ColSpec("double", name) for name in COLUMNS])) if form == "table" else None
    )
    mlflow.sklearn.save_model(
        fitted, path, signature=signature, serialization_format="cloudpickle", pip_requirements=["mlflow"]
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A server process and its children, until `with` ends."""

    def __init__(self, command: list[str], port: int, log: Path, env: dict[str, str]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.log = log
        with log.open("wb") as out:
            every = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", **env}
            self.process = subprocess.Popen(command, stdout=out, stderr=out, env=every, start_new_session=True)

    def __enter__(self) -> Server:
        deadline = time.monotonic() + START
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/ping", timeout=1):
                    return self
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.__exit__()
                    raise SystemExit(
                        f"the server did not start:\n{self.log.read_text(errors='replace')[-2000:]}"
                    ) from None
                time.sleep(0.05)

    def __exit__(self, *_: object) -> None:
        root = self.tree()
        for process in root:
            process.terminate()
        _, left = psutil.wait_procs(root, timeout=10)
        for process in left:
            process.kill()
        self.process.wait()

    def tree(self) -> list[psutil.Process]:
        try:
            root = psutil.Process(self.process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def memory(self) -> float:
        return sum(process.memory_info().rss for process in self.tree()) / 2**20


def mlflow_server(model: Path, loop: str, log: Path) -> Server:
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "serve",
        "-m",
        str(model),
        "--env-manager",
        "local",
        "--port",
        str(port),
    ]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return Server(command, port, log, {"UVICORN_LOOP": loop, "UVICORN_HTTP": LOOPS[loop], "PATH": path})


def our_server(model: Path, loop: str, log: Path, *more: str) -> Server:
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "podium.core.serving.server",
        "--model",
        str(model),
        "--port",
        str(port),
        "--loop",
        loop,
        "--http",
        LOOPS[loop],
        *more,
    ]
    return Server([*command, "--capture-dir", str(log.parent / "capture"), "--capture-rate", "0.01"], port, log, {})


def with_wrk(url: str, body: str, connections: int, seconds: float) -> Measured:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(
            f"wrk.method = 'POST'\nwrk.body = [==[{body}]==]\nwrk.headers['Content-Type'] = 'application/json'\n"
        )
        script.flush()
        command = [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{seconds:g}s",
            "--latency",
            "-s",
            script.name,
            f"{url}/invocations",
        ]
        text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30).stdout
    unit = {"us": 0.001, "ms": 1.0, "s": 1000.0}
    found = {
        share: float(value) * unit[name]
        for share, value, name in re.findall(r"^\s+(\d+)%\s+([\d.]+)(us|ms|s)$", text, re.M)
    }
    bad = sum(int(number) for number in re.findall(r"Non-2xx or 3xx responses: (\d+)", text))
    bad += sum(
        sum(map(int, numbers)) for numbers in re.findall(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    )
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    return Measured(float(rate.group(1)) if rate else 0.0, found["50"], found["99"], bad)


async def one_connection(port: int, body: bytes, until: float, times: list[float]) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = (
        "POST /invocations HTTP/1.1\r\nHost: model\r\nContent-Type: application/json\r\nContent-Length:"
        f" {len(body)}\r\n\r\n".encode()
        + body
    )
    errors = 0
    while time.perf_counter() < until:
        started = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.I)
        await reader.readexactly(int(length.group(1)) if length else 0)
        times.append(time.perf_counter() - started)
        errors += not head.startswith(b"HTTP/1.1 200")
    writer.close()
    return errors


def generate(port: int, body: bytes, connections: int, seconds: float) -> None:
    """The generator's own process: prints what it measured as JSON."""

    async def run() -> Measured:
        times: list[float] = []
        started = time.perf_counter()
        errors = sum(
            await asyncio.gather(*(one_connection(port, body, started + seconds, times) for _ in range(connections)))
        )
        elapsed = time.perf_counter() - started
        times.sort()
        return Measured(
            len(times) / elapsed, 1000 * times[len(times) // 2], 1000 * times[int(len(times) * 0.99)], errors
        )

    print(json.dumps(asdict(asyncio.run(run()))))


def with_python(url: str, body: str, connections: int, seconds: float) -> Measured:
    command = [sys.executable, __file__, "--generate", url.rpartition(":")[2], body, str(connections), str(seconds)]
    return Measured(
        **json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30).stdout)
    )


def measure(server: Server, body: str, seconds: float) -> dict[int, Measured]:
    load = with_wrk if shutil.which("wrk") else with_python
    with server:
        load(server.url, body, 2, 1.0)
        found: dict[int, Measured] = {}
        for connections in CONNECTIONS:
            got = load(server.url, body, connections, seconds)
            found[connections] = Measured(got.rate, got.p50, got.p99, got.errors, server.memory())
    return found


def middle(rounds: list[dict[int, Measured]]) -> dict[int, Measured]:
    """Medians over the rounds; errors are added up."""
    return {
        connections: Measured(
            *(
                statistics.median(getattr(found[connections], name) for found in rounds)
                for name in ("rate", "p50", "p99")
            ),
            sum(found[connections].errors for found in rounds),
            statistics.median(found[connections].memory for found in rounds),
        )
        for connections in CONNECTIONS
    }


def compare(results: dict[str, dict[int, Measured]]) -> dict[str, float]:
    theirs, ours = results["mlflow asyncio"], results["podium uvloop"]
    return {
        "requests/s, as installed, 1 connection": ours[1].rate / theirs[1].rate,
        "requests/s, as installed, 8 connections": ours[8].rate / theirs[8].rate,
        "requests/s, both on asyncio, 8 connections": results["podium asyncio"][8].rate / theirs[8].rate,
        "requests/s, both on uvloop, 8 connections": ours[8].rate / results["mlflow uvloop"][8].rate,
        "p99 at 8 connections": ours[8].p99 / theirs[8].p99,
        "p99 at 8 connections, both on asyncio": results["podium asyncio"][8].p99 / theirs[8].p99,
        "memory": ours[8].memory / theirs[8].memory,
    }


def run(form: str, options: argparse.Namespace) -> dict[str, dict[int, Measured]]:
    makers = {
        f"{name} {loop}": (make, loop)
        for name, make in (("mlflow", mlflow_server), ("podium", our_server))
        for loop in LOOPS
    }
    rounds: dict[str, list[dict[int, Measured]]] = {name: [] for name in makers}
    with tempfile.TemporaryDirectory() as scratch:
        model = Path(scratch) / "model"
        save(model, form)
        for _ in range(options.rounds):
            for name, (make, loop) in makers.items():
                rounds[name].append(
                    measure(make(model, loop, Path(scratch) / "server.log"), BODIES[form], options.seconds)
                )
    return {name: middle(found) for name, found in rounds.items()}


def batches(options: argparse.Namespace) -> dict[str, float]:
    """Tables at MANY connections with and without batches, in turns: prints both, returns the ratio."""
    load = with_wrk if shutil.which("wrk") else with_python
    kinds = {"alone": (), "batches": ("--batch-max", "64", "--batch-wait", "0.002")}
    rounds: dict[str, list[Measured]] = {name: [] for name in kinds}
    with tempfile.TemporaryDirectory() as scratch:
        model = Path(scratch) / "model"
        save(model, "table")
        for _ in range(options.rounds):
            for name, more in kinds.items():
                with our_server(model, "uvloop", Path(scratch) / "server.log", *more) as server:
                    load(server.url, BODIES["table"], MANY, 2.0)
                    rounds[name].append(load(server.url, BODIES["table"], MANY, options.seconds))
    print(f"\n{f'table at {MANY}':<16} {'req/s':>10} {'p50 ms':>8} {'p99 ms':>8} {'errors':>7}")
    rate: dict[str, float] = {}
    for name, found in rounds.items():
        rate[name], p50, p99 = (
            statistics.median(getattr(each, what) for each in found) for what in ("rate", "p50", "p99")
        )
        print(f"{name:<16} {rate[name]:>10,.0f} {p50:>8.2f} {p99:>8.2f} {sum(each.errors for each in found):>7}")
    ratio = rate["batches"] / rate["alone"]
    print(
        f"  requests/s with batches ÷ without: {ratio:.2f}   bound {BATCH_BOUND}"
        f" {'met' if ratio >= BATCH_BOUND else 'MISSED'}"
    )
    return {f"requests/s with batches, {MANY} connections": ratio}


def show(form: str, results: dict[str, dict[int, Measured]]) -> None:
    print(f"\n{form:<16} {'req/s at 1':>10} {'at 8':>8} {'p50 ms':>8} {'p99 ms':>8} {'errors':>7} {'MiB':>6}")
    for name, found in results.items():
        one, eight = found[1], found[8]
        speed = f"{one.rate:>10,.0f} {eight.rate:>8,.0f} {eight.p50:>8.2f} {eight.p99:>8.2f}"
        print(f"{name:<16} {speed} {one.errors + eight.errors:>7} {eight.memory:>6.0f}")
    print("podium ÷ mlflow")
    for name, ratio in compare(results).items():
        print(f"  {name:<44} {ratio:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--form", choices=(*BODIES, "both", "batches"), default="both")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--generate", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.generate:
        port, body, connections, seconds = options.generate
        generate(int(port), body.encode(), int(connections), float(seconds))
        return
    generator = "wrk" if shutil.which("wrk") else "Python (asyncio streams; wrk is not on PATH)"
    print(f"load from {generator}, {options.seconds:g} s each, {os.cpu_count()} cores")
    kept: dict[str, object] = {}
    for form in BODIES if options.form == "both" else (options.form,) if options.form in BODIES else ():
        results = run(form, options)
        show(form, results)
        measured = {name: {str(n): asdict(m) for n, m in found.items()} for name, found in results.items()}
        kept[form] = {"results": measured, "ratios": compare(results)}
    if "table" in kept or options.form == "batches":
        kept["batches"] = {"ratios": batches(options)}
    if options.json:
        options.json.write_text(json.dumps(kept, indent=1))


if __name__ == "__main__":
    main()
