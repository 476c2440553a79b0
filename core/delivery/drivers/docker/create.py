"""What Podium's serving containers are created from: names, labels, limits and dropped privileges. Nothing here asks
an engine."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from ....containers import Labels
from ....containers.engine import labels as names
from ....domain.frozen import Frozen
from ....domain.project import Environment, Project
from ....serving.image.recipe import CAPTURE, MODEL, PORT, PYTHON, USER
from ...host.paths import numbered, safe
from .. import ReplicaSpec

__all__ = [
    "CAPTURE",
    "MODEL",
    "PORT",
    "PYTHON",
    "USER",
    "ContainerRecipe",
    "EngineNames",
    "capture_owner",
    "proxy",
    "relay",
    "replica",
]

SPEC = "podium.spec"
RUN_DIR = "/run/podium"
# Enough to examine a failure; without a limit the engine keeps logs for ever.
_LOG_CONFIG: dict[str, Any] = {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}
_TMPFS = {"/tmp": "rw,nosuid,nodev,noexec,size=256m,mode=1777"}  # noqa: S108 - a container's own
_MAX_PROCESSES = 512
# Loading a model takes all the CPU that it can get; until a replica is healthy, serving replicas have priority.
SHARES_AT_FIRST, SHARES = 256, 1024
_RELAY_MEMORY_BYTES = 128 << 20
_WAIT_PROGRAM = "import threading; threading.Event().wait()"


class EngineNames(Frozen):
    """The names of an environment's things on an engine. Their suffix distinguishes two checkouts of a project."""

    project: Project
    environment: str

    def labels(self, role: str, **more: str) -> Labels:
        return Labels(self.project.name, self.project.home, role, {names.ENVIRONMENT: self.environment, **more})

    def of(self, what: str = "") -> str:
        """Returns the name of a thing of the environment."""
        parts = [
            "podium",
            _word(self.project.name),
            _word(self.environment),
            *([_word(what)] if what else []),
            names.home_id(self.project.home)[:6],
        ]
        return "-".join(parts)

    def proxy(self, instance: int) -> str:
        return self.of(numbered("proxy", instance))

    def replica(self, spec: ReplicaSpec) -> str:
        return self.of(
            "-".join([spec.slot, *([spec.commit[:8]] if spec.commit else []), *(["dirty"] if spec.dirty else [])])
        )


class ContainerRecipe(Frozen):
    """One container to create, in the terms of the engine's API. `stamp` identifies the recipe and is stored in a
    label."""

    name: str
    config: dict[str, Any]

    @property
    def stamp(self) -> str:
        return hashlib.sha256(json.dumps(self.config, sort_keys=True).encode()).hexdigest()[:16]

    def stamped(self) -> ContainerRecipe:
        return replace(self, config={**self.config, "Labels": {**self.config["Labels"], SPEC: self.stamp}})


def capture_owner() -> int | None:
    """Returns the user who must own the directory of captures so that a replica on this machine can write to it;
    None for the user of this process."""
    return USER if os.getuid() == 0 else None


def replica(
    called: EngineNames,
    spec: ReplicaSpec,
    image: str,
    environment: Environment,
    *,
    network: str,
    capture: str,
    local: bool,
) -> ContainerRecipe:
    """Returns the recipe of a replica. `image` is an id, or a name with a digest. `capture` is a directory of this
    machine if the engine is local, else the name of a volume. On this machine a replica runs as the user of this
    process, so that the captures belong to that user; if that is root, and on other machines, it runs as the image's
    own user."""
    host = {
        **_hardened(),
        "NetworkMode": network,
        "Tmpfs": _TMPFS,
        "Mounts": [mount(capture, CAPTURE)],
        "PidsLimit": _MAX_PROCESSES,
        "CpuShares": SHARES_AT_FIRST,
        **_limits(environment.cpus, environment.memory),
    }
    config = {
        "Image": image,
        "Env": [f"{key}={value}" for key, value in _variables(spec, environment).items()],
        "Labels": _labels(called, spec).all(),
        "Hostname": re.sub(r"[^a-z0-9-]", "-", spec.slot.lower()),
        "HostConfig": host,
    }
    if local and os.getuid() != 0:
        config["User"] = f"{os.getuid()}:{os.getgid()}"
    return ContainerRecipe(called.replica(spec), config)


def _labels(called: EngineNames, spec: ReplicaSpec) -> Labels:
    role = names.SHADOW_ROLE if spec.shadow else names.REPLICA_ROLE
    more = {
        names.REPLICA: spec.id,
        names.MODEL: spec.model,
        names.VERSION: str(spec.version),
        names.COMMIT: spec.commit,
        names.MLFLOW_RUN: spec.mlflow_run,
        names.DIGEST: spec.digest,
        names.RUN: str(spec.run_id or ""),
    }
    return called.labels(role, **more)


