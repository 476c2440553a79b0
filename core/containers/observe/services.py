"""What a Swarm runs of an environment: its services with their tasks and nodes, as the manager's engine has them; and
the same as containers of a snapshot, wherever they are."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ...domain.containers import Container
from ...domain.frozen import Frozen
from ...domain.text import whole_number
from ..engine import labels, swarm
from ..engine.address import Address
from ..engine.client import Engine
from ..engine.connections import LOOK_TIMEOUT, shared
from ..engine.swarm import Node, Service
from .moments import moment

# The age up to which a listing is reused; changes by this process drop it.
_FRESH_SECONDS = 0.3
TASK_LABEL = "com.docker.swarm.service.id"
"""What the engine labels each task's container with."""
HEALTHY = "podium.healthy"
"""Labels a service that was healthy once: from then on the Swarm may start it again."""


class SwarmView(Frozen):
    """The services of a project, and all nodes, at one moment."""

    services: Mapping[str, Service]
    nodes: Mapping[str, Node]

    def answers(self, node: str) -> bool:
        """Tells whether the managers hear of a node."""
        return node in self.nodes and self.nodes[node].answers

    def name(self, node: str) -> str:
        return self.nodes[node].name if node in self.nodes else node[:12]


class ServiceListing:
    """This process's listing of a project's services. Any thread may ask it."""

    def __init__(self, address: Address, project: str, home: Path) -> None:
        self._address = address
        self._filters = [f"{labels.PROJECT}={project}", f"{labels.HOME}={labels.home_id(home)}"]
        self._lock = threading.Lock()
        self._seen: SwarmView | None = None
        self._at = 0.0

    def all(self) -> SwarmView:
        with self._lock:
            if self._seen is None or time.monotonic() - self._at > _FRESH_SECONDS:
                engine = shared(self._address, timeout=LOOK_TIMEOUT)
                self._seen = SwarmView(swarm.services(engine, self._filters), swarm.nodes(engine))
                self._at = time.monotonic()
            return self._seen

    def forget(self) -> None:
        """Drops what is known: this process has changed something, or needs the present state."""
        with self._lock:
            self._seen = None


class ServiceListings:
    """The listings of this process: one for each project on each manager."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listings: dict[tuple[Address, str, str], ServiceListing] = {}

    def get(self, address: Address, project: str, home: Path) -> ServiceListing:
        with self._lock:
            return self._listings.setdefault((address, project, str(home)), ServiceListing(address, project, home))


_listings: Final = ServiceListings()


def listing(address: Address, project: str, home: Path) -> ServiceListing:
    """Returns this process's listing of a project's services on a manager."""
    return _listings.get(address, project, home)


def containers(engine: Engine, wanted: list[str], environment: str, now: float) -> list[Container]:
    """Returns the services that have these labels as containers: each by its own id, in the state of its task, with the
    task's node as its host."""
    found = swarm.services(engine, wanted)
    nodes = swarm.nodes(engine) if found else {}
    return [_container(each, SwarmView(found, nodes), environment, now) for each in found.values()]


def of(engine: Engine, service: str) -> list[Container]:
    """Returns a service as a container, by its id; none if it is gone."""
    found = swarm.services(engine, identity=service)
    return [_container(each, SwarmView(found, {}), "", time.time()) for each in found.values()]


def _container(service: Service, view: SwarmView, environment: str, now: float) -> Container:
    task, own = service.current, service.labels
    state = "exited" if not service.wanted else state_of(service, view)
    return Container(
        id=service.id,
        name=service.name,
        environment=environment,
        role=own.get(labels.ROLE, ""),
        state=state,
        seen=now,
        image_id=service.image if service.image.startswith("sha256:") else "",
        image=service.image,
        version=whole_number(own.get(labels.VERSION) or ""),
        replica=own.get(labels.REPLICA, ""),
        run_id=whole_number(own.get(labels.RUN) or ""),
        restarts=sum(each.failed for each in service.tasks) if HEALTHY in own else 0,
        exit_code=task.exit_code if task is not None and state != "running" else None,
        created=moment(service.created) or 0.0,
        started=moment(task.changed) if task is not None and task.running else None,
        address=task.address if task is not None else "",
        labels={key: value for key, value in own.items() if key.startswith("podium.")},
        networks=task.networks if task is not None else (),
        node=view.name(task.node) if task is not None and task.node else "",
        service=True,
    )


def state_of(service: Service, view: SwarmView) -> str:
    """Returns in which state the service is, in a word that the engine has for containers."""
    task = service.current
    if task is None:
        return "created"
    if task.running:
        return "running" if view.answers(task.node) else "dead"
    if HEALTHY in service.labels:
        return "restarting"
    return "exited" if service.failure is not None else "created"
