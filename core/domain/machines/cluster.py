"""A cluster at one moment: its nodes, who uses them, and what waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from ..frozen import Frozen


class Share(Frozen):
    """How much of one kind of resource is in use."""

    used: float = 0.0
    total: float = 0.0


class ClusterNode(Frozen):
    """A machine of the cluster."""

    id: str
    address: str
    head: bool
    alive: bool
    cpus: Share = Share()
    gpus: Share = Share()
    memory: Share = Share()
    """In bytes, as far as steps ask for memory."""
    others: Mapping[str, Share] = field(default_factory=dict[str, Share])
    """The cluster's own kinds."""
    message: str = ""
    """Why it is gone, as the cluster says."""


class ClusterJob(Frozen):
    """A job that runs or waits, whoever submitted it."""

    id: str
    status: str
    node: str = ""
    """The address of the node that it was started on."""
    project: str = ""
    """The project, run and step of one that Podium submitted."""
    run: str = ""
    step: str = ""
    asks: str = ""
    """What it asks for, in words."""
    since: float | None = None
    """When it was submitted (seconds since the epoch)."""
    waits: str = ""
    """Why it does not run yet."""


class ClusterStatus(Frozen):
    """All of it."""

    address: str
    version: str
    nodes: tuple[ClusterNode, ...]
    jobs: tuple[ClusterJob, ...]
    demands: tuple[str, ...] = ()
    """What was asked for and is not to be had now, in words, with how often."""
