"""Promotions and rollbacks of containers under load, and what the proxy in front costs.

    python benchmarks/docker_delivery.py [--rounds 3] [--rate 200] [--seconds 8] [--quick]

A real project on this machine's engine: MLflow's store, versions of a small model, their images (built before
anything is measured), the real serving app in containers, HAProxy in two. A process of its own asks 200 times a
second over 8 connections and counts every failure.

- four promotions, image present, two replicas, blue-green: failed requests, p99 while the traffic is switched (from
  0.1 s before all of it has moved until a second after: aliases and checks are done meanwhile) beside p99 at rest just
  before; of the four ratios the median, since a p99 of a second hangs on two requests. The whole promotion has no
  bound: before, two containers load the model on the same cores, and after it two are stopped;
- rollback to the version that is warm, and to one whose containers are stopped, from the command's start to the first
  answer of the old version, beside the same step by hand: `docker stop` of one container, `docker start` of the other
  one, until it is healthy;
- requests/s through the proxy, beside the same replica asked directly (wrk).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _measuring import ROOT, Report, free_port, in_turns, parser, per_second, seconds, timed
from rollback import QUESTION, Watcher, podium, register, within

# Of p99 at rest; of the same step by hand; of the replica's requests/s.
P99, WARM, STOPPED, PROXY = 2.0, 0.3, 1.5, 0.85
SWITCH, BACK_WARM, BACK_STOPPED, THROUGH = (
    "p99 while a promotion moves traffic",
    "rollback to warm containers",
    "rollback to stopped containers",
    "requests through the proxy",
)
VERSIONS = 3
PODIUM_YAML = """\
project: iris
docker: {{base: "{base}", sbom: false}}
pipelines: {{release: {{steps: {{out: {{uses: promote, environment: production, version: 1}}}}}}}}
environments:
  production: {{driver: docker, port: {port}, replicas: {replicas}, health_timeout: 3m, {kept}, proxy_image: "{proxy}",
               strategy: {{blue-green: {{drain: 5s}}}}}}
  single: {{driver: docker, port: {single}, replicas: 1, health_timeout: 3m, proxy_image: "{proxy}"}}
"""


@dataclass(frozen=True)
class Options:
    """How long and how often is measured."""

    rounds: int
    rate: float
    seconds: float
    quick: bool


@dataclass(frozen=True)
class Heard:
    """What the client saw: failed requests, and [moment, milliseconds] of all."""

    failed: int
    failures: list[Any]
    times: list[tuple[float, float]]

    def p99(self, start: float, end: float) -> float:
        inside = sorted(took for at, took in self.times if start <= at <= end)
        return inside[int(0.99 * len(inside))] if inside else 0.0


class Load:
    def __init__(self, port: int, directory: Path, rate: float) -> None:
        self._report = directory / "client.json"
        command = [
            sys.executable,
            str(ROOT / "tests/servers/client.py"),
            str(port),
            str(self._report),
            "--rate",
            str(rate),
            "--times",
        ]
        self._process = subprocess.Popen([*command, "--body", QUESTION.decode()])

    def end(self) -> Heard:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)
        found = json.loads(self._report.read_text())
        return Heard(found["failed"], found["failures"], [(at, took) for at, took in found["times"]])


def promote(home: Path, version: int, environment: str = "production") -> None:
    podium(home, "promote", str(version), "-e", environment, "--yes", "--force", "--why", "benchmark")


def stop(home: Path) -> None:
    from podium.core.cockpit import Cockpit

    cockpit = Cockpit.open(home)
    cockpit.environments.stop()
    cockpit.close()


def lift(home: Path, version: int) -> None:
    podium(home, "quarantine", "lift", str(version))


def switching(home: Path, port: int, version: int, rate: float, seconds: float) -> tuple[Heard, dict[str, float]]:
    """The version comes beside the one that serves; its containers are not there yet."""
    from podium.core.cockpit import Cockpit

    load = Load(port, home, rate)
    time.sleep(seconds + 1)
    began = time.time()
    promote(home, version)
    ended = time.time()
    time.sleep(1.0)
    heard = load.end()
    cockpit = Cockpit.open(home)
    try:
        [row, *_] = cockpit.environments.history("production")
        run = next(run for run in cockpit.runs.list(limit=5) if run.id == row.run_id)
    finally:
        cockpit.close()
    shifted = run.created + float(str(row.data["traffic_seconds"]))
    return heard, {
        "rest": heard.p99(began - seconds, began),
        "switch": heard.p99(shifted - 0.1, shifted + 1.0),
        "whole": heard.p99(began, ended),
        "seconds": ended - began,
    }


def back(home: Path, port: int, rounds: int, rate: float) -> tuple[list[float], Heard]:
    """Seconds of each rollback from version 3 to version 2, with requests running. Afterwards no version is
    quarantined: a quarantine is that of the commit as well, and all three versions come from this checkout's."""
    taken: list[float] = []
    load = Load(port, home, rate)
    for number in range(rounds):
        if number:
            lift(home, 3)
            promote(home, 3)
        time.sleep(1.0)
        watcher = Watcher(port, "2")
        began = time.monotonic()
        podium(home, "rollback", "-e", "production", "--yes", "--why", "benchmark")
        taken.append(watcher.wait(120.0) - began)
    lift(home, 3)
    return taken, load.end()


