"""Drivers run replicas: `process` as processes of this machine, `docker` in containers. Others are added by entry
points of `podium.drivers` (`core/plugins.py` finds them all)."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from ... import plugins
from ...domain.delivery import Replica
from ...domain.frozen import Frozen
from ...domain.project import Environment, Project

if TYPE_CHECKING:
    from ...journal import Journal
    from ..proxy.haproxy import ProxyLayout
    from ..proxy.mesh import Mesh
    from ..proxy.proxy import Proxy
    from ..proxy.transport import Transport

Say = Callable[[str], None]
# Where an environment that listens there is asked.
ASKED: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "localhost": "127.0.0.1"}  # noqa: S104 - compared, not bound


class DriverContext(Frozen):
    """The environment that a driver works for."""

    project: Project
    """The project of the environment."""
    journal: Journal
    """The project's journal."""
    environment: Environment
    """The environment's configuration."""
    directory: Path
    """The environment's own directory below `.podium/environments`."""
    say: Say
    """Logs a line about anything that takes a while."""
    patience: float = 0.0
    """Seconds that a change waits for an engine that does not answer; 0 for callers that only read."""
    model: str = ""
    """The registered model whose versions are served."""


class ReplicaSpec(Frozen):
    """What a driver starts a replica from."""

    id: str
    """The replica's id in the journal."""
    environment: str
    """The name of the environment."""
    model: str
    """The name of the registered model."""
    version: int
    """The number of the model version."""
    port: int
    """The port that the driver's `port` chose."""
    files: Path
    """The directory with the model's files."""
    digest: str
    """The digest of the model's files, `sha256:…`."""
    commit: str
    """The commit that trained the version; empty if it is not known."""
    capture_dir: Path
    """The directory for captured requests."""
    capture_rate: float
    """The share of requests to capture, 0 to 1."""
    log: Path
    """The file for the replica's output."""
    marker: str
    """Finds the replica again if the process that started it died before the journal had its row."""
    slot: str = ""
    """The replica's name in the proxy."""
    address: str = ""
    """The address that the replica's row had before; empty for a new replica, and for one that has to go to another
    host."""
    container: str = ""
    """The container that the replica's row had before; empty for a new replica."""
    dirty: bool = False
    """True if the commit had uncommitted changes beside it."""
    mlflow_run: str = ""
    """The id of the MLflow run that logged the version."""
    run_id: int | None = None
    """The journal's run that starts the replica."""
    shadow: bool = False
    """True for a shadow of a replay, which gets no traffic."""
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    """Variables that are added to the replica's environment."""
    images: frozenset[str] | None = None
    """SHA-256 of the images that it may be started from, in hexadecimal; None where any image will do."""
    taken: frozenset[str] = frozenset()
    """Addresses that it may not get, without their host: those of `addresses_beside`."""


def addresses_beside(replica: str, rows: Iterable[Replica]) -> frozenset[str]:
    """Returns the addresses that an environment's other replicas have by their rows, without their hosts. One that was
    cut off from its network has none by the engine, while the proxy still has it there."""
    return frozenset(row.inside for row in rows if row.id != replica)


class StartedReplica(Frozen):
    """A replica that was just started: pid and start time of a process, or the ids of container and image for
    drivers with an engine. It answers at `address`, on the port of its spec."""

    address: str = "127.0.0.1"
    pid: int | None = None
    pid_started: float | None = None
    container: str = ""
    image: str = ""

    def written_to(self, row: Replica) -> Replica:
        """Returns the replica's row with what is known of it now."""
        return replace(
            row,
            pid=self.pid,
            pid_started=self.pid_started,
            address=self.address,
            container=self.container,
            image=self.image,
        )

    @property
    def words(self) -> str:
        return f"container {self.container[:12]}, {self.address}" if self.container else f"pid {self.pid}"


class AbsentHost(Frozen):
    """A host that does not answer."""

    why: str
    """In words."""
    since: float
    """Seconds since the epoch."""


