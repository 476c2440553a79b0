"""Everything goes wrong, a thousand times: `python -m tests.chaos [--faults 1000] [--seed N] [--driver light|docker]`.

A project with an agent, two replicas, two instances of the proxy and a client that never stops asking is changed again and
again, and in every round up to three faults of `faults/catalogue.py` strike at moments that come from the seed. While it runs,
the status has to be readable and true; after each round ledger, aliases, proxies and answers have to agree, nothing may run
that nobody knows, the audit has to be whole, and each request that was lost has to be excused by its fault. Prints what was
run, what could not be run here and why, what was lost to what, and every finding with the words that repeat its round:
`--seed N --round K`. Ends with 1 if there are findings.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from podium.core.containers import Engine, open_engine
from podium.core.containers.engine.address import LOCAL_SOCKET, parse

from tests.chaos.engine import clear, furnish
from tests.chaos.faults import ground, rounds
from tests.chaos.faults.catalogue import FAULTS
from tests.chaos.faults.drawing import draw
from tests.chaos.faults.ground import Ground
from tests.chaos.faults.tally import Tally
from tests.chaos.faults.victims import Scene
from tests.chaos.faults.watching import Watch
from tests.chaos.light import announce
from tests.chaos.world import Client, World
from tests.runner import hooks, scale
from tests.servers import images
from tests.servers.dockerd import Dockerd
from tests.servers.mlflow import MlflowServer

MAX_FINDINGS = 10


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Everything goes wrong, and nothing may be lost.")
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--round", type=int, help="only this round of the seed")
    parser.add_argument(
        "--driver", choices=("light", "docker"), default="light", help="replicas as processes or containers"
    )
    parser.add_argument("--only", action="append", default=[], help="only this fault; can be given more than once")
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=0.0, help="begin no round after so long (default: no bound)")
    parser.add_argument("--directory", type=Path, help="where the project goes; kept, unlike a temporary one")
    return parser.parse_args()


def available(driver: str, made: Ground, only: list[str]) -> tuple[list[str], dict[str, str]]:
    """Returns the faults that can be run here, and why the others cannot."""
    mine = {name: fault for name, fault in FAULTS.items() if driver in fault.drivers and (not only or name in only)}
    skipped = {name: made.missing[fault.needs] for name, fault in mine.items() if fault.needs in made.missing}
    unknown = set(only) - set(mine)
    assert not unknown, f"no such faults: {unknown}; there are {sorted(FAULTS)}"
    return [name for name in mine if name not in skipped], skipped


def chaos(given: argparse.Namespace, scratch: Path) -> Tally:
    tally = Tally()
    with ExitStack() as closing:
        server = closing.enter_context(MlflowServer())
        places = announce(scratch / "driver")
        sys.path[:0] = places
        os.environ["PYTHONPATH"] = os.pathsep.join(places)
        os.environ["PODIUM_PRELOAD"] = str(scratch / "preload")
        docker = _engine(closing) if given.driver == "docker" else None
        made = closing.enter_context(Ground(scratch, plain="DOCKER_HOST" in os.environ and given.driver == "docker"))
        faults, skipped = available(given.driver, made, given.only)
        more = {"proxy_image": images.HAPROXY, "host": str(docker.address)} if docker is not None else {}
        world = closing.enter_context(
            World(made.home, server, given.driver, more=more, agent_log=scratch / "agent.log")
        )
        if docker is not None:
            closing.callback(_clear, world, docker)
            furnish(world, docker)
        world.start_agent()
        world.done(world.promote(1))
        client = world.client(rate=given.rate, report=scratch / "client.json")
        os.environ.update(made.variables)  # what starts from here has the world's clock
        try:
            _play(given, Scene(world, made, docker), client, faults, tally)
        finally:
            made.heal()
            for name in made.variables:
                os.environ.pop(name, None)
            print(tally.report(skipped), flush=True)
    return tally


def _engine(closing: ExitStack) -> Engine:
    """One of our own, which is in our namespaces and sees what is mounted there; without root the machine's."""
    if os.geteuid() == 0 and "DOCKER_HOST" not in os.environ:
        return closing.enter_context(open_engine(parse(closing.enter_context(Dockerd()).address)))
    return closing.enter_context(open_engine(parse(os.environ.get("DOCKER_HOST") or f"unix://{LOCAL_SOCKET}")))


def _clear(world: World, docker: Engine) -> None:
    world.close()
    clear(world, docker)


def _play(given: argparse.Namespace, scene: Scene, client: Client, faults: list[str], tally: Tally) -> None:
    scene.world.kill_agent()  # it has no clock of the world yet
    scene.world.start_agent()
    began = time.monotonic()
    number = given.round or 0
    with Watch(scene.world, client, lambda: scene.ground.unreadable) as watch:
        while tally.faults < given.faults and len(tally.findings) < MAX_FINDINGS:
            number += 0 if given.round else 1
            drawn = draw(given.seed, number, given.driver, faults)
            found = len(tally.findings)
            rounds.play(scene, client, watch, drawn, tally, f"--seed {given.seed} --round {number}")
            word = "wrong" if len(tally.findings) > found else "ok"
            print(*tally.findings[found:], sep="\n", end="\n" if tally.findings[found:] else "")
            print(
                f"{time.monotonic() - began:7.1f} s {tally.faults:5} faults  round {number}: {drawn}: {word}",
                flush=True,
            )
            if given.round or (given.seconds and time.monotonic() - began > given.seconds):
                break


def main() -> int:
    given = options()
    ground.move_inside()
    scale.settle()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.default_int_handler)
    scratch = given.directory or Path(tempfile.mkdtemp(prefix="podium-chaos-"))
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    # However this process ends, nothing of its rounds goes on: replicas and proxies outlive their starter on purpose.
    hooks.watch()
    hooks.say("temporary", scratch.resolve())
    print(f"seed {given.seed}, {given.driver}, in {scratch}", flush=True)
    tally = Tally()
    with suppress(KeyboardInterrupt):
        tally = chaos(given, scratch)
    if not tally.findings and given.directory is None:
        shutil.rmtree(scratch, ignore_errors=True)
    return 1 if tally.findings else 0


if __name__ == "__main__":
    sys.exit(main())
