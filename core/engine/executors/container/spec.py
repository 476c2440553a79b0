"""What the child process of a step in a container is told: everything, in memory, so that no secret touches a disk
or a command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ....containers.engine.address import Address
from ....domain.project import ContainerSpec


@dataclass(frozen=True, slots=True)
class BuildFile:
    """One thing of a build directory, as it was when its hash was taken: `path` is relative to it, `kind` is file,
    link or directory."""

    path: str
    kind: str
    executable: bool = False


@dataclass(frozen=True, slots=True)
class StepSpec:
    """One attempt at a step in a container.

    `root` is the run's directory, where `argv` starts; `state` the project's `.podium`. `env` holds whole values;
    those that hold one of `secrets` never become part of the container's description. `base` is the step's key
    without its image, empty for a step that is never cached, and `key` the key as far as it was known. `build` is
    what the image's directory contains and `build_hash` its hash. `result` is the file for the answer, `log` the
    step's log so far. `worker` is the process that must be alive for this to go on.
    """

    address: Address
    project: str
    home: Path
    state: Path
    root: Path
    run: int
    step: str
    attempt: int
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    spec: ContainerSpec
    outputs: tuple[str, ...]
    tracking_uri: str
    secrets: tuple[str, ...] = field(repr=False)
    base: str
    key: str
    build: tuple[BuildFile, ...]
    build_hash: str
    result: Path
    log: Path
    worker: int
