"""The small world of tests/delivery on several hosts: real engines over SSH, a HAProxy on each, light serving images, and
an agent in a thread that heals and renews leases."""

from __future__ import annotations

import copy
import http.client
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from docker import errors
from podium.core.containers import Engine, open_engine
from podium.core.containers.engine.address import parse
from podium.core.delivery.drivers.hosts.driver import HostsDriver
from podium.core.delivery.environment.healing import heal_environment
from podium.core.delivery.environment.leases import renew
from podium.core.domain.project import Docker, ServingHost, Strategy
from podium.core.errors import PodiumError
from podium.core.identity.processes import started_at
from podium.core.journal import Journal

from tests.delivery.docker.docked import Docked
from tests.runner.scale import scaled
from tests.servers import images
from tests.servers.nodes import Node, Nodes


class Hosted(Docked):
    """`nodes` serve together; images are built on the first of them."""

    def __init__(self, home: Path, nodes: Nodes, /, **environment: Any) -> None:
        self.nodes = nodes
        self.engines: list[Engine] = [open_engine(parse(f"unix://{node.socket}")) for node in nodes]
        hosts = tuple(ServingHost(node.address) for node in nodes)
        given = {"hosts": hosts, "bind": "0.0.0.0", "open": True, "replicas": 3, **environment}
        super().__init__(home, self.engines[0], **given)
        self.project = replace(self.project, docker=Docker(host=nodes[0].address))
        self.agent = Tender(self)

    def engine_of(self, host: str) -> Engine:
        return next(engine for engine, node in zip(self.engines, self.nodes, strict=True) if node.ip == host)

    @contextmanager
    def worker(self, *, canary: bool = False) -> Generator[Hosted]:
        """The same world as another process has it: with a journal of its own."""
        other = copy.copy(self)
        if canary:
            other.change(strategy=Strategy("canary", weights=(30,), interval=scaled(1.0), drain=2.0))
        other.journal = Journal.open(self.journal.path)
        try:
            yield other
        finally:
            other.journal.close()

    @property
    def hosts_driver(self) -> HostsDriver:
        found = self.runtime.driver
        assert isinstance(found, HostsDriver)
        return found

    def ask(self, node: Node, path: str = "/version", timeout: float = 5.0) -> tuple[int, str]:
        """Asks a host from outside."""
        connection = http.client.HTTPConnection(node.ip, self.port, timeout=timeout)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def answers_of(self, node: Node) -> str:
        status, body = self.ask(node)
        assert status == 200, (status, body)
        return str(json.loads(body)["version"])

    def answers(self) -> str:
        found = {self.answers_of(node) for node in self.nodes}
        assert len(found) == 1, found
        return found.pop()

    def spread(self, version: int) -> Counter[str]:
        """How many replicas of the version each host has, by the journal."""
        return Counter(row.host for row in self.journal.replicas.of("staging") if row.version == version)

    def left(self) -> list[str]:
        found: list[str] = []
        for node, engine in zip(self.nodes, self.engines, strict=True):
            wanted = {"label": self.mark}
            found += [f"{node.ip} {each['Names']}" for each in engine.containers([self.mark])]
            found += [f"{node.ip} network" for _ in engine.api.networks(filters=wanted)]
            volumes: list[Any] = engine.api.volumes(filters=wanted).get("Volumes") or []
            found += [f"{node.ip} volume" for _ in volumes]
        return found

    def close(self) -> None:
        self.agent.close()
        for engine in self.engines:
            with suppress(PodiumError):
                for container in engine.containers([self.mark]):
                    with suppress(errors.NotFound):  # a Swarm may be faster
                        engine.api.remove_container(container["Id"], force=True, v=True)
                self._remove_networks(engine)
                for volume in engine.api.volumes(filters={"label": self.mark}).get("Volumes") or []:
                    engine.api.remove_volume(volume["Name"], force=True)
                for image in engine.api.images(filters={"label": self.mark}):
                    engine.api.remove_image(image["Id"], force=True)
            engine.close()
        self.journal.close()

    def _remove_networks(self, engine: Engine) -> None:
        for network in engine.api.networks(filters={"label": self.mark}):
            engine.api.remove_network(network["Id"])