def _variables(spec: ReplicaSpec, environment: Environment) -> dict[str, str]:
    """Returns what the server in the container is told (serving/options.py)."""
    return {
        "PODIUM_SERVING_ENVIRONMENT": spec.environment,
        "PODIUM_SERVING_VERSION": str(spec.version),
        "PODIUM_SERVING_MODEL_NAME": spec.model,
        "PODIUM_SERVING_DIGEST": spec.digest,
        "PODIUM_SERVING_COMMIT": spec.commit,
        "PODIUM_SERVING_REPLICA": spec.slot,
        "PODIUM_SERVING_CAPTURE_DIR": CAPTURE,
        "PODIUM_SERVING_CAPTURE_RATE": str(spec.capture_rate),
        # Beside the captures: what all replicas of the environment have on any engine, and what goes with it.
        "PODIUM_SERVING_GUARD": f"{CAPTURE}/guard",
        **served_variables(environment),
        **spec.env,
    }


def served_variables(environment: Environment) -> dict[str, str]:
    """Returns what podium.yaml says of how an environment's replicas answer, as variables of the image."""
    return _bounds(environment) | _batch(environment)


def proxy(
    called: EngineNames,
    instance: int,
    image: str,
    files: Sequence[PurePath],
    mounts: list[dict[str, Any]],
    *,
    user: str,
) -> ContainerRecipe:
    """Returns the recipe of an instance of HAProxy on the machine's own network: it listens on exactly bind:port,
    and no packet is translated on its way."""
    host = {
        **_hardened(),
        "Init": False,
        "NetworkMode": "host",
        "Mounts": mounts,
        "RestartPolicy": {"Name": "unless-stopped"},
    }
    body = {
        "Image": image,
        "Entrypoint": ["haproxy"],
        "Cmd": ["-W", "-db", *(word for file in files for word in ("-f", str(file)))],
        "User": user,
        "HostConfig": host,
        "Labels": called.labels(names.PROXY_ROLE).all(),
        "StopSignal": "SIGTERM",
        "Healthcheck": {"Test": ["NONE"]},
    }
    return ContainerRecipe(called.proxy(instance), body)


def relay(called: EngineNames, image: str, volume: str) -> ContainerRecipe:
    """Returns the recipe of the relay, which only waits; its program runs inside it by exec. It uses the machine's
    own network, so that it reaches both the replicas and the proxy."""
    host = {
        **_hardened(),
        "NetworkMode": "host",
        "Mounts": [mount(volume, RUN_DIR)],
        "RestartPolicy": {"Name": "unless-stopped"},
        "Memory": _RELAY_MEMORY_BYTES,
        "MemorySwap": _RELAY_MEMORY_BYTES,
        "PidsLimit": _MAX_PROCESSES,
    }
    body = {
        "Image": image,
        "Entrypoint": [PYTHON, "-I", "-S", "-c", _WAIT_PROGRAM],
        "Cmd": [],
        "User": f"{USER}:{USER}",
        "HostConfig": host,
        "Labels": called.labels(names.RELAY_ROLE).all(),
        "Healthcheck": {"Test": ["NONE"]},
    }
    return ContainerRecipe(called.of("relay"), body)


def _hardened() -> dict[str, Any]:
    return {
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "Init": True,
        "LogConfig": _LOG_CONFIG,
    }


def _limits(cpus: float | None, memory: int | None) -> dict[str, Any]:
    """Returns CPU and memory limits without swap on top of the memory: a replica that swaps is too slow to serve and
    should be seen to be too large."""
    found: dict[str, Any] = {"NanoCpus": int(cpus * 1e9)} if cpus else {}
    return found | ({"Memory": memory, "MemorySwap": memory} if memory else {})


def _bounds(environment: Environment) -> dict[str, str]:
    bounds = environment.request
    return {
        "PODIUM_SERVING_MAX_BODY": str(bounds.body),
        "PODIUM_SERVING_MAX_VALUES": str(bounds.values),
        "PODIUM_SERVING_ARRIVAL": f"{bounds.arrival:g}",
        "PODIUM_SERVING_TIMEOUT": f"{bounds.prediction:g}",
    }


def _batch(environment: Environment) -> dict[str, str]:
    batch = environment.batch
    if batch is None:
        return {}
    return {"PODIUM_SERVING_BATCH_MAX": str(batch.max), "PODIUM_SERVING_BATCH_WAIT": str(batch.wait)}


def _word(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "-", safe(text))[:40].strip("-.") or "x"


def mount(source: str, target: str) -> dict[str, Any]:
    """Returns the mount of a directory of the engine's machine, or of the volume of that name."""
    return {"Type": "bind" if source.startswith("/") else "volume", "Source": source, "Target": target}


def same_place(directory: Path, socket: Path) -> list[dict[str, Any]]:
    """Returns mounts that give a container the proxy's directory, and that of its socket if it is another one, under
    their own paths."""
    found = [directory.resolve(), *([socket.parent] if socket.parent != directory.resolve() else [])]
    return [mount(str(path), str(path)) for path in found]
