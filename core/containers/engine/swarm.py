"""The services of a Swarm, over the engine of one of its managers: what they are, where their tasks run, and how they
are created, changed and removed."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import field
from typing import Any

from docker import errors as docker_errors

from ...domain.frozen import Frozen
from .client import Engine
from .logins import login_headers

# What a task is when it will not run any more.
_ENDED = ("complete", "shutdown", "failed", "rejected", "orphaned", "remove")
_FAILED = ("complete", "failed", "rejected")
_LEAVING = ("shutdown", "remove")
STARTED_AFTER = "podium.started-after"
"""Labels a service that was stopped and is started again with the id of the last task that it had before."""
_UNTIDY = "while removing network"
_TRIES = 5


class Node(Frozen):
    """A machine of the Swarm."""

    id: str
    name: str
    """Its host name."""
    answers: bool
    """Whether the managers hear of it."""
    availability: str
    """`active`, `pause` (it gets no new task) or `drain` (it has none)."""


class Task(Frozen):
    """One attempt of a service to run its container, as the managers know it."""

    id: str
    node: str
    """The id of its node; empty until it has one."""
    state: str
    """The Swarm's word: `pending`, `running`, `failed`, …"""
    desired: str
    """The state that the Swarm wants it to have."""
    address: str = ""
    """Its address in the service's network; empty until it has one."""
    container: str = ""
    error: str = ""
    exit_code: int | None = None
    """None while it has not ended."""
    created: str = ""
    changed: str = ""
    """When its state last changed, as the engine writes it."""
    networks: tuple[str, ...] = ()

    @property
    def running(self) -> bool:
        return self.state == "running"

    @property
    def ended(self) -> bool:
        return self.state in _ENDED

    @property
    def failed(self) -> bool:
        """Tells whether it ended by itself, or could not be started: not one that was told to end, whose engine then
        failed to tidy up."""
        return self.state in _FAILED and _UNTIDY not in self.error


class Service(Frozen):
    """A service with at most one replica."""

    id: str
    name: str
    labels: Mapping[str, str]
    index: int
    """Which change of it this is: the next has to name it."""
    spec: dict[str, Any]
    created: str
    tasks: tuple[Task, ...] = field(default=())
    """The newest first."""

    @property
    def wanted(self) -> bool:
        """Tells whether it should run."""
        mode: dict[str, dict[str, int]] = self.spec.get("Mode") or {}
        return bool(mode.get("Replicated", {}).get("Replicas"))

    @property
    def image(self) -> str:
        return str(self.spec["TaskTemplate"]["ContainerSpec"].get("Image") or "")

    @property
    def current(self) -> Task | None:
        """Returns the task that should run, or is about to; else the last one."""
        return next((each for each in self.tasks if each.desired not in _LEAVING), next(iter(self.tasks), None))

    @property
    def failure(self) -> Task | None:
        """Returns the last task that ended by itself, as far as the managers remember: of those since the service was
        last started."""
        since = itertools.takewhile(lambda task: task.id != self.labels.get(STARTED_AFTER), self.tasks)
        return next((each for each in since if each.failed), None)


def nodes(engine: Engine) -> dict[str, Node]:
    """Returns the nodes of the Swarm by their ids."""
    with engine.doing("listing the nodes of the Swarm"):
        found: list[dict[str, Any]] = engine.api.nodes()
    return {str(each["ID"]): _node(each) for each in found}


def services(engine: Engine, labels: list[str] | None = None, *, identity: str = "") -> dict[str, Service]:
    """Returns the services that have all these labels (`key=value`), or the one of this id, by their ids, with their
    tasks."""
    with engine.doing("listing the services of the Swarm"):
        wanted = {"id": identity} if identity else {"label": labels}
        found: list[dict[str, Any]] = engine.api.services(filters=wanted)
        tasks: list[dict[str, Any]] = (
            engine.api.tasks(filters={"service": identity} if identity else wanted) if found else []
        )
    of: dict[str, list[Task]] = {}
    for each in sorted(tasks, key=lambda one: str(one.get("CreatedAt")), reverse=True):
        of.setdefault(str(each.get("ServiceID")), []).append(_task(each))
    return {str(each["ID"]): _service(each, tuple(of.get(str(each["ID"]), ()))) for each in found}


