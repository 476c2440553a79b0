"""A replica of ours beside `mlflow models serve`, each alone in turn, with a load generator in a process of its own.

    python benchmarks/serving.py [--seconds 5] [--rounds 1] [--form FORM] [--json FILE]

FORM: both (all of it), matrix, table, batches, requests, hardened, front.

Served: a logistic regression over four columns. Asked for one row, in two forms: `matrix` (`inputs`, no signature:
the model itself takes a tenth of a millisecond, so the server is what is measured) and `table` (`dataframe_split`
with a signature: scikit-learn alone takes half a millisecond to look at a DataFrame, for every server alike). MLflow
is measured on asyncio + h11, which is what installing it gives, and on uvloop + httptools, which it uses where they
happen to be installed; ours on both as well, with metrics and with capture at its default rate of 1 %.
Last, tables at 32 connections with batches beside the same without, and the matrix with a line kept of every request
beside the same without; and a replica as an environment has it beside one without what holds off bad requests: the
memory of those that end processes, the thread that stands by, and the bounds of what a request holds. Then what the
proxy in front costs that knows its clients: tokens and limits, and TLS, each beside a plain proxy in front of the same
replica.

The generator is wrk where it is on PATH, else asyncio streams in Python, which is said, because it then takes much
of one core itself. Memory is the resident memory of the whole process tree under load.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import psutil
from _measuring import Report, free_port, in_turns, mebibytes, parser, per_second
from podium.core.delivery.environment.certificate import read as read_certificate
from podium.core.delivery.proxy.front import Front
from podium.core.delivery.proxy.haproxy import BackendServer, ProxyLayout
from podium.core.delivery.proxy.proxy import Proxy, of_process
from podium.core.domain.access.clients import Tls

COLUMNS = ["a", "b", "c", "d"]
ROW = [5.1, 3.5, 1.4, 0.2]
BODIES = {
    "matrix": json.dumps({"inputs": [ROW]}),
    "table": json.dumps({"dataframe_split": {"columns": COLUMNS, "data": [ROW]}}),
}
TOKEN = "benchmark-" + "x" * 43
LOOPS = {"asyncio": "h11", "uvloop": "httptools"}
CONNECTIONS = (1, 8)
# Ratios to MLflow's, of a matrix and of a table.
RATE, RATE_ASYNCIO, P99, MEMORY = 2.5, 1.5, 0.1, 0.5
# Tables at so many connections with `batch: {max: 64, wait: 2ms}`: requests/s, in multiples of those without.
MANY, BATCH = 32, 3.0
# Requests/s with a line of every request, in multiples of those without; measured in so many turns at least.
KEPT, KEPT_ROUNDS = 0.98, 9
# Requests in a second of CPU with all that holds off bad requests, in multiples of those without.
HARDENED, HARDENED_ROUNDS = 0.97, 9
# A replica without it.
UNGUARDED = """
from podium.core.serving import app, scoring, server, standby
standby.Standby.start = lambda self: None
async def nothing(self, body, content_type): return None
app.App._beyond = nothing
scoring.Scorer._require = lambda self, body, content_type: None
scoring.Shape.require_document = lambda self, body, document: None
raise SystemExit(server.main())
"""
# Requests in a second of CPU through a proxy that asks for tokens and counts, in multiples of a plain one's.
GUARDED, GUARDED_ROUNDS = 0.97, 9
START = 300.0  # seconds that a server gets to load its model


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

    def cpu(self) -> float:
        """Returns the seconds of CPU that it has used."""
        return sum(used.user + used.system for used in (process.cpu_times() for process in self.tree()))

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


def our_server(
    model: Path,
    loop: str,
    log: Path,
    *more: str,
    program: tuple[str, ...] = ("-m", "podium.core.serving.server"),
    port: int = 0,
) -> Server:
    port = port or free_port()
    command = [
        sys.executable,
        *program,
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


def with_wrk(url: str, body: str, connections: int, seconds: float, **headers: str) -> Measured:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(
            f"wrk.method = 'POST'\nwrk.body = [==[{body}]==]\nwrk.headers['Content-Type'] = 'application/json'\n"
        )
        script.write("".join(f"wrk.headers['{name}'] = '{value}'\n" for name, value in headers.items()))
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
        load(server.url, body, 2, min(seconds, 1.0))
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


def compare(report: Report, form: str, results: dict[str, dict[int, Measured]]) -> None:
    """Ours as installed beside MLflow's as installed, and beside MLflow's on the same loop."""
    theirs, ours, same = results["mlflow asyncio"], results["podium uvloop"], results.get("podium asyncio")
    peer, rate = "mlflow models serve", per_second("requests")
    report.compare(f"{form}, 1 connection", ours[1].rate, peer, theirs[1].rate, show=rate)
    report.compare(f"{form}, 8 connections", ours[8].rate, peer, theirs[8].rate, least=RATE, show=rate)
    if same:
        line = f"{form}, 8 connections, both on asyncio"
        report.compare(line, same[8].rate, peer, theirs[8].rate, least=RATE_ASYNCIO, show=rate)
    if "mlflow uvloop" in results:
        fast = results["mlflow uvloop"][8]
        report.compare(f"{form}, 8 connections, both on uvloop", ours[8].rate, peer, fast.rate, show=rate)
    report.compare(f"{form}, p99 at 8 connections", ours[8].p99 / 1e3, peer, theirs[8].p99 / 1e3, most=P99)
    report.compare(f"{form}, memory", ours[8].memory, peer, theirs[8].memory, most=MEMORY, show=mebibytes)
    report.count(f"{form}, errors", sum(found.errors for found in ours.values()), 0)


def run(form: str, rounds: int, seconds: float, *, quick: bool) -> dict[str, dict[int, Measured]]:
    makers = {
        f"{name} {loop}": (make, loop)
        for name, make, installed in (("mlflow", mlflow_server, "asyncio"), ("podium", our_server, "uvloop"))
        for loop in LOOPS
        if not quick or loop == installed
    }
    found: dict[str, list[dict[int, Measured]]] = {name: [] for name in makers}
    with tempfile.TemporaryDirectory() as scratch:
        model = Path(scratch) / "model"
        save(model, form)
        for _ in range(rounds):
            for name, (make, loop) in makers.items():
                found[name].append(measure(make(model, loop, Path(scratch) / "server.log"), BODIES[form], seconds))
    return {name: middle(each) for name, each in found.items()}


def batches(report: Report, rounds: int, seconds: float) -> None:
    """Requests/s with and without batches, in turns."""
    load = with_wrk if shutil.which("wrk") else with_python
    errors = [0]
    with tempfile.TemporaryDirectory() as scratch:
        model = Path(scratch) / "model"
        save(model, "table")

        def rate(*more: str) -> float:
            with our_server(model, "uvloop", Path(scratch) / "server.log", *more) as server:
                load(server.url, BODIES["table"], MANY, 2.0)
                found = load(server.url, BODIES["table"], MANY, seconds)
            errors[0] += found.errors
            return found.rate

        calls = {"without": rate, "with": lambda: rate("--batch-max", "64", "--batch-wait", "0.002")}
        found = in_turns(calls, rounds)
    line = f"table, {MANY} connections, with batches"
    report.compare(line, found["with"], "without", found["without"], least=BATCH, show=per_second("requests"))
    report.count(f"table, {MANY} connections, errors", errors[0], 0)


def requests(report: Report, rounds: int, seconds: float) -> None:
    """Requests in a second of the replica's CPU, of the matrix, which takes the model the least, with and without a
    line of every request. A busy replica answers as many in a second; what else the machine does is not in it."""
    load = with_wrk if shutil.which("wrk") else with_python
    errors = [0]
    with tempfile.TemporaryDirectory() as scratch:
        model = Path(scratch) / "model"
        save(model, "matrix")

        def rate(server: Server) -> float:
            before = server.cpu()
            found = load(server.url, BODIES["matrix"], 8, seconds)
            errors[0] += found.errors
            return found.rate * seconds / (server.cpu() - before)

        # Both run all the time, so that they are as warm as each other: an idle one takes nothing.
        plain = our_server(model, "uvloop", Path(scratch) / "plain.log")
        kept = our_server(model, "uvloop", Path(scratch) / "kept.log", "--keep-requests")
        with plain, kept:
            for server in (plain, kept):
                load(server.url, BODIES["matrix"], 8, 1.0)
            found = in_turns({"without": lambda: rate(plain), "with": lambda: rate(kept)}, max(rounds, KEPT_ROUNDS))
    line = "matrix, 8 connections, with every request kept"
    report.compare(line, found["with"], "without", found["without"], least=KEPT, show=per_second("requests"))
    report.count("matrix, 8 connections, errors", errors[0], 0)


def hardened(report: Report, rounds: int, seconds: float) -> None:
    """Requests in a second of the replica's CPU with and without what holds off bad ones, of both forms."""
    load = with_wrk if shutil.which("wrk") else with_python
    errors = [0]
    for form in BODIES:
        with tempfile.TemporaryDirectory() as scratch:
            model = Path(scratch) / "model"
            save(model, form)

            def rate(server: Server, body: str = BODIES[form]) -> float:
                before = server.cpu()
                found = load(server.url, body, 8, seconds)
                errors[0] += found.errors
                return found.rate * seconds / (server.cpu() - before)

            plain = our_server(model, "uvloop", Path(scratch) / "plain.log", program=("-c", UNGUARDED))
            guarded_ = our_server(model, "uvloop", Path(scratch) / "kept.log", "--guard", str(Path(scratch) / "guard"))
            with plain, guarded_:
                for server in (plain, guarded_):
                    load(server.url, BODIES[form], 8, 1.0)
                calls = {"without": lambda: rate(plain), "with": lambda: rate(guarded_)}  # noqa: B023
                found = in_turns(calls, max(rounds, HARDENED_ROUNDS))
        line = f"{form}, 8 connections, with all that holds off bad ones"
        report.compare(line, found["with"], "without", found["without"], least=HARDENED, show=per_second("requests"))
    report.count("with and without, errors", errors[0], 0)


