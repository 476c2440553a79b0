"""A cluster at one moment: its nodes, who uses them, and what waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from ..frozen import Frozen


def whose(project: str, run: int | str, step: str) -> str:
    """Returns `run 12 of shop (train)`: whose a share of a machine is."""
    return f"run {run} of {project} ({step})"


class Share(Frozen):
    """How much of one kind of resource is in use."""

    used: float = 0.0
    total: float = 0.0

    @property
    def words(self) -> str:
        """Returns `1.5 of 4`; `none` where there is nothing of it."""
        return f"{self.used:g} of {self.total:g}" if self.total else "none"

    @property
    def gib(self) -> str:
        """Returns `1.5 of 24.0 GiB`, for bytes; empty where there is nothing of it."""
        return f"{self.used / 2**30:.1f} of {self.total / 2**30:.1f} GiB" if self.total else ""


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

    @property
    def name(self) -> str:
        return self.address + (" (head)" if self.head else "")

    @property
    def state(self) -> str:
        return "alive" if self.alive else "dead"

    @property
    def other_words(self) -> str:
        """Returns what it has of the cluster's own kinds; why it is gone, where that is known."""
        others = ", ".join(f"{name} {share.words}" for name, share in self.others.items())
        return self.message or others


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

    @property
    def whose(self) -> str:
        """Returns the run and step of one that Podium submitted; empty for others."""
        return whose(self.project, self.run, self.step) if self.project else ""


class ClusterStatus(Frozen):
    """All of it."""

    address: str
    version: str
    nodes: tuple[ClusterNode, ...]
    jobs: tuple[ClusterJob, ...]
    demands: tuple[str, ...] = ()
    """What was asked for and is not to be had now, in words, with how often."""
