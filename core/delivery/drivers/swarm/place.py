"""What an environment has on a Swarm: its services and their network, and the volumes of the nodes that podium.yaml
names."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Collection
from functools import cached_property
from typing import Any, Final

from ....containers.engine import labels as names
from ....containers.engine import swarm
from ....containers.engine.address import Address, nodes_of
from ....containers.engine.connections import LOOK_TIMEOUT, shared
from ....containers.engine.swarm import Service, Task
from ....containers.images import store
from ....containers.observe.services import HEALTHY, ServiceListing, SwarmView, listing
from ....errors import PodiumError
from .. import DriverContext
from ..docker.place import EngineObjects
from .recipe import SPREAD, ServiceRecipe, grace, let_go_anywhere

_POLL_INTERVAL = 0.1
# How much longer than its own time a task is waited for, and how long it may take to get an address.
_MORE_SECONDS = 5.0
_ADDRESS_SECONDS = 10.0
# The managers give a network's addresses back some time after the last task of it has ended.
_NETWORK_SECONDS = 20.0


class Having:
    """Which nodes this process has seen to have which images. What once had one is not asked again: it may be away by
    then, and nobody should wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[Address, str], str] = {}

    def node(self, address: Address, image: str) -> str:
        """Returns the id of the node whose engine has the image at that address; empty if it does not have it. Raises
        the errors of the engine."""
        with self._lock:
            known = self._known.get((address, image), "")
        if known:
            return known
        engine = shared(address, timeout=LOOK_TIMEOUT)
        if store.inspect(engine, image) is None:
            return ""
        about: dict[str, Any] = engine.info().get("Swarm") or {}
        found = str(about.get("NodeID") or "")
        with self._lock:
            self._known[address, image] = found
        return found


_having: Final = Having()


class NodeObjects(EngineObjects):
    """What the environment has on a node that is not its manager: the network is the Swarm's."""

    def networks(self) -> list[str]:
        return []


