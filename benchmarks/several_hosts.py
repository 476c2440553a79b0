"""Promotion over three hosts, and the loss of one:
python benchmarks/several_hosts.py [--rounds 5] [--replicas 3] [--only promotion|loss] [--quick]

Three real engines, each in a network of its own, over SSH (tests/servers/nodes.py); as many replicas on one of them and
on all three, in turns, of a server that is up in a tenth of a second, so that what is measured is Podium's and the
engine's own. The image is there before. From the request to the end of the rollout: started, healthy, warmed up, all
traffic moved, drained, verified, cleaned up. The replicas are the same number, the proxies two on each host. Besides:
bringing the image of a new version to all three, beside the same by `docker save` and `docker load` of the whole image.

Then one of the three is killed, with `podium watch` as the agent and `replace: 30s`, while clients send 200 requests a
second to the other two: from the kill until what it had serves elsewhere and every proxy finds it up, beside `replace`
and what `docker run` of the same image takes until it is healthy. A request may fail that was underway when the host
was killed; none that came after that.
"""

from __future__ import annotations

import itertools
import os
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from _measuring import Report, in_turns, parser, timed

PROMOTION = 1.3  # times that on one host
REPLACE = 30.0  # seconds
QUICK_REPLACE = 5.0
# Times `replace` and the start of one replica: with the start in a second, about as much as `replace` and 15 s.
REPLACED = 1.45
RATE = 200.0  # requests/s, over the hosts that are left
CONNECTIONS = 8  # of each client


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--replicas", type=int, default=3)
    options.add_argument("--only", choices=("promotion", "loss"))
    chosen = options.parse_args()
    rounds, replicas = (1, 3) if chosen.quick else (chosen.rounds, chosen.replicas)
    report = Report()
    from tests.servers import nodes

    if why := nodes.missing():
        report.not_measured("promotion over three hosts", why)
        return report.end()
    with tempfile.TemporaryDirectory(prefix="podium-bench-") as directory, nodes.Nodes(3) as found:
        os.environ["PATH"] = found.path
        if chosen.only != "loss":
            _measure(report, Path(directory), found, rounds, replicas)
        if chosen.only != "promotion":
            _loss(report, Path(directory) / "lost", found, QUICK_REPLACE if chosen.quick else REPLACE, min(rounds, 3))
    return report.end()


def _measure(report: Report, home: Path, found: list, rounds: int, replicas: int) -> None:
    from tests.delivery.hosts.hosted import Hosted

    one, three = home / "one", home / "three"
    worlds = {}
    for name, place, hosts in (("one host", one, found[:1]), ("three hosts", three, found)):
        place.mkdir()
        world = worlds[name] = Hosted(
            place, hosts, replicas=replicas, stale="serve", health_timeout=300.0, keep_stopped=0
        )
        for version in range(1, rounds + 2):
            world.version(version)
            world.runtime.driver.prepare(version)
        world.deploy(1)
    next_version = dict.fromkeys(worlds, 1)

    def promote(name: str) -> Callable[[], float]:
        def call() -> float:
            next_version[name] += 1
            return timed(lambda: worlds[name].deploy(next_version[name]))

        return call

    figures = in_turns({name: promote(name) for name in worlds}, rounds)
    what = f"promotion of {replicas} replicas over three hosts"
    report.compare(what, figures["three hosts"], "on one host", figures["one host"], most=PROMOTION)
    _images(report, worlds["three hosts"], found, rounds + 2)
    for world in worlds.values():
        world.close()


def _images(report: Report, world, found: list, version: int) -> None:
    """A new version's image, brought to the two hosts that lack it, and all of it by hand, one host after the other."""
    world.version(version)
    said = len(world.said)
    ours = timed(lambda: world.runtime.driver.prepare(version))
    image = world.journal.images.get(world.runtime.model, version, world.nodes[0].address)
    began = time.perf_counter()
    for node in found[1:]:
        save = ["docker", "-H", f"unix://{found[0].socket}", "save", image.image_id]
        with subprocess.Popen(save, stdout=subprocess.PIPE) as saved:
            load = ["docker", "-H", f"unix://{node.socket}", "load", "-q"]
            subprocess.run(load, stdin=saved.stdout, check=True, stdout=subprocess.DEVNULL, timeout=600)
    report.compare(
        "image of a new version to three hosts", ours, "docker save, docker load", time.perf_counter() - began
    )
    for line in world.said[said:]:
        if line.startswith("sending"):
            report.figure("", line)


