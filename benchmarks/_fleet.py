"""A project whose machines are not there, for `scale.py`: its podium.yaml, its journal as years of use left it, and the
engines that say they run what the journal has. What containers are made from, how the proxy is configured and what rows
look like is Podium's own code; only the rollouts that would have brought it there are left out."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import year
from podium.core.adoption.settling import settle
from podium.core.config import load
from podium.core.containers.engine import labels as names
from podium.core.delivery.drivers.docker import create
from podium.core.delivery.environment.runtime import EnvironmentRuntime
from podium.core.domain.containers import Image
from podium.core.domain.delivery import Replica, ReplicaState
from podium.core.domain.models import Version
from podium.core.domain.project import Environment, Project
from podium.core.journal import Journal

from tests.servers.fleet.engine import Engine, image_id
from tests.servers.fleet.wire import Fleet

IMAGE = "podium/fleet:v1"
# Stands for OpenSSH's client: the socket on the other machine is one of this machine. What ssh costs is not in it.
SSH = """\
#!/bin/sh
while [ "$1" != -L ]; do shift; done
ln -s "${2#*:}" "${2%%:*}" && exec sleep 86400
"""


@dataclass(frozen=True)
class Size:
    """`pipelines` is how many branches are pushed to, each of which starts a pipeline of its own."""

    environments: int
    hosts: int
    replicas: int
    runs: int
    pipelines: int = 0

    @property
    def all_replicas(self) -> int:
        return self.environments * self.replicas

    @property
    def containers(self) -> int:
        """Replicas, both instances of each proxy, and relays."""
        return self.all_replicas + 3 * self.environments

    def __str__(self) -> str:
        return f"{self.environments:,} environments, {self.hosts:,} hosts, {self.all_replicas:,} replicas"


def write(home: Path, size: Size, sockets: Path) -> None:
    """Writes podium.yaml. Neighbours in it are on different hosts, as those of most teams are."""
    lines = ["project: fleet", "environments:"]
    for number in range(size.environments):
        host = number % size.hosts + 1
        engine = f"ssh://host-{host}{sockets}/{host}.sock"
        lines.append(
            f"  env-{number:03}: {{driver: docker, host: '{engine}', port: {7000 + number}, replicas: {size.replicas}}}"
        )
    lines += ["pipelines:"] if size.pipelines else []
    for number in range(size.pipelines):
        lines.append(f"  p{number}: {{on: {{push: [b{number}]}}, steps: {{done: {{run: 'true'}}}}}}")
    (home / "podium.yaml").write_text("\n".join(lines) + "\n")


@contextmanager
def fleet(home: Path, size: Size) -> Iterator[Fleet]:
    """Makes the project in `home`, and starts its engines."""
    home.mkdir()
    sockets = home / "engines"
    sockets.mkdir()
    write(home, size, sockets)
    _repository(home, size)
    settle(home)
    project = load(home)
    engines = {number: Engine(number) for number in range(1, size.hosts + 1)}
    with Journal.open(project.state / "journal.db") as journal:
        raw = journal._database.connection
        with journal.transaction():
            year.fill_runs(raw, size.runs, time.time())
            journal.versions.replace("fleet", [Version("fleet", 1, time.time(), aliases=())], "seeded")
            for number, environment in enumerate(project.environments.values()):
                _serve(project, journal, environment, engines[number % size.hosts + 1])
                _deployed(journal, environment.name)
    programs = home / "programs"
    programs.mkdir()
    (programs / "ssh").write_text(SSH)
    (programs / "ssh").chmod(0o755)
    with Fleet(list(engines.values()), sockets) as started:
        yield started


def _repository(home: Path, size: Size) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-C", str(home), *words], check=True, capture_output=True, timeout=60)

    git("init", "-q", "-b", "main")
    (home / ".gitignore").write_text(".podium/\nengines/\nprograms/\n")
    git("add", "-A")
    git("-c", "user.name=fleet", "-c", "user.email=fleet@localhost", "commit", "-qm", "a fleet")
    for number in range(size.pipelines):
        git("branch", f"b{number}")


def environment_of_process(home: Path) -> dict[str, str]:
    """Returns the variables of a process that takes our ssh for OpenSSH's, and keeps what it compiles, as an installed
    Podium does."""
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PATH": f"{home / 'programs'}:{os.environ['PATH']}", "MLFLOW_DISABLE_TELEMETRY": "true"}


def _deployed(journal: Journal, environment: str) -> None:
    journal._database.connection.execute(
        "INSERT INTO deployments (environment, how, state, model, to_version, from_version, at, who, why, run_id,"
        ' "commit", digest, strategy, forced, phase, ended, data)'
        " VALUES (?, 'deploy', 'succeeded', 'fleet', 1, NULL, ?, 'anna', '', NULL, '', '', 'direct', 0, 'clean_up', ?,"
        " ?)",
        (environment, time.time(), time.time(), year.DATA),
    )


def _serve(project: Project, journal: Journal, environment: Environment, engine: Engine) -> None:
    """Has an engine run an environment: its replicas, its relay and both instances of its proxy."""
    runtime = EnvironmentRuntime(project, journal, environment)
    place = runtime.driver.place  # pyright: ignore[reportAttributeAccessIssue]
    called = place.called
    network = engine.add_network(called.of(), called.labels(names.NETWORK_ROLE).all())
    known = Image("fleet", 1, str(place.address), image_id(IMAGE), image_id(IMAGE), time.time())
    journal.images.put(known)
    for number in range(1, environment.replicas + 1):
        journal.replicas.put(_replica(runtime, called, engine, network["Id"], number))
    relay = engine.add(called.of("relay"), create.relay(called, known.reference, called.of("proxy")).stamped().config)
    engine.change(relay, "running", "start")
    layout = runtime.traffic.layout()
    for instance in runtime.proxy.instances:
        text = instance._render(layout)
        instance.placement.path.write_text(text)  # pyright: ignore[reportAttributeAccessIssue]
        mounts = [{"Type": "volume", "Source": called.of("proxy"), "Target": create.RUN_DIR}]
        image, file = environment.proxy_image, instance.placement._config  # pyright: ignore[reportAttributeAccessIssue]
        user = f"{create.USER}:{create.USER}"
        recipe = create.proxy(called, instance.number, image, [file], mounts, user=user)
        made = engine.add(recipe.name, recipe.stamped().config, config_file=text)
        engine.change(made, "running", "start")


def _replica(
    runtime: EnvironmentRuntime, called: create.EngineNames, engine: Engine, network: str, number: int
) -> Replica:
    share = 100 // runtime.environment.replicas
    row = Replica(
        *(runtime.replica_id(1, number), runtime.name, 1, f"v1-{number}", create.PORT, ReplicaState.READY),
        weight=max(1, share),
        started=time.time() - 3600.0,
        image=image_id(IMAGE),
    )
    recipe = create.replica(
        *(called, runtime.lifecycle._spec(row), image_id(IMAGE), runtime.environment),
        network=network,
        capture=called.of("capture"),
        local=False,
    )
    made = engine.add(recipe.name, recipe.stamped().config)
    engine.change(made, "running", "start")
    return replace(row, container=made.id, address=made.address)
