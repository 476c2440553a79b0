"""The spec of a step on Ray, handed to its supervisor in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from ....domain.frozen import Frozen


class RayStepSpec(Frozen):
    """One attempt at a step."""

    address: str
    """The cluster's dashboard, such as http://head:8265."""

    submission: str
    """The job's name: the same for the same attempt, whoever asks, and for no other."""

    delivered: Path
    """A file with the number of jobs of this step whose end the worker was told: each further one has another name."""

    root: Path
    """The run's directory, where `argv` starts."""

    shared: bool
    """Whether the nodes have that directory at the same path."""

    argv: tuple[str, ...]
    """The command."""

    env: Mapping[str, str] = field(repr=False)
    """Its variables, beside those of the node."""

    outputs: tuple[str, ...]
    """What the command writes, below `root`."""

    cpus: float
    """CPUs that are reserved for it."""

    memory: int
    """Bytes of memory; 0 for none."""

    gpus: int
    """GPUs."""

    resources: Mapping[str, float]
    """The cluster's own kinds of resources."""

    runtime_env: Mapping[str, Any]
    """What Ray installs for it."""

    metadata: Mapping[str, str]
    """What the job is called in Ray's own lists."""

    state: Path
    """The project's `.podium`."""

    result: Path
    """The file for the supervisor's answer."""

    log: Path
    """The step's log so far."""

    worker: int
    """The process that must be alive for this to go on."""