class OneHost:
    """What a driver says and does that has one host."""

    setting: DriverContext

    def start_all(
        self: Driver, specs: Sequence[ReplicaSpec], begun: Callable[[ReplicaSpec, StartedReplica], None]
    ) -> None:
        for spec in specs:
            begun(spec, self.start(spec))

    def listens(self) -> str:
        return self.setting.environment.bind

    def mesh(self) -> Mesh | None:
        return None

    def absent(self) -> Mapping[str, AbsentHost]:
        return {}

    @property
    def keeps(self) -> bool:
        return True

    def displaced(self, replica: Replica) -> bool:
        return False

    def equip(self, rows: Sequence[Replica]) -> None:
        return None

    def tend(self, rows: Sequence[Replica], layout: Callable[[], ProxyLayout]) -> list[str]:
        return []

    def renew(self, layout: ProxyLayout) -> None:
        return None

    def doors(self) -> Sequence[str]:
        bind = self.setting.environment.bind
        return (ASKED.get(bind, bind),)


class OwnedNames(Frozen):
    """The names of what belongs to an environment on an engine, besides its replicas."""

    network: str = ""
    """The network that its containers are on; empty for one that it shares."""

    proxies: Mapping[int, str] = field(default_factory=dict[int, str])
    """The container of each instance of the proxy, by its number."""

    helpers: Mapping[str, str] = field(default_factory=dict[str, str])
    """The roles (`containers/engine/labels.py`) of all other containers of its own, by name."""


