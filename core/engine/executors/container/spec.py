"""The spec of a step in a container, handed to its supervisor in memory, so that no secret touches a disk or a command
line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from ....containers.engine.address import Address
from ....domain.frozen import Frozen
from ....domain.project import ContainerSpec


class BuildFile(Frozen):
    """One thing of a build directory, as it was when its hash was taken: `path` is relative to it, `kind` is file,
    link or directory."""

    path: str
    kind: str
    executable: bool = False


class ContainerStepSpec(Frozen):
    """One attempt at a step in a container."""

    address: Address
    """The engine."""

    project: str
    """The project's name."""

    home: Path
    """The project's directory, where podium.yaml is."""

    state: Path
    """The project's `.podium`."""

    root: Path
    """The run's directory, where `argv` starts."""

    run: int
    """The run's number."""

    step: str
    """The step's full name."""

    attempt: int
    """Counts from 1."""

    argv: tuple[str, ...]
    """The command."""

    env: Mapping[str, str] = field(repr=False)
    """The command's environment, whole values; those that hold one of `secrets` never become part of the container's
    description."""

    container: ContainerSpec
    """Image or build, limits, mounts and network, as podium.yaml has them."""

    outputs: tuple[str, ...]
    """What the command writes, below `root`."""

    stores: tuple[str, ...]
    """MLflow's addresses: where runs are, and models where that is another."""

    secrets: tuple[str, ...] = field(repr=False)
    """Values that must not become visible."""

    base: str
    """The step's cache key without its image; empty for a step that is never cached."""

    key: str
    """The step's cache key, as far as it is known."""

    build: tuple[BuildFile, ...]
    """What the image's build directory contains; empty for an image that is not built."""

    build_hash: str
    """The hash of the build directory."""

    result: Path
    """The file for the supervisor's answer."""

    log: Path
    """The step's log so far."""

    worker: int
    """The process that must be alive for this to go on."""

    nice: int = 0
    """How much lower its priority is than that of what serves."""
