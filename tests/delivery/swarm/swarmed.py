"""The small world of tests/delivery on a Swarm: real engines over SSH, services with light serving images, HAProxy on the
manager, and an agent in a thread."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from docker import errors
from podium.core.containers import Engine
from podium.core.containers.engine import swarm as services
from podium.core.delivery.drivers.swarm.driver import SwarmDriver
from podium.core.errors import PodiumError

from tests.delivery.hosts.hosted import Hosted
from tests.servers.nodes import Node
from tests.servers.swarm import Swarm
from tests.support import wait_until


class Swarmed(Hosted):
    """`swarm.nodes[0]` is the manager with the proxy; images are built there and sent to the others."""

    def __init__(self, home: Path, swarm: Swarm, **environment: Any) -> None:
        self.swarm = swarm
        first, *others = swarm.nodes
        given = {
            "driver": "swarm",
            "hosts": (),
            "host": first.address,
            "nodes": tuple(each.address for each in others),
            **environment,
        }
        super().__init__(home, swarm.nodes, **given)

    @property
    def swarm_driver(self) -> SwarmDriver:
        found = self.runtime.driver
        assert isinstance(found, SwarmDriver)
        return found

    def answers(self) -> str:
        return self.answers_of(self.nodes[0])

    def services(self) -> dict[str, services.Service]:
        return services.services(self.engines[0], [self.mark])

    def placed(self) -> dict[str, str]:
        """On which node each replica is, by their names."""
        view = self.swarm_driver.swarm.services
        view.forget()
        seen = view.all()
        found: dict[str, str] = {}
        for row in self.journal.replicas.of("staging"):
            service = seen.services.get(row.container)
            task = service.current if service is not None else None
            if task is not None and task.running:
                found[row.id] = seen.name(task.node)
        return found

    def on(self, node: Node) -> list[str]:
        """The replicas on a node."""
        return [row for row, name in self.placed().items() if name == node.root.name]

    def left(self) -> list[str]:
        return [*super().left(), *(each.name for each in self.services().values())]

    def _remove_networks(self, engine: Engine) -> None:
        """The network is the Swarm's: its manager removes it, when it has forgotten the last task."""
        if engine is self.engines[0]:
            wait_until(lambda: self._forgotten(engine), 60, what="the network is removed")

    def _forgotten(self, engine: Engine) -> bool:
        with suppress(errors.APIError):
            super()._remove_networks(engine)
            return True
        return False

    def close(self) -> None:
        self.agent.close()
        with suppress(PodiumError):
            for each in self.services():
                services.remove(self.engines[0], each)
        super().close()