class Driver(Protocol):
    """Starts and stops replicas, which implement docs/serving.md; `/ping` answers 200 once one can predict.

    What has to be known before a driver is loaded is in its capabilities (`domain/capabilities.py`).

    A driver whose replicas are on an engine or another machine raises Unreachable from every method while that does
    not answer.
    """

    @property
    def proxy(self) -> Proxy: ...

    @property
    def transport(self) -> Transport: ...

    # `OneHost` has what drivers say whose proxy listens at `bind` of one host, and how they start several replicas

    def listens(self) -> str:
        """Returns the address at which the proxy listens, as it sees it itself."""
        ...

    def mesh(self) -> Mesh | None:
        """Returns how the proxies of several hosts reach each other; None for one host."""
        ...

    def absent(self) -> Mapping[str, AbsentHost]:
        """Returns the hosts that do not answer, by name: nothing is known of what they run."""
        ...

    def displaced(self, replica: Replica) -> bool:
        """Tells whether the replica was healthy, was lost with its machine, and is started again on another one by
        whoever runs it."""
        ...

    def equip(self, rows: Sequence[Replica]) -> None:
        """Gives hosts that have nothing of the environment yet what their proxies need, and the versions that serve. It
        may take minutes: whoever can do so does it before anybody is kept waiting."""
        ...

    def tend(self, rows: Sequence[Replica], layout: Callable[[], ProxyLayout]) -> list[str]:
        """Brings hosts that answer again to what should be before they get traffic, and renews the leases of the
        others' proxies; the caller holds the environment. Returns what was done, in words."""
        ...

    def renew(self, layout: ProxyLayout) -> None:
        """Renews the leases of the proxies that give traffic to nothing from which the layout takes it."""
        ...

    def doors(self) -> Sequence[str]:
        """Returns the addresses at which Podium itself asks the environment, for the transport: one of each host that
        answers."""
        ...

    # Before a change

    def prepare(self, version: int) -> None:
        """Does what takes long and changes nothing that serves, such as building an image; called before the
        environment is locked."""
        ...

    def port(self, wanted: int, taken: Collection[int]) -> int:
        """Returns the port for a replica: `wanted` (0 for none) if it is free, else one that is not in `taken` if
        replicas share an address."""
        ...

    def start(self, spec: ReplicaSpec) -> StartedReplica:
        """Starts the replica, or the kept one again if there is one, and returns without waiting for its health. It
        must survive the process that started it."""
        ...

    def start_all(self, specs: Sequence[ReplicaSpec], begun: Callable[[ReplicaSpec, StartedReplica], None]) -> None:
        """Starts replicas as `start` does, each on its own, and calls `begun` with each as soon as it has begun, in the
        caller's thread. After an error nothing more is begun; raises it when nothing is being started any more."""
        ...

    def stop(self, replica: Replica, *, grace: float) -> None:
        """Lets the replica finish its requests for `grace` seconds, then ends and removes it. A replica that is
        already gone is no error."""
        ...

    @property
    def keeps(self) -> bool:
        """Tells whether it can keep replicas that are stopped."""
        ...

    def stop_keeping(self, replica: Replica, *, grace: float) -> bool:
        """Ends the replica but keeps it, so that it can be started again in a few seconds. Returns False, and does
        nothing, if that cannot be."""
        ...

    def kept(self, replica: Replica) -> bool:
        """Tells whether the replica that `stop_keeping` kept is still there."""
        ...

    def alive(self, replica: Replica) -> bool: ...

    def enable_restart(self, replica: Replica) -> None:
        """Lets a healthy replica restart automatically from now on, if the driver supports it."""
        ...

    def is_restarting(self, replica: Replica) -> bool:
        """Tells whether the replica is down and its engine is already restarting it."""
        ...

    def current_address(self, replica: Replica) -> str:
        """Returns the replica's present address, which a restart may have changed; that of its row if nothing newer
        is known."""
        ...

    def start_cost(self, version: int) -> tuple[float, str]:
        """Returns (seconds, reason) of the work that precedes the start of a replica of this version that is neither
        running nor kept; (0, "") for none."""
        ...

    def captures(self) -> Path:
        """Returns the directory with the requests that replicas captured; those on another machine are copied to
        this one first."""
        ...

    def failure_report(self, replica: Replica, log: Path) -> str:
        """Returns the end of the replica's output and how it ended, for an error message, and leaves its whole log
        in `log`. Empty if it wrote nothing."""
        ...

    def ending(self, replica: Replica, log: Path) -> str:
        """Returns in words how a replica that is gone ended (signal or exit code) and the last line that it wrote, as
        far as that is known; empty if nothing is."""
        ...

    def stop_lost(self, marker: str) -> int:
        """Ends replicas that were started under this marker but never reached the journal; returns how many."""
        ...

    def owned_names(self) -> OwnedNames:
        """Returns what belongs to the environment on its engine, without asking the engine. Empty for a driver
        without an engine."""
        ...

    def cut_off(self, replica: Replica) -> bool:
        """Tells whether a replica runs that was disconnected from the environment's network."""
        ...

    def connect(self, replica: Replica) -> None:
        """Reconnects a running replica to the environment's network, from which it was disconnected; at its address if
        that is still free."""
        ...

    def after_rollout(self) -> None:
        """Removes what a successful rollout no longer needs; it is decided by now what the environment keeps."""
        ...

    def teardown(self) -> list[str]:
        """Removes what all replicas shared after the environment was stopped; returns descriptions of what was
        removed."""
        ...

    def url(self) -> str:
        """Returns the URL of the environment for clients."""
        ...


def absent_key(environment: str) -> str:
    """Returns under which key of the journal's values the hosts of an environment are that do not answer."""
    return f"absent hosts {environment}"


def noted_absent(journal: Journal, environment: str) -> dict[str, AbsentHost]:
    """Returns the hosts that were last seen not to answer."""
    found: dict[str, Any] = json.loads(journal.values.get(absent_key(environment)) or "{}")
    return {name: AbsentHost(str(why), float(since)) for name, (why, since) in found.items()}


def load(name: str, setting: DriverContext) -> Driver:
    """Returns the driver of that name for one environment. Raises UsageError for an unknown name, MissingExtra if a
    package that it needs is not installed."""
    return cast(Driver, plugins.load("drivers", name)(setting))
