"""Describes a step's container for the engine: its image, its limits and its privileges."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .... import priority
from ....containers.engine.labels import ATTEMPT, RUN, STEP, STEP_ROLE, Labels
from ....domain.frozen import Frozen
from .mounts import Mount, mounts, on_this_machine
from .spec import ContainerStepSpec
from .wrapper import ENTRYPOINT

HOME_DIRECTORY = "/home/podium"
FINGERPRINT = "podium.fingerprint"
# What follows a container's name once its step has failed and it is only there to be looked at.
FAILED_SUFFIX = "-failed"
# An engine keeps a container's output in files of its own, from which it is read again when the connection was lost.
# Without a bound, a step that prints for ever would fill the engine's disk.
LOG_BYTES = 128 << 20
_LOG_CONFIG = {"Type": "local", "Config": {"max-size": f"{LOG_BYTES >> 20}m", "max-file": "2", "compress": "false"}}
# Shared memory, of which the engine's 64 MB are too little for programs that hand arrays to their workers. It is used
# only when it is filled.
_SHARED_MEMORY_BYTES = 1 << 30
# The kernel's weight for the disk of a container that has none of its own; the least is 10.
_BLKIO_WEIGHT = 500


class EngineFacts(Frozen):
    """What the description depends on besides the step. `copies`: the engine is on another machine, so nothing can
    be mounted."""

    cpus: int
    rootless: bool
    remapped: bool
    copies: bool


def surroundings(info: Mapping[str, Any], *, local: bool) -> EngineFacts:
    options = [str(option) for option in info.get("SecurityOptions") or ()]
    return EngineFacts(
        int(info.get("NCPU") or 1),
        any("rootless" in option for option in options),
        any("userns" in option for option in options),
        not local,
    )


def name(spec: ContainerStepSpec) -> str:
    step = re.sub(r"[^A-Za-z0-9_.-]+", "_", spec.step)[:40].strip("_")
    project = re.sub(r"[^A-Za-z0-9_.-]+", "_", spec.project)[:30].strip("_")
    return f"podium-{project}-{spec.run}-{step}-{secrets.token_hex(3)}"


def step_labels(project: str, home: Path, run: int, step: str) -> Labels:
    """Returns the labels of all containers of a step."""
    return Labels(project, home, STEP_ROLE, {RUN: str(run), STEP: step})


def fingerprint(spec: ContainerStepSpec, image_id: str, open_: Mapping[str, str], hidden: Sequence[str]) -> str:
    """Returns a hash that tells whether a container of an earlier worker does what the step would do now. It covers
    only the names of secrets."""
    argv = [_without(word, spec.secrets) for word in spec.argv]
    container = spec.container
    own = {key: value for key, value in open_.items() if key not in ("PODIUM_STEP_KEY", "MLFLOW_RUN_CONTEXT")}
    parts = [
        spec.base,
        argv,
        image_id,
        sorted(own.items()),
        sorted(hidden),
        str(spec.root),
        container.cpus,
        container.memory,
        container.network,
    ]
    return hashlib.sha256(json.dumps(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _without(text: str, secret_values: Sequence[str]) -> str:
    for secret in secret_values:
        if secret:
            text = text.replace(secret, "")
    return text


def user(around: EngineFacts) -> str:
    """Returns the user that the command runs as: the caller, so that its files belong to the caller. A rootless
    engine maps its root to the caller."""
    return "0:0" if around.rootless else f"{os.getuid()}:{os.getgid()}"


def description(
    spec: ContainerStepSpec, around: EngineFacts, image_id: str, open_: Mapping[str, str], mark: str
) -> dict[str, Any]:
    """Returns the body of the engine's «create» request."""
    labels = {
        **step_labels(spec.project, spec.home, spec.run, spec.step).all(),
        ATTEMPT: str(spec.attempt),
        FINGERPRINT: mark,
    }
    return {
        "Image": image_id,
        "Entrypoint": list(ENTRYPOINT),
        "Cmd": [],
        "Env": [f"{key}={value}" for key, value in container_env(open_).items()],
        "User": user(around),
        "WorkingDir": str(spec.root),
        "Labels": labels,
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": host(spec, around),
    }


def container_env(open_: Mapping[str, str]) -> dict[str, str]:
    return {"HOME": HOME_DIRECTORY, **open_, "TINI_KILL_PROCESS_GROUP": "1"}


def host(spec: ContainerStepSpec, around: EngineFacts) -> dict[str, Any]:
    """Returns the part of the description that concerns the engine's machine; a shell in a failed step's container
    gets the same."""
    container = spec.container
    who = user(around).split(":")
    found: dict[str, Any] = {
        "Init": True,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "NetworkMode": network(spec, around),
        "Tmpfs": {HOME_DIRECTORY: f"rw,nosuid,nodev,exec,mode=0700,uid={who[0]},gid={who[1]}"},
        "ShmSize": _SHARED_MEMORY_BYTES,
        "LogConfig": _LOG_CONFIG,
        "Mounts": []
        if around.copies
        else [_mount(mount) for mount in mounts(spec.root, spec.state, spec.stores, alone=spec.container.alone)],
    }
    if not around.copies and not around.rootless:
        found["GroupAdd"] = [str(group) for group in os.getgroups() if group != os.getgid()]
    if around.remapped and not around.rootless:
        found["UsernsMode"] = "host"
    if container.cpus is not None:
        found["NanoCpus"] = int(min(container.cpus, around.cpus) * 1e9)
    if container.gpus and "none" not in container.gpus:
        found["DeviceRequests"] = [{"Driver": "nvidia", "DeviceIDs": list(container.gpus), "Capabilities": [["gpu"]]}]
    if container.memory is not None:
        # No swap beyond it: a step that needs more is to end at its limit, not to crawl.
        found["Memory"] = found["MemorySwap"] = container.memory
    return {**found, **_weights(spec.nice)}


def _weights(nice: int) -> dict[str, int]:
    """Returns the container's weights for CPU and disk beside those of others (a replica has the ordinary ones, once it
    is healthy): as the kernel weighs a process with that nice value. An engine ignores what its machine cannot do."""
    share = priority.WEIGHTS[nice] / priority.WEIGHTS[0]
    return {"CpuShares": priority.WEIGHTS[nice], "BlkioWeight": max(10, int(share * _BLKIO_WEIGHT))} if nice else {}


def network(spec: ContainerStepSpec, around: EngineFacts) -> str:
    """Returns the network mode. A server on this machine's loopback address can only be reached from this machine's
    own network."""
    if not spec.container.network:
        return "none"
    return "host" if any(map(on_this_machine, spec.stores)) and not around.copies else "bridge"


def _mount(mount: Mount) -> dict[str, Any]:
    if mount.covered:
        return {"Type": "tmpfs", "Target": str(mount.path), "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o755}}
    return {"Type": "bind", "Source": str(mount.path), "Target": str(mount.path), "ReadOnly": not mount.writable}
