"""Promotion over three hosts, beside one: python benchmarks/several_hosts.py [--rounds 5] [--replicas 3] [--quick]

Three real engines, each in a network of its own, over SSH (tests/servers/nodes.py); as many replicas on one of them and
on all three, in turns, of a server that is up in a tenth of a second, so that what is measured is Podium's and the
engine's own. The image is there before. From the request to the end of the rollout: started, healthy, warmed up, all
traffic moved, drained, verified, cleaned up. The replicas are the same number, the proxies two on each host. Besides:
bringing the image of a new version to all three, beside the same by `docker save` and `docker load` of the whole image.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from _measuring import Report, in_turns, parser, timed

PROMOTION = 1.3  # times that on one host


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--replicas", type=int, default=3)
    chosen = options.parse_args()
    rounds, replicas = (1, 3) if chosen.quick else (chosen.rounds, chosen.replicas)
    report = Report()
    from tests.servers import nodes

    if why := nodes.missing():
        report.not_measured("promotion over three hosts", why)
        return report.end()
    with tempfile.TemporaryDirectory(prefix="podium-bench-") as directory, nodes.Nodes(3) as found:
        os.environ["PATH"] = found.path
        _measure(report, Path(directory), found, rounds, replicas)
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


if __name__ == "__main__":
    raise SystemExit(main())
