"""What a replica's service and the door to the environment are created from. Nothing here asks an engine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from typing import Any

from ....containers.engine import labels as names
from ....domain.frozen import Frozen
from ....domain.project import Environment
from ...host.ports import addresses
from ..docker.create import SPEC, ContainerRecipe, EngineNames

PUBLISHED = "podium.published"
"""Labels the door with where clients reach it."""
DOOR = "podium.door"
"""Labels an instance of the proxy with the id of the door that it listens behind."""
MOVED_FROM = "podium.moved-from"
"""Labels a service that is to take the place of another one, with the id of that."""
# Inside, the door's network is its own: who may reach it is what the engine publishes.
INSIDE = "0.0.0.0"  # noqa: S104
SPREAD = "podium.spread"
"""Labels a service with the ids of the nodes that it is kept off until it is healthy, since others of its version are
there."""
_MAX_NAME = 63  # the name of a service is one in DNS
_RESTART_DELAY_NS = 1_000_000_000
_TMPFS_BYTES = 256 << 20
_LOG_DRIVER = {"Name": "json-file", "Options": {"max-size": "10m", "max-file": "3"}}


class ServiceRecipe(Frozen):
    """One service to create, in the terms of the engine's API. `stamp` identifies all of it but the nodes that it may
    not run on, which change from one moment to the next."""

    name: str
    spec: dict[str, Any]
    stamp: str

    def avoiding(self, nodes: Collection[str], crowded: Collection[str] = ()) -> dict[str, Any]:
        """Returns the description of a service that runs on none of these nodes (ids), and at first on none of the
        `crowded` ones."""
        template = self.spec["TaskTemplate"]
        avoided = sorted({*nodes, *crowded})
        constraints = [*template["Placement"]["Constraints"], *(f"node.id!={each}" for each in avoided)]
        spread = {SPREAD: ",".join(sorted(set(crowded) - set(nodes)))}
        return {
            **self.spec,
            "Labels": {**self.spec["Labels"], SPEC: self.stamp, **spread},
            "TaskTemplate": {**template, "Placement": {"Constraints": constraints}},
        }


def service(container: ContainerRecipe, network: str, environment: Environment, volume: Sequence[str]) -> ServiceRecipe:
    """Returns the service that runs the replica which `container` describes. `volume` are the labels (`key=value`) of
    the volume that each of its nodes makes for captures.

    The Swarm starts its task again wherever it likes. It should not before the replica was healthy once: the driver
    sees that by the task that failed."""
    config, host = container.config, container.config["HostConfig"]
    labelled = dict(each.split("=", 1) for each in volume)
    mounts = [{**each, "VolumeOptions": {"Labels": labelled}} for each in host["Mounts"]]
    mounts.append({"Type": "tmpfs", "Target": "/tmp", "TmpfsOptions": {"SizeBytes": _TMPFS_BYTES, "Mode": 0o1777}})  # noqa: S108
    limits = {"NanoCPUs": host.get("NanoCpus", 0), "MemoryBytes": host.get("Memory", 0), "Pids": host["PidsLimit"]}
    spec: dict[str, Any] = {
        "Name": short(container.name),
        "Labels": config["Labels"],
        "Mode": {"Replicated": {"Replicas": 1}},
        "EndpointSpec": {"Mode": "dnsrr"},
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": config["Image"],
                "Env": config["Env"],
                "Labels": config["Labels"],
                "Hostname": config["Hostname"],
                "ReadOnly": True,
                "Init": True,
                "CapabilityDrop": ["ALL"],
                "Mounts": mounts,
                "StopGracePeriod": grace(environment) * 1_000_000_000,
            },
            "Resources": {"Limits": {key: value for key, value in limits.items() if value}},
            "RestartPolicy": {"Condition": "any", "Delay": _RESTART_DELAY_NS, "MaxAttempts": 0},
            "Placement": {"Constraints": [*environment.constraints]},
            "Networks": [{"Target": network}],
            "LogDriver": _LOG_DRIVER,
        },
    }
    stamp = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:16]
    return ServiceRecipe(spec["Name"], spec, stamp)


def let_go_anywhere(spec: dict[str, Any]) -> None:
    """Takes the nodes out of a service's description that it was kept off. A task that runs goes on: it is where it may
    be."""
    spread = str(spec["Labels"].pop(SPREAD, ""))
    kept_off = {f"node.id!={each}" for each in spread.split(",") if each}
    placement: dict[str, list[str]] = spec["TaskTemplate"]["Placement"]
    placement["Constraints"] = [each for each in placement.get("Constraints") or [] if each not in kept_off]


def grace(environment: Environment) -> int:
    """Returns how many seconds a task has to end: as long as it may finish requests, whoever ends it."""
    return max(1, round(environment.strategy.drain))


def short(name: str) -> str:
    """Returns the name of a service that says as much of `name` as fits."""
    if len(name) <= _MAX_NAME:
        return name
    return f"{name[: _MAX_NAME - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def door(relay: ContainerRecipe, network: str, environment: Environment) -> ContainerRecipe:
    """Returns the relay's recipe as that of the environment's door: it is on the services' network, the proxy's
    instances share its network, and the engine publishes the environment's port as its own."""
    port = f"{environment.port}/tcp"
    bindings = [{"HostIp": each, "HostPort": str(environment.port)} for each in addresses(environment.bind)]
    host = {**relay.config["HostConfig"], "NetworkMode": network, "PortBindings": {port: bindings}}
    config: dict[str, Any] = {**relay.config, "HostConfig": host, "ExposedPorts": {port: {}}}
    config["Labels"] = {**relay.config["Labels"], PUBLISHED: published(environment)}
    return ContainerRecipe(relay.name, config)


def published(environment: Environment) -> str:
    return f"{environment.bind}:{environment.port}"


def behind(proxy: ContainerRecipe, door_id: str) -> ContainerRecipe:
    """Returns the recipe of an instance of the proxy that shares the door's network."""
    config = {**proxy.config, "HostConfig": {**proxy.config["HostConfig"], "NetworkMode": f"container:{door_id}"}}
    config["Labels"] = {**proxy.config["Labels"], DOOR: door_id}
    return ContainerRecipe(proxy.name, config)


def volume_labels(called: EngineNames) -> list[str]:
    """Returns the labels of the environment's volumes."""
    return called.labels(names.VOLUME_ROLE).filters()