def wrk(url: str, seconds: float) -> tuple[float, int]:
    """(requests/s, failed) of 8 connections."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(
            f"wrk.method = 'POST'\nwrk.body = [==[{QUESTION.decode()}]==]\nwrk.headers['Content-Type'] ="
            " 'application/json'\n"
        )
        script.flush()
        command = ["wrk", "-t1", "-c8", f"-d{seconds:g}s", "-s", script.name, f"{url}/invocations"]
        text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30).stdout
    bad = sum(int(number) for number in re.findall(r"Non-2xx or 3xx responses: (\d+)", text))
    bad += sum(
        sum(map(int, numbers)) for numbers in re.findall(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    )
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    return float(rate.group(1)) if rate else 0.0, bad


def by_hand(api: Any, container: str, port: int) -> float:
    """Seconds from `docker stop` of the container until it serves again after `docker start`."""

    def restart() -> None:
        api.stop(container, timeout=10)
        api.start(container)
        [network] = api.inspect_container(container)["NetworkSettings"]["Networks"].values()
        Watcher(port, "", network["IPAddress"]).wait(180.0)

    return timed(restart)


def alone(report: Report, api: Any, home: Path, port: int, rounds: int, length: float) -> float:
    """The proxy in front of one replica, beside the replica itself; returns the seconds of stopping and
    starting that replica by hand."""
    from podium.core.cockpit import Cockpit

    podium(home, "deploy", "2", "-e", "single", "--yes")
    cockpit = Cockpit.open(home)
    try:
        [row] = [row for row in cockpit.environments.get("single").replicas if row.weight]
    finally:
        cockpit.close()
    urls = {"direct": f"http://{row.address}:{row.port}", "through": f"http://127.0.0.1:{port}"}

    def rate(url: str) -> float:
        found, bad = wrk(url, length)
        if bad:
            raise SystemExit(f"{bad} requests to {url} failed")
        return found

    if shutil.which("wrk") is None:
        report.not_measured(THROUGH, "wrk is not installed")
    else:
        wrk(urls["through"], 1.0)
        found = in_turns({name: lambda u=url: rate(u) for name, url in urls.items()}, rounds)
        show = per_second("requests")
        report.compare(THROUGH, found["through"], "the replica itself", found["direct"], least=PROXY, show=show)
    return statistics.median(by_hand(api, row.container, row.port) for _ in range(rounds))


def promotions(report: Report, home: Path, port: int, versions: Sequence[int], rate: float, length: float) -> None:
    switched = [switching(home, port, version, rate, length) for version in versions]
    for what, bound in (("switch", P99), ("whole", None)):
        ratios = sorted((p99[what] / p99["rest"], p99[what], p99["rest"]) for _, p99 in switched)
        _, ours, rest = ratios[len(ratios) // 2]
        name = SWITCH if what == "switch" else "  during the whole of it"
        report.compare(name, ours / 1e3, "p99 at rest", rest / 1e3, most=bound)
    asked = sum(len(heard.times) for heard, _ in switched)
    report.count("  requests lost", sum(heard.failed for heard, _ in switched), 0, f" of {asked:,}")


def measure(
    report: Report, api: Any, home: Path, ports: tuple[int, int], settings: dict[str, object], options: Options
) -> None:
    def configure(kept: str) -> None:
        (home / "podium.yaml").write_text(PODIUM_YAML.format(**settings, kept=kept))

    configure("keep: 1, keep_stopped: 0")
    for number in (1, 2) if options.quick else (3, 1, 2):  # builds each image
        promote(home, number)
    if not options.quick:
        stop(home)
        promote(home, 1)
        promote(home, 2)
    versions = (3,) if options.quick else (3, 1, 2, 3)  # 3 is out of the way again when it is promoted
    promotions(report, home, ports[0], versions, options.rate, options.seconds)
    warm, warm_heard = back(home, ports[0], options.rounds, options.rate)
    configure("keep: 0, keep_stopped: 1")
    promote(home, 3)
    cold, cold_heard = back(home, ports[0], options.rounds, options.rate)
    stop(home)
    hand = alone(report, api, home, ports[1], options.rounds, options.seconds)
    for name, taken, heard, most in (
        (BACK_WARM, warm, warm_heard, WARM),
        (BACK_STOPPED, cold, cold_heard, STOPPED),
    ):
        report.compare(name, statistics.median(taken), "`docker stop`, `docker start`", hand, most=most)
        report.figure("  worst", f"{seconds(max(taken)):>18}")
        report.count("  requests lost", heard.failed, 0, f" of {len(heard.times):,}")


def main() -> int:
    options_of = parser(__doc__)
    options_of.add_argument("--rounds", type=int, default=3)
    options_of.add_argument("--rate", type=float, default=200.0, help="requests/s")
    options_of.add_argument(
        "--seconds", type=float, default=8.0, help="how long rest, and each turn of wrk, is measured"
    )
    asked = options_of.parse_args()
    options = Options(asked.rounds, asked.rate, asked.seconds, quick=False)
    if asked.quick:
        options = Options(rounds=1, rate=50.0, seconds=1.0, quick=True)
    from tests.servers import dockerd

    report = Report()
    if dockerd.answers(dockerd.LOCAL):
        on_engine(report, options)
    else:
        for name in (SWITCH, BACK_WARM, BACK_STOPPED, THROUGH):
            report.not_measured(name, "no Docker engine answers")
    return report.end()


def on_engine(report: Report, options: Options) -> None:
    import docker
    from podium.core.containers.engine import labels

    from tests.servers import images

    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ.pop("DOCKER_HOST", None)
    with tempfile.TemporaryDirectory(prefix="podium-docker-") as directory, docker.APIClient(timeout=120) as api:
        home = Path(directory)
        ports = free_port(), free_port()
        settings: dict[str, object] = {
            "base": images.ensure(api, images.PYTHON),
            "proxy": images.ensure(api, images.HAPROXY),
            "port": ports[0],
            "single": ports[1],
            "replicas": 1 if options.quick else 2,
        }
        (home / "podium.yaml").write_text(PODIUM_YAML.format(**settings, kept="keep: 1"))
        register(home, [0.1 * number for number in range(1, VERSIONS + 1)])
        try:
            within(home, lambda: measure(report, api, home, ports, settings, options))
        finally:
            for image in api.images(filters={"label": f"{labels.HOME}={labels.home_id(home)}"}):
                api.remove_image(image["Id"], force=True)


if __name__ == "__main__":
    raise SystemExit(main())