def _loss(report: Report, home: Path, found: list, replace: float, rounds: int) -> None:
    """Another host is killed in each round, and brought back."""
    from podium.core.containers import open_engine
    from podium.core.containers.engine.address import parse

    from tests.chaos.engine import furnish
    from tests.chaos.world import World
    from tests.servers import images
    from tests.servers.mlflow import MlflowServer

    home.mkdir()
    for node in found:  # as a registry would have brought it there
        with open_engine(parse(f"unix://{node.socket}")) as engine:
            images.ensure(engine.api, images.HAPROXY)
    settings = {
        "hosts": f"[{', '.join(node.address for node in found)}]",
        "bind": "0.0.0.0",
        "open": "true",
        "replace": f"{replace:g}s",
        "health_timeout": "300s",
        "proxy_image": images.HAPROXY,
    }
    with (
        MlflowServer() as server,
        open_engine(parse(f"unix://{found[0].socket}")) as engine,
        World(home, server, "docker", more=settings, replicas=3) as world,
    ):
        furnish(world, engine)
        world.start_agent()
        versions = itertools.cycle((1, 2, 3))
        losses = []
        for number in range(rounds):
            version = next(versions)
            world.done(world.promote(version), 600)  # which spreads the replicas again
            world.settled(120)
            losses.append(_lose(world, version, found, found[-1 - number % len(found)]))
    times, floors, held, late, asked = (list(each) for each in zip(*losses, strict=True))
    floor = replace + statistics.median(floors)
    what = f"a host is killed, until 3 replicas serve again, replace {replace:g} s"
    report.compare(what, statistics.median(times), "replace and `docker run`", floor, most=REPLACED)
    report.figure(
        "the same, the longest; `docker run` until healthy", f"{max(times):.1f} s; {statistics.median(floors):.2f} s"
    )
    report.count(f"requests underway at the kill, lost, at {RATE:g}/s", sum(held), 2 * CONNECTIONS * rounds)
    report.count("requests after it, lost", sum(late), 0, of=f" of {sum(asked):,}")


def _lose(world, version: int, found: list, victim) -> tuple[float, float, int, int, int]:
    """Returns the seconds until all replicas serve elsewhere, what `docker run` takes for one, how many requests were
    lost that were underway when the host was killed, how many that came later, and how many were sent."""
    left = [node for node in found if node is not victim]
    floor = _run(world, version, left[0])
    clients = [
        world.client(
            host=node.ip,
            rate=RATE / len(left),
            timeout=10.0,
            report=world.home.parent / f"client-of-{node.root.name}.json",
        )
        for node in left
    ]
    for client in clients:
        client.fresh()
    began = time.perf_counter()
    victim.kill()
    killed = time.time()
    deadline = began + 600
    while not _replaced(world, version, victim):
        if time.perf_counter() > deadline:
            raise SystemExit(f"nothing was replaced\n{world.evidence()}")
        time.sleep(0.1)
    took = time.perf_counter() - began
    for client in clients:
        client.fresh()
    victim.boot()
    world.settled(300)
    seen = [client.close() for client in clients]
    world.clients.clear()
    failures = [at for each in seen for at, _ in each.failures]
    late = sum(at > killed for at in failures)
    return took, floor, len(failures) - late, late, sum(each.asked for each in seen)


def _replaced(world, version: int, victim) -> bool:
    """Tells whether every replica of the version is on another host, ready, and up for every proxy that is left."""
    from podium.core.delivery.environment.runtime import EnvironmentRuntime

    project = world.cockpit.project.config
    runtime = EnvironmentRuntime(project, world.cockpit.journal, project.environment("production"))
    rows = runtime.replicas(version)
    if not rows or any(row.host == victim.ip or row.state != "ready" or not row.weight for row in rows):
        return False
    up = {stat.name for stat in runtime.proxy.stats() if stat.kind == "server" and stat.up}
    return {row.slot for row in rows} <= up


def _run(world, version: int, node) -> float:
    """Returns the seconds from `docker run` of a version's image on a host until it is healthy."""
    docker = ["docker", "-H", f"unix://{node.socket}"]
    began = time.perf_counter()
    rows = world.cockpit.journal.replicas.of("production")
    image = next(row.image for row in rows if row.version == version)  # it was sent without a name
    run = [*docker, "run", "-d", "-p", "18080:8080", image]
    container = subprocess.run(run, capture_output=True, text=True, check=True, timeout=300).stdout.strip()
    while True:
        with suppress(OSError), urllib.request.urlopen(f"http://{node.ip}:18080/ping", timeout=5) as answer:
            if answer.status == 200:
                break
        time.sleep(0.02)
    took = time.perf_counter() - began
    subprocess.run([*docker, "rm", "-f", container], check=True, stdout=subprocess.DEVNULL, timeout=300)
    return took


if __name__ == "__main__":
    raise SystemExit(main())