class SwarmObjects(EngineObjects):
    """Manages the services and their network on a manager, and there the containers of the proxy as for one engine."""

    def __init__(self, setting: DriverContext, address: Address) -> None:
        super().__init__(setting, address)
        self.services: ServiceListing = listing(self.address, setting.project.name, setting.project.home)
        self.nodes = [NodeObjects(setting, each) for each in nodes_of(setting.project, setting.environment)]

    def view(self) -> SwarmView:
        return self.patiently(self.services.all)

    # Services

    def replicas(self, replica: str = "") -> list[Service]:
        """Returns the services of the environment's replicas, or of one of them."""
        own = self.setting.environment.name
        return [
            each
            for each in self.view().services.values()
            if each.labels.get(names.ENVIRONMENT) == own and (not replica or each.labels.get(names.REPLICA) == replica)
        ]

    def service(self, identity: str) -> Service | None:
        found = self.view().services.get(identity)
        return found if found is not None and found.labels.get(names.ENVIRONMENT) == self._environment else None

    @property
    def _environment(self) -> str:
        return self.setting.environment.name

    def make(self, recipe: ServiceRecipe) -> str:
        """Creates a service, on nodes that have its image or can pull it, and returns its id. One of this environment
        that has its name is removed first."""
        for other in self.replicas():
            if other.name == recipe.name:
                self.end(other)
        image = str(recipe.spec["TaskTemplate"]["ContainerSpec"]["Image"])
        lacking = self._without(image)
        made = swarm.create(self.engine, recipe.avoiding(lacking, self._crowded(recipe, lacking)))
        self.services.forget()
        return made

    def run(self, service: Service) -> bool:
        """Has a service run that was kept; False if it is gone. That it was healthy before says nothing of its next
        task."""
        before = next((each.id for each in service.tasks), "")

        def change(spec: dict[str, Any]) -> None:
            spec["Mode"] = {"Replicated": {"Replicas": 1}}
            labels: dict[str, str] = spec.get("Labels") or {}
            kept = {key: value for key, value in labels.items() if key != HEALTHY}
            spec["Labels"] = {**kept, swarm.STARTED_AFTER: before}

        done = swarm.update(self.engine, service.id, change)
        self.services.forget()
        return done

    def halt(self, service: Service) -> None:
        """Ends the service's task, and keeps the service. Waits until the task has ended, unless nobody hears of its
        node."""
        swarm.scale(self.engine, service.id, 0)
        deadline = time.monotonic() + grace(self.setting.environment) + _MORE_SECONDS
        while time.monotonic() < deadline:
            self.services.forget()
            view = self.services.all()
            found = view.services.get(service.id)
            if found is None or not any(_lives(each, view) for each in found.tasks):
                break
            time.sleep(_POLL_INTERVAL)

    def end(self, service: Service) -> None:
        """Ends the service's task and removes the service."""
        self.halt(service)
        swarm.remove(self.engine, service.id)
        self.services.forget()

    def approve(self, service: str) -> None:
        """Notes on a service that it was healthy: from now on the Swarm starts it again, wherever it likes."""

        def change(spec: dict[str, Any]) -> None:
            let_go_anywhere(spec)
            labels: dict[str, str] = spec.get("Labels") or {}
            spec["Labels"] = {**labels, HEALTHY: "yes"}

        swarm.update(self.engine, service, change)
        self.services.forget()

    def loosen(self, service: Service) -> bool:
        """Lets a service go where it was kept off, because it can be nowhere else; False if it was kept off nothing."""
        if not service.labels.get(SPREAD):
            return False
        swarm.update(self.engine, service.id, let_go_anywhere)
        self.services.forget()
        return True

    def _crowded(self, recipe: ServiceRecipe, lacking: Collection[str]) -> set[str]:
        """Returns the nodes that have more replicas of the version than others have. A Swarm spreads the tasks of a
        service, and each replica is one: without this, all of a version would be on a node that was empty."""
        self.services.forget()
        view, version = self.services.all(), recipe.spec["Labels"].get(names.VERSION)
        same = [each.current for each in self.replicas() if each.wanted and each.labels.get(names.VERSION) == version]
        counts = Counter(task.node for task in same if task is not None)
        free = [each.id for each in view.nodes.values() if each.answers and each.availability == "active"]
        free = [each for each in free if each not in lacking]
        least = min((counts[each] for each in free), default=0)
        return {each for each in free if counts[each] > least}

    def task(self, service: str) -> Task | None:
        """Returns the service's task once that has an address, and a node if there is one for it; after a while, what
        there is."""
        deadline = time.monotonic() + _ADDRESS_SECONDS
        while True:
            self.services.forget()
            found = self.service(service)
            task = found.current if found is not None else None
            if (
                found is None
                or (task is not None and task.address and (task.node or task.error))
                or time.monotonic() > deadline
            ):
                return task
            time.sleep(_POLL_INTERVAL)

    def _without(self, image: str) -> set[str]:
        """Returns the ids of the nodes that do not have an image and cannot pull it: it has no name in a registry."""
        if "@" in image:
            return set()
        having: set[str] = set()
        for place in (self, *self.nodes):
            try:
                having.add(_having.node(place.address, image))
            except PodiumError as error:
                self.setting.say(f"{error.message}; it gets no replica")
        view = self.services.all()
        lacking = set(view.nodes) - having
        if told := sorted(view.name(each) for each in lacking if view.answers(each)):
            self.setting.say(f"{', '.join(told)} cannot get the image, and no replica (nodes, docker.push)")
        return lacking

    # What tasks share

    @cached_property
    def network(self) -> str:
        """Returns the id of the environment's overlay network, created if it is missing."""
        labels = self.called.labels(names.NETWORK_ROLE)
        with self.engine.doing("creating the environment's network"):
            found = self.networks()
            if found:
                return found[0]
            made = self.engine.api.create_network(
                self.called.of(), driver="overlay", attachable=True, check_duplicate=True, labels=labels.all()
            )
            return str(made["Id"])

    def clear(self) -> list[str]:
        """Removes every service and container of the environment, its network, and its volumes wherever it can."""
        done: list[str] = []
        self.services.forget()
        for each in self.replicas():
            self.end(each)
            done.append(f"the service {each.name}")
        done += self._clear_here()
        for place in self.nodes:
            try:
                done += [f"{line} on {place.address.host or place.address}" for line in place.clear()]
            except PodiumError as error:
                self.setting.say(f"{error.message}; its volume of captures stays")
        return done

    def _clear_here(self) -> list[str]:
        """Removes what is on the manager. The network goes when the last of its tasks is forgotten, and the manager
        lists it for a moment longer: the next rollout would take it for its own."""
        deadline = time.monotonic() + _NETWORK_SECONDS
        while True:
            try:
                done = super().clear()
                break
            except PodiumError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_INTERVAL)
        with self.engine.doing("waiting until the network is gone"):
            while self.networks() and time.monotonic() < deadline:
                time.sleep(_POLL_INTERVAL)
        return done


def _lives(task: Task, view: SwarmView) -> bool:
    return bool(task.node) and not task.ended and view.answers(task.node)
