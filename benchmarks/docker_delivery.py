"""Promotions and rollbacks of containers under load, and what the proxy in front costs.

    python benchmarks/docker_delivery.py [--rounds 3] [--rate 200] [--seconds 8] [--json FILE]

A real project on this machine's engine: MLflow's store, versions of a small model, their images (built before
anything is measured), the real serving app in containers, HAProxy in two. A process of its own asks 200 times a
second over 8 connections and counts every failure.

- four promotions, image present, two replicas, blue-green: failed requests, p99 while the traffic is switched (from
  0.1 s before all of it has
  moved until a second after: aliases and checks are done meanwhile) and during the whole promotion (before that two
  containers load the model on the
  same cores, and after it two are stopped), beside p99 at rest just before; of the four ratios the median, since a
  p99 of a second hangs on two
  requests;
- rollback to the version that is warm, and to one whose containers are stopped: from the command's start to the
  first answer of the old version;
- requests/s through the proxy, beside the same replica asked directly (wrk).

Ends with 1 when a bound is missed.
"""

from __future__ import annotations

import argparse
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rollback import QUESTION, Watcher, podium, register, within

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
P99, WARM, STOPPED, PROXY = 2.0, 1.0, 10.0, 0.85
VERSIONS = 3
PODIUM_YAML = """\
project: iris
docker: {{base: "{base}", sbom: false}}
pipelines: {{release: {{steps: {{out: {{uses: promote, environment: production, version: 1}}}}}}}}
environments:
  production: {{driver: docker, port: {port}, replicas: 2, health_timeout: 3m, {kept}, proxy_image: "{proxy}",
               strategy: {{blue-green: {{drain: 5s}}}}}}
  single: {{driver: docker, port: {single}, replicas: 1, health_timeout: 3m, proxy_image: "{proxy}"}}
"""


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
    """Seconds of each rollback from version 3 to version 2, with requests running."""
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
        taken.append(watcher.wait(30.0) - began)
        print(f"  {taken[-1]:.3f} s", flush=True)
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


def proxy_cost(home: Path, port: int, rounds: int, seconds: float) -> tuple[float, float]:
    """Requests/s of one replica: (asked directly, through the proxy); medians of turns."""
    from podium.core.cockpit import Cockpit

    podium(home, "deploy", "2", "-e", "single", "--yes")
    cockpit = Cockpit.open(home)
    try:
        [row] = [row for row in cockpit.environments.get("single").replicas if row.weight]
    finally:
        cockpit.close()
    direct, through = [], []
    wrk(f"http://127.0.0.1:{port}", 1.0)
    for _ in range(rounds):
        for url, found in ((f"http://{row.address}:{row.port}", direct), (f"http://127.0.0.1:{port}", through)):
            rate, bad = wrk(url, seconds)
            if bad:
                raise SystemExit(f"{bad} requests to {url} failed")
            found.append(rate)
    return statistics.median(direct), statistics.median(through)


def measure(home: Path, ports: tuple[int, int], settings: dict[str, object], options: argparse.Namespace) -> int:
    def configure(kept: str) -> None:
        (home / "podium.yaml").write_text(PODIUM_YAML.format(**settings, kept=kept))

    configure("keep: 1, keep_stopped: 0")
    for number in (3, 1, 2):  # builds each image; version 3 is out of the way again when it is promoted
        promote(home, number)
    stop(home)
    promote(home, 1)
    promote(home, 2)
    print(
        "promotion with its image present, p99 at rest, while switching, and during the whole, with the start of two"
        " containers on the same cores:"
    )
    switched = [switching(home, ports[0], version, options.rate, options.seconds) for version in (3, 1, 2, 3)]
    lost = sum(heard.failed for heard, _ in switched)
    for heard, p99 in switched:
        times = (
            f"{p99['rest']:5.1f} ms  {p99['switch']:5.1f} ms {p99['switch'] / p99['rest']:.2f}×  {p99['whole']:5.1f} ms"
            f" {p99['whole'] / p99['rest']:.2f}×"
        )
        print(f"  {p99['seconds']:4.1f} s  {len(heard.times)} requests, {heard.failed} failed  {times}")
    ratio = statistics.median(p99["switch"] / p99["rest"] for _, p99 in switched)
    print(f"  while switching {ratio:.2f}× in the median (bound {P99}), {lost} failed (bound 0)")
    print("rollback to the warm version:")
    warm, warm_heard = back(home, ports[0], options.rounds, options.rate)
    print(
        f"  {statistics.median(warm):.3f} s median, {max(warm):.3f} s worst (bound {WARM}); {warm_heard.failed}"
        " requests failed (bound 0)"
    )
    configure("keep: 0, keep_stopped: 1")
    lift(home, 3)
    promote(home, 3)
    print("rollback to stopped containers:")
    cold, cold_heard = back(home, ports[0], options.rounds, options.rate)
    print(
        f"  {statistics.median(cold):.2f} s median, {max(cold):.2f} s worst (bound {STOPPED}); {cold_heard.failed}"
        " requests failed (bound 0)"
    )
    stop(home)
    direct, through = proxy_cost(home, ports[1], options.rounds, options.seconds) if shutil.which("wrk") else (1.0, 1.0)
    print(
        f"the proxy in front: {through:,.0f} requests/s, the replica alone {direct:,.0f}: {through / direct:.3f} (bound"
        f" {PROXY})"
    )
    if options.json:
        found = {
            "p99": [p99 for _, p99 in switched],
            "warm": warm,
            "stopped": cold,
            "direct": direct,
            "proxied": through,
        }
        options.json.write_text(json.dumps(found, indent=1))
    failed = lost + warm_heard.failed + cold_heard.failed
    missed = (
        ratio > P99 or statistics.median(warm) > WARM or statistics.median(cold) > STOPPED or through < PROXY * direct
    )
    return 1 if failed or missed else 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Containers promoted and rolled back under load.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=200.0, help="requests/s")
    parser.add_argument("--seconds", type=float, default=8.0, help="how long rest, and each turn of wrk, is measured")
    parser.add_argument("--json", type=Path)
    options, _ = parser.parse_known_args()
    import docker
    from podium.core.containers.engine import labels
    from podium.core.delivery.host.ports import free_port

    from tests.servers import dockerd, images

    if not dockerd.answers(dockerd.LOCAL):
        print("not measured: no Docker engine answers")
        return 0
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
        }
        (home / "podium.yaml").write_text(PODIUM_YAML.format(**settings, kept="keep: 1"))
        register(home, [0.1 * number for number in range(1, VERSIONS + 1)])
        try:
            return within(home, lambda: measure(home, ports, settings, options))
        finally:
            for image in api.images(filters={"label": f"{labels.HOME}={labels.home_id(home)}"}):
                api.remove_image(image["Id"], force=True)


if __name__ == "__main__":
    raise SystemExit(main())
