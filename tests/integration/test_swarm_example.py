"""The example of serving from a Docker Swarm, as its first lines say how it is used: on three real engines, with the model
that its pipeline trains."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.containers import Engine, open_engine
from podium.core.containers.engine import labels as names
from podium.core.containers.engine.address import parse
from podium.core.containers.images import store
from podium.core.demo.project import examples
from podium.core.errors import PodiumError

from tests.integration.walking import podium_in
from tests.runner.scale import scaled
from tests.servers import images
from tests.servers.swarm import Swarm
from tests.support import free_port, wait_until

REPLICAS = 3


def flights(home: Path, swarm: Swarm, base: str, port: int) -> None:
    """A repository with the example, in which the machines have the names of those of the test."""
    shutil.copytree(examples() / "flights", home, ignore=shutil.ignore_patterns("__pycache__", ".podium", "data"))
    text = (home / "podium.swarm.yaml").read_text()
    named = zip(("manager-1", "worker-1", "worker-2"), swarm.nodes, strict=True)
    for old, new in [
        *((f"ssh://deploy@{name}", node.address) for name, node in named),
        ("python:3.11-slim", base),
        ("haproxy:2.8", images.HAPROXY),
        ("port: 5100", f"port: {port}"),
    ]:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (home / "podium.yaml").write_text(text)
    git = ["git", "-c", "user.name=anna", "-c", "user.email=anna@example.org"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "The flights"]):
        subprocess.run([*git, *arguments], cwd=home, check=True)


@pytest.fixture
def home(tmp_path: Path, engine: Engine, swarm: Swarm) -> Iterator[Path]:
    """Where the project will be. Its images leave all engines afterwards."""
    directory = tmp_path / "flights"
    with open_engine(parse(f"unix://{swarm.nodes[0].socket}")) as manager:
        images.ensure(manager.api, images.HAPROXY)
    yield directory
    mark = f"{names.HOME}={names.home_id(directory)}"
    with contextlib.ExitStack() as stack:
        there = [stack.enter_context(open_engine(parse(f"unix://{node.socket}"))) for node in swarm.nodes]
        for each in (engine, *there):
            for image in sorted(store.find(each, [mark]), key=lambda one: -int(one["Created"])):
                for name in [name for name in image.get("RepoTags") or () if name != "<none>:<none>"] or [image["Id"]]:
                    with contextlib.suppress(PodiumError):  # a task of it may still be ending
                        store.remove(each, name)


@contextlib.contextmanager
def watching(home: Path) -> Iterator[None]:
    with (home / "watch.log").open("wb") as log:
        agent = subprocess.Popen(
            [sys.executable, "-m", "podium.cli", "watch"], cwd=home, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            yield
        finally:
            agent.terminate()
            agent.wait(scaled(30))


@pytest.mark.in_turn(1, of="long stories")
@pytest.mark.timeout(600)
def test_the_best_model_serves_from_three_nodes_and_leaves_one(home: Path, swarm: Swarm, python_image: str) -> None:
    port = free_port()
    flights(home, swarm, python_image, port)
    podium = podium_in(home)
    manager, leaving = swarm.nodes[0], swarm.nodes[2]

    def where() -> list[str]:
        """The node of each replica that runs."""
        found = json.loads(podium("containers", "-e", "production", "-o", "json"))
        return sorted(each["node"] for each in found if each["role"] == "replica" and each["state"] == "running")

    def smoke() -> None:
        command = [sys.executable, "smoke.py", "--url", f"http://{manager.ip}:{port}"]
        done = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=scaled(60), check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    with watching(home):
        try:
            podium("run", "release", "--jobs", "2")
            [environment] = json.loads(podium("status", "-o", "json"))["environments"]
            assert environment["serving"] == 1 and environment["differences"] == [], environment
            assert where() == [node.root.name for node in swarm.nodes]
            smoke()
            # As docs/hosts-and-swarm.md says how a node is emptied.
            subprocess.run(
                [
                    "docker",
                    "-H",
                    f"unix://{manager.socket}",
                    "node",
                    "update",
                    "--availability",
                    "pause",
                    leaving.root.name,
                ],
                check=True,
                stdout=subprocess.DEVNULL,
                timeout=scaled(60),
            )
            wait_until(
                lambda: len(now := where()) == REPLICAS and leaving.root.name not in now,
                200,
                interval=1.0,
                what="all replicas are on the other nodes",
            )
            smoke()
        finally:
            podium("stop", "-e", "production", "--yes", "--confirm", "production")
            swarm.set_availability(leaving, "active")
    assert where() == []