def fronts(scratch: Path, port: int) -> dict[str, Proxy]:
    """Starts proxies of several kinds in front of one replica; each is the two instances of an environment."""
    tokens = {hashlib.sha256(TOKEN.encode()).hexdigest().upper(): "predict:bench"}
    asks = Front(asks_tokens=True, guards_metrics=True, tokens=tokens, rate=1e6, connections=100_000)
    pem, fingerprint = certificate(scratch)
    shows = Front(certificate=pem, fingerprint=fingerprint)
    kinds = {"plain": Front(), "tokens": asks, "tls": shows}
    found: dict[str, Proxy] = {}
    for name, front in kinds.items():
        directory = scratch / name
        directory.mkdir()
        found[name] = of_process(directory, name)
        found[name].ensure(ProxyLayout("127.0.0.1", free_port(), (BackendServer("r", port, 100),), front=front))
    return found


def certificate(scratch: Path) -> tuple[str, str]:
    """Makes a certificate on the curve that most have today; returns it with its key, and its fingerprint."""
    made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    paths = ["-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(["openssl", "req", "-x509", *made, *paths], cwd=scratch, check=True, capture_output=True, timeout=60)
    found = read_certificate(scratch, Tls("cert.pem", "key.pem", "localhost"))
    return found.pem, found.fingerprint


class Fronted:
    """Proxies of several kinds in front of one replica."""

    def __init__(self, server: Server, scratch: Path, seconds: float) -> None:
        self.server, self._scratch, self._seconds = server, scratch, seconds
        self.errors = 0
        self.replica: list[float] = []
        """What the replica used in each turn, in seconds of CPU for a request."""

    def used(self, name: str, **headers: str) -> float:
        """Returns what one kind of proxy uses, in seconds of CPU for a request."""
        port = re.search(r"bind 127.0.0.1:(\d+)", (self._scratch / name / "haproxy.cfg").read_text())
        assert port is not None
        url = f"{'https' if name == 'tls' else 'http'}://127.0.0.1:{port[1]}"
        pids = [int(path.read_text()) for path in (self._scratch / name).glob("haproxy*.pid")]
        proof = {"Authorization": f"Bearer {TOKEN}"} if name == "tokens" else {}
        replica, proxy = self.server.cpu(), used_by(pids)
        found = with_wrk(url, BODIES["matrix"], 8, self._seconds, **proof, **headers)
        self.errors += found.errors
        requests_ = found.rate * self._seconds
        self.replica.append((self.server.cpu() - replica) / requests_)
        return (used_by(pids) - proxy) / requests_

    def rates(self, calls: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
        """Returns requests in a second of the CPU of replica and proxy together. The replica does the same behind each
        proxy, so what it used is that of all turns; a difference is the proxies' own. Of each the least counts: what
        else the machine does empties caches, which only adds."""
        self.replica.clear()
        found: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(rounds):
            for name, call in calls.items():
                found[name].append(call())
        return {name: 1 / (min(self.replica) + min(proxy)) for name, proxy in found.items()}


def guarded(report: Report, rounds: int, seconds: float) -> None:
    """What proxies that know their clients cost beside a plain one."""
    if not shutil.which("wrk"):
        report.not_measured("through a proxy that asks for tokens", "wrk is not on PATH")
        return
    with tempfile.TemporaryDirectory() as made:
        scratch = Path(made)
        model = scratch / "model"
        save(model, "matrix")
        with our_server(model, "uvloop", scratch / "server.log") as server:
            proxies = fronts(scratch, int(server.url.rpartition(":")[2]))
            try:
                fronted, turns = Fronted(server, scratch, seconds), max(rounds, GUARDED_ROUNDS)
                kept = fronted.rates({name: partial(fronted.used, name) for name in proxies}, turns)
                closing = {name: partial(fronted.used, name, Connection="close") for name in ("plain", "tls")}
                new = fronted.rates(closing, turns)
            finally:
                for proxy in proxies.values():
                    proxy.stop()
    show = per_second("requests")
    report.compare(
        "through the proxy, with tokens and limits", kept["tokens"], "plain", kept["plain"], least=GUARDED, show=show
    )
    report.compare("through the proxy, with TLS", kept["tls"], "plain", kept["plain"], show=show)
    report.compare("the same, a connection for each request", new["tls"], "plain", new["plain"], show=show)
    report.count("through the proxy, errors", fronted.errors, 0)


def used_by(pids: list[int]) -> float:
    """Returns the seconds of CPU that processes have used, to the nanosecond: a tick of the usual clock is a fifth of
    what a proxy uses in a second."""
    tasks = (task for pid in pids for task in Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def main() -> int:
    options_of = parser(__doc__)
    options_of.add_argument("--seconds", type=float, default=5.0)
    options_of.add_argument("--rounds", type=int, default=1)
    options_of.add_argument(
        "--form", choices=(*BODIES, "both", "batches", "requests", "hardened", "front"), default="both"
    )
    options_of.add_argument("--json", type=Path)
    options_of.add_argument("--generate", nargs=4, help=argparse.SUPPRESS)
    options = options_of.parse_args()
    if options.generate:
        port, body, connections, length = options.generate
        generate(int(port), body.encode(), int(connections), float(length))
        return 0
    report = Report()
    seconds = 1.0 if options.quick else options.seconds  # wrk takes whole seconds
    chosen = tuple(BODIES) if options.form == "both" else (options.form,)
    forms = ("table",) if options.quick else tuple(form for form in chosen if form in BODIES)
    generator = "wrk" if shutil.which("wrk") else "Python (asyncio streams; wrk is not on PATH)"
    report.figure("load", f"from {generator}, {seconds:g} s each")
    kept: dict[str, object] = {}
    for form in forms:
        results = run(form, options.rounds, seconds, quick=options.quick)
        compare(report, form, results)
        kept[form] = {name: {str(n): asdict(m) for n, m in found.items()} for name, found in results.items()}
    if options.form in ("matrix", "both", "requests"):
        requests(report, options.rounds, seconds)
    if options.form in ("both", "hardened"):
        hardened(report, options.rounds, seconds)
    if options.form in ("table", "both", "batches"):
        batches(report, options.rounds, seconds)
    if options.form in ("both", "front"):
        guarded(report, options.rounds, seconds)
    if options.json:
        options.json.write_text(json.dumps(kept, indent=1))
    return report.end()


if __name__ == "__main__":
    raise SystemExit(main())