def create(engine: Engine, spec: dict[str, Any]) -> str:
    """Creates a service and returns its id. The nodes may pull its image with what `docker login` has stored. Raises
    RunFailed if that cannot be found out."""
    api, what = engine.api, f"creating the service {spec['Name']}"
    image = str(spec["TaskTemplate"]["ContainerSpec"]["Image"])
    headers = login_headers(image, what) if "@" in image else {}
    with engine.doing(what):
        answer = api._post_json(api._url("/services/create"), data=spec, headers=headers)
        return str(api._result(answer, True)["ID"])


def update(engine: Engine, service: str, change: Callable[[dict[str, Any]], None]) -> bool:
    """Changes a service's description; False if it is gone. Somebody may change it at the same moment: then it is read
    and changed again."""
    api = engine.api
    with engine.doing(f"changing the service {service[:12]}"):
        for left in reversed(range(_TRIES)):
            try:
                found = api.inspect_service(service)
                spec = copy.deepcopy(found["Spec"])
                change(spec)
                params = {"version": found["Version"]["Index"]}
                api._result(api._post_json(api._url("/services/{0}/update", service), data=spec, params=params), True)
                return True
            except docker_errors.NotFound:
                return False
            except docker_errors.APIError as error:
                if not left or "out of sequence" not in str(error.explanation):
                    raise
    raise AssertionError("unreachable")


def remove(engine: Engine, service: str) -> None:
    """Removes a service; its tasks end. One that is gone is no error."""
    with engine.doing(f"removing the service {service[:12]}"):
        with suppress(docker_errors.NotFound):
            engine.api.remove_service(service)


def scale(engine: Engine, service: str, number: int) -> bool:
    """Has so many tasks of a service run; False if it is gone."""

    def change(spec: dict[str, Any]) -> None:
        spec["Mode"] = {"Replicated": {"Replicas": number}}

    return update(engine, service, change)


def _node(found: Mapping[str, Any]) -> Node:
    described: dict[str, Any] = found.get("Description") or {}
    status: dict[str, Any] = found.get("Status") or {}
    spec: dict[str, Any] = found.get("Spec") or {}
    name, availability = str(described.get("Hostname") or found["ID"]), str(spec.get("Availability") or "")
    return Node(str(found["ID"]), name, status.get("State") == "ready", availability)


def _service(found: Mapping[str, Any], tasks: tuple[Task, ...]) -> Service:
    spec: dict[str, Any] = found["Spec"]
    labels = dict(spec.get("Labels") or {})
    return Service(
        str(found["ID"]),
        str(spec["Name"]),
        labels,
        int(found["Version"]["Index"]),
        spec,
        str(found["CreatedAt"]),
        tasks,
    )


def _task(found: Mapping[str, Any]) -> Task:
    status: dict[str, Any] = found.get("Status") or {}
    container: dict[str, Any] = status.get("ContainerStatus") or {}
    attachments: list[dict[str, Any]] = found.get("NetworksAttachments") or []
    listed: list[list[str]] = [each.get("Addresses") or [] for each in attachments]
    state = str(status.get("State") or "")
    return Task(
        str(found["ID"]),
        str(found.get("NodeID") or ""),
        state,
        str(found.get("DesiredState") or ""),
        address=next((each[0] for each in listed if each), "").partition("/")[0],
        container=str(container.get("ContainerID") or ""),
        error=str(status.get("Err") or ""),
        exit_code=int(container.get("ExitCode") or 0) if state in _ENDED and container else None,
        created=str(found.get("CreatedAt") or ""),
        changed=str(status.get("Timestamp") or ""),
        networks=tuple(sorted(str(each["Network"]["Spec"]["Name"]) for each in attachments if each.get("Network"))),
    )
