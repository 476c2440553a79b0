"""What the agent does for an environment on a Swarm besides healing: replicas leave a paused node one after the other,
and the proxy is started again when its door was."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ....containers.engine import labels as names
from ....containers.engine import swarm
from ....containers.engine.swarm import Service
from ....containers.observe.moments import moment
from ....containers.observe.services import HEALTHY
from ....domain.delivery import Replica, ReplicaState
from .place import SwarmObjects
from .recipe import MOVED_FROM, short

if TYPE_CHECKING:
    from .driver import SwarmDriver

_PAUSED = "pause"
_MOVED = (ReplicaState.READY, ReplicaState.WARM)
# How long a replica that could not be moved is left where it is.
_PAUSE_SECONDS = 60.0
_PING_TIMEOUT = 1.0


class Seen:
    """What this process knows from one look to the next."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._doors: dict[str, str] = {}
        self._failed: dict[str, float] = {}

    def door(self, container: str, started: str) -> bool:
        """Tells whether a door was seen to have started at that time, and notes that it is."""
        with self._lock:
            known = self._doors.get(container) == started
            self._doors[container] = started
            return known

    def failed(self, service: str) -> None:
        with self._lock:
            self._failed[service] = time.monotonic()

    def rests(self, service: str) -> bool:
        with self._lock:
            at = self._failed.get(service)
        return at is not None and time.monotonic() - at < _PAUSE_SECONDS


_seen: Final = Seen()


def follow_door(place: SwarmObjects) -> None:
    """Removes instances of the proxy that began before their door did: they have a network that leads nowhere. Healing
    starts them again."""
    door = next((one for one in place.find(names.RELAY_ROLE) if one.running), None)
    described = place.inspect(door.id) if door is not None else None
    if door is None or described is None:
        return
    began = str(described["State"].get("StartedAt") or "")
    if _seen.door(door.id, began):
        return
    for one in place.find(names.PROXY_ROLE):
        found = place.inspect(one.id)
        if found is not None and (moment(found["State"].get("StartedAt")) or 0.0) < (moment(began) or 0.0):
            place.remove(one.id)


def off_paused_nodes(driver: SwarmDriver, rows: Sequence[Replica]) -> list[str]:
    """Takes one step of moving replicas off nodes that get no new tasks: another service is started elsewhere, and has
    the traffic before the first one ends. One replica is moved at a time. Returns what was done, in words; then the
    caller tells the proxy."""
    place, name = driver.swarm, driver.environment.name
    view = place.view()
    if not any(each.availability == _PAUSED for each in view.nodes.values()) and not _left(place, rows):
        return []
    for row in (each for each in rows if each.container):
        other = next((each for each in place.replicas(row.id) if each.id != row.container), None)
        if other is None:
            continue
        if other.labels.get(MOVED_FROM) != row.container:
            place.end(other)  # its successor has had the traffic since the last look
            return []
        return _take_over(driver, row, other)
    for row in rows:
        own = place.service(row.container) if row.container and row.state in _MOVED else None
        task = own.current if own is not None else None
        if own is None or task is None or not task.running or _seen.rests(own.id):
            continue
        node = view.nodes.get(task.node)
        if node is not None and node.availability == _PAUSED:
            swarm.create(place.engine, _successor(own))
            place.services.forget()
            driver.setting.say(f"{name}: {row.id} is leaving {node.name}, which is paused")
            return []
    return []


def _left(place: SwarmObjects, rows: Sequence[Replica]) -> bool:
    """Tells whether a move has begun and not ended."""
    own = {row.container for row in rows}
    known = {row.id for row in rows}
    return any(each.id not in own and each.labels.get(names.REPLICA) in known for each in place.replicas())


def _successor(service: Service) -> dict[str, Any]:
    """Returns the description of a service that does the same elsewhere: the node that is paused gets no new task."""
    spec = copy.deepcopy(service.spec)
    name = service.name.removesuffix("-moved")
    spec["Name"] = short(f"{name}-moved") if name == service.name else name
    spec["Labels"] = {**{key: value for key, value in service.labels.items() if key != HEALTHY}, MOVED_FROM: service.id}
    return spec


def _take_over(driver: SwarmDriver, row: Replica, other: Service) -> list[str]:
    place = driver.swarm
    task = other.current
    if other.failure is not None or (task is not None and "no suitable node" in task.error):
        why = (other.failure or task).error if other.failure or task else ""  # pyright: ignore[reportOptionalMemberAccess]
        place.end(other)
        _seen.failed(row.container)
        return [f"{row.environment}: {row.id} cannot leave its node: {why}"]
    if task is None or not task.running or not _answers(driver, task.address, row.port):
        return []
    place.approve(other.id)
    driver.setting.journal.replicas.put(replace(row, container=other.id, address=task.address))
    return [f"{row.environment}: {row.id} has left a paused node and is at {task.address} now"]


def _answers(driver: SwarmDriver, address: str, port: int) -> bool:
    try:
        return driver.transport.http(address, port, "GET", "/ping", timeout=_PING_TIMEOUT)[0] == 200
    except OSError:
        return False
