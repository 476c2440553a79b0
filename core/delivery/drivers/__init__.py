"""Drivers: how a replica is run. `process` runs it on this machine, `docker` in a container; others come by entry
points of `podium.drivers` (`core/plugins.py` finds them all)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from ... import plugins
from ...domain.delivery import Replica
from ...domain.project import Environment, Project

if TYPE_CHECKING:
    from ...journal import Journal
    from ..proxy.proxy import Proxy
    from ..proxy.transport import Transport

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Setting:
    """What a driver works for: one environment. `directory` is the environment's own; `say` gets a line for what
    takes a while.

    `patience` is how many seconds a change waits for an engine that is away; 0 for callers that only look.
    """

    project: Project
    journal: Journal
    environment: Environment
    directory: Path
    say: Say
    patience: float = 0.0


@dataclass(frozen=True, slots=True)
class ReplicaSpec:
    """What a driver has to start. `files` is the directory of the model; `marker` finds the replica again when
    nobody noted it. `port` is the one that the driver asked for, `container` the one that the row had before,
    `dirty` whether the commit had changes beside it. A `shadow` gets no traffic and belongs to a replay."""

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
    slot: str = ""
    container: str = ""
    dirty: bool = False
    mlflow_run: str = ""
    run_id: int | None = None
    shadow: bool = False
    env: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Started:
    """What is known of a replica that was just started: pid and start time of a process, or ids of container and
    image, which are for drivers with an engine. It answers at `address`, on the port of its spec."""

    address: str = "127.0.0.1"
    pid: int | None = None
    pid_started: float | None = None
    container: str = ""
    image: str = ""

    @property
    def words(self) -> str:
        return f"container {self.container[:12]}, {self.address}" if self.container else f"pid {self.pid}"


@dataclass(frozen=True, slots=True)
class OwnedNames:
    """What belongs to an environment on an engine, besides its replicas."""

    network: str = ""
    """The network that its containers are on; empty for one that it shares."""

    proxies: Mapping[int, str] = field(default_factory=dict[int, str])
    """The container of each instance of the proxy, by its number."""

    helpers: Mapping[str, str] = field(default_factory=dict[str, str])
    """The roles (`containers/engine/labels.py`) of all other containers of its own, by name."""


class Driver(Protocol):
    """Starts and stops replicas, which speak docs/serving.md; `/ping` is 200 once one can predict.

    What others have to know before a driver is loaded is in its capabilities (`domain/capabilities.py`).

    A driver whose replicas are on an engine or a machine of their own raises Unreachable from every method while
    that does not answer.
    """

    @property
    def proxy(self) -> Proxy: ...

    @property
    def transport(self) -> Transport: ...

    def prepare(self, version: int) -> None:
        """Whatever takes long and changes nothing that serves, such as building an image: called before the
        environment is locked."""
        ...

    def port(self, wanted: int, taken: Collection[int]) -> int:
        """The port that a replica will listen on: `wanted` (0 for none) where it is free, else none of `taken` where
        replicas share an address."""
        ...

    def start(self, spec: ReplicaSpec) -> Started:
        """Start it, the kept one again where there is one, and return at once. It must survive the process that
        started it."""
        ...

    def stop(self, replica: Replica, *, grace: float) -> None:
        """Let it finish its requests for `grace` seconds, then end it and leave nothing. Not an error when it is
        gone already."""
        ...

    def stop_keeping(self, replica: Replica, *, grace: float) -> bool:
        """End it but keep it, to be started again in a few seconds; False, and nothing was done, where a driver has
        no such thing."""
        ...

    def kept(self, replica: Replica) -> bool:
        """Whether what `stop_keeping` kept is still there."""
        ...

    def alive(self, replica: Replica) -> bool: ...

    def enable_restart(self, replica: Replica) -> None:
        """Lets a replica come back by itself from now on, where the driver knows how; it has been seen healthy."""
        ...

    def is_restarting(self, replica: Replica) -> bool:
        """Whether it is down and its engine is starting it again already."""
        ...

    def current_address(self, replica: Replica) -> str:
        """Returns the address at which it is now, which a restart may have changed; that of its row where nothing
        better is known."""
        ...

    def start_cost(self, version: int) -> tuple[float, str]:
        """Returns (seconds, why) that come before a replica of this version, which neither runs nor is kept, can be
        started; (0, "") for none."""
        ...

    def captures(self) -> Path:
        """The directory with what replicas have captured; brought here first where they are on another machine."""
        ...

    def failure_report(self, replica: Replica, log: Path) -> str:
        """Returns what it wrote and how it ended, for an error message; its whole log is in `log` afterwards. Empty
        when it wrote nothing."""
        ...

    def stop_lost(self, marker: str) -> int:
        """End replicas that were started under this marker but never noted; how many."""
        ...

    def owned_names(self) -> OwnedNames:
        """Returns what belongs to the environment on its engine; asks nothing. Empty where there is no engine."""
        ...

    def connect(self, replica: Replica) -> None:
        """Puts a running replica back on the environment's network, which somebody took it off."""
        ...

    def after_rollout(self) -> None:
        """Clears away what a rollout that succeeded has left; what the environment keeps is decided by now."""
        ...

    def teardown(self) -> list[str]:
        """Removes what was there for all replicas together, after the environment was stopped; returns what was
        removed, in words."""
        ...

    def url(self) -> str:
        """Where the environment answers, as a client would write it."""
        ...


def load(name: str, setting: Setting) -> Driver:
    """Returns the driver of that name for one environment. Raises UsageError for an unknown one, MissingExtra when
    what it needs is not installed."""
    return cast(Driver, plugins.load("drivers", name)(setting))
