"""Drivers: how a replica is run. `process` runs it on this machine; others come by entry points of the group `podium.drivers`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from ...domain.delivery import Replica
from ...errors import MissingExtra, UsageError


@dataclass(frozen=True, slots=True)
class ReplicaSpec:
    """What a driver has to start. `files` is the directory of the model; `marker` finds the process again when nobody noted its pid."""

    id: str
    environment: str
    model: str
    version: int
    port: int
    files: Path
    digest: str
    commit: str
    capture_dir: Path
    capture_rate: float
    log: Path
    marker: str
    env: Mapping[str, str] = field(default_factory=dict[str, str])


class Driver(Protocol):
    """Starts and stops replicas. A replica listens on 127.0.0.1:port and speaks docs/serving.md; `/ping` is 200 once it can predict."""

    def start(self, spec: ReplicaSpec) -> tuple[int, float]:
        """Start it and return at once: (pid, its start time). It must survive the process that started it."""
        ...

    def stop(self, replica: Replica, *, grace: float) -> None:
        """Let it finish its requests for `grace` seconds, then end it. Not an error when it is gone already."""
        ...

    def alive(self, replica: Replica) -> bool: ...

    def stop_lost(self, marker: str) -> int:
        """End replicas that were started under this marker but never noted; how many."""
        ...


TABLE: dict[str, str] = {"process": "podium.core.delivery.drivers.process:ProcessDriver"}
GROUP = "podium.drivers"


def load(name: str) -> Driver:
    """The driver called `name`. UsageError for an unknown one, MissingExtra when what it needs is not installed."""
    target = TABLE.get(name) or _entry_points().get(name)
    if target is None:
        known = ", ".join(sorted(TABLE.keys() | _entry_points().keys()))
        raise UsageError(f"there is no driver {name!r}", hint=f"known: {known}")
    module, _, attribute = target.partition(":")
    try:
        return cast(Driver, getattr(import_module(module), attribute)())
    except ImportError as error:
        raise MissingExtra(f"the driver {name} needs {error.name or error}", hint=f"pip install {error.name or name}") from error


def _entry_points() -> dict[str, str]:
    from importlib.metadata import entry_points

    return {point.name: point.value for point in entry_points(group=GROUP)}