class Tender:
    """What the agent does for one environment, in a thread."""

    def __init__(self, world: Hosted) -> None:
        self._world = world
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._heal, self._renew)]
        self.said: list[str] = []

    def claim(self, journal: Journal | None = None) -> None:
        """Has this process count as the agent, without doing anything."""
        (journal or self._world.journal).agent.claim(os.getpid(), started_at(os.getpid()) or time.time(), "anna")

    def start(self) -> Tender:
        self.claim()
        for thread in self._threads:
            thread.start()
        return self

    def _heal(self) -> None:
        world = self._world
        with Journal.open(world.journal.path) as journal:
            self.claim(journal)
            while not self._stop.wait(1.0):
                try:
                    journal.agent.heartbeat()
                    self.said += heal_environment(world.project, journal, world.environment)
                except (PodiumError, OSError) as error:
                    self.said.append(f"cannot heal: {error}")

    def _renew(self) -> None:
        world = self._world
        with Journal.open(world.journal.path) as journal:
            while not self._stop.wait(1.0):
                try:
                    renew(world.project, journal, world.environment)
                except (PodiumError, OSError) as error:
                    self.said.append(f"cannot renew: {error}")

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(scaled(30))


class Outside:
    """Requests from outside to every host in turn, as a balancer that knows all of them would send them."""

    def __init__(self, world: Hosted, *, rate: float = 100.0, hosts: list[Node] | None = None) -> None:
        self._world = world
        self._nodes = [*(hosts or world.nodes)]
        self._pause = len(self._nodes) / rate
        self._stop = threading.Event()
        self.answers: dict[str, Counter[str]] = {node.ip: Counter() for node in self._nodes}
        self.failures: list[tuple[str, float, str]] = []
        """Host, when the request was sent (seconds since the epoch), and what became of it."""
        self._threads = [threading.Thread(target=self._client, args=(node,), daemon=True) for node in self._nodes]

    def __enter__(self) -> Outside:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(scaled(20))

    @property
    def total(self) -> int:
        return sum(each.total() for each in self.answers.values())

    def failed(self, *except_for: Node) -> list[tuple[str, float, str]]:
        ours = {node.ip for node in except_for}
        return [each for each in self.failures if each[0] not in ours]

    def _client(self, node: Node) -> None:
        connection = http.client.HTTPConnection(node.ip, self._world.port, timeout=scaled(6))
        due = time.monotonic()
        while not self._stop.is_set():
            due = max(due + self._pause, time.monotonic() - 1.0)
            began = time.time()
            try:
                connection.request(
                    "POST", "/invocations", body=b'{"inputs": [[1.0]]}', headers={"Content-Type": "application/json"}
                )
                answer = connection.getresponse()
                text = answer.read().decode()
                if answer.status == 200:
                    self.answers[node.ip][text] += 1
                else:
                    self.failures.append((node.ip, began, f"{answer.status} {text[:80]}"))
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self.failures.append((node.ip, began, repr(error)))
            self._stop.wait(max(0.0, due - time.monotonic()))
        connection.close()


class Changing:
    """The change, in a thread with a journal of its own, as a worker makes it."""

    def __init__(self, world: Hosted, change: str, version: int) -> None:
        self.error: BaseException | None = None
        self._world, self._change, self._version = world, change, version
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with self._world.worker(canary=self._change == "canary") as worker:
                verb = worker.rollback if self._change == "rollback" else worker.deploy
                verb(self._version)
        except BaseException as error:
            self.error = error

    def join(self) -> None:
        self._thread.join(scaled(240))
        assert not self._thread.is_alive(), "the change does not end"


__all__ = ["Changing", "Hosted", "Outside", "Tender", "images"]
