"""One environment at run time: its replicas (rows of the journal, and processes or containers) and its proxy.

The journal's rows are what should be; replicas and proxy are brought to them, never the other way round. What changes
replicas is in `lifecycle.py`, what changes the proxy and its weights in `traffic.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from ... import plugins
from ...domain.delivery import Replica, ReplicaState
from ...domain.models import Version
from ...domain.project import Environment, Project
from ...errors import Refused
from ...journal import Journal
from .. import drivers
from ..host.paths import environment_dir, safe
from ..proxy.proxy import Proxy
from ..proxy.transport import Transport
from .history import model_of
from .lifecycle import Lifecycle, noted
from .traffic import Traffic
from .version_files import VersionFiles

Say = Callable[[str], None]
_UNSEEN = (ReplicaState.STARTING, ReplicaState.STOPPED)
_NOT_RUNNING = (ReplicaState.DEAD, *_UNSEEN)


def quiet(_: str) -> None:
    """A log for callers that have none."""


def ensure_same_model(runtime: EnvironmentRuntime, candidate: Version) -> None:
    """Raises Refused for a version of another model than the environment's, whose numbers are those of other
    versions."""
    if candidate.model != runtime.model:
        raise Refused(
            f"{runtime.name} serves {runtime.model}, and this is a version of {candidate.model}",
            hint=f"name an environment that has `model: {candidate.model}`",
        )


class EnvironmentRuntime:
    """One environment. `say` gets a line for every thing done, `patience` is that of drivers.DriverContext. Everything
    may raise the PodiumErrors of proxy and driver."""

    def __init__(
        self, project: Project, journal: Journal, environment: Environment, *, say: Say = quiet, patience: float = 0.0
    ) -> None:
        self.project = project
        self.journal = journal
        self.environment = environment
        self.name = environment.name
        self.directory = environment_dir(project, environment.name)
        self.say = say
        self.patience = patience

    @cached_property
    def model(self) -> str:
        """The registered model whose versions are served here."""
        return model_of(self.project, self.journal, self.name)

    @cached_property
    def driver(self) -> drivers.Driver:
        """Raises Refused when what runs was started by a driver of the other kind (with an engine, or without): this
        one would find nothing of it, and start it all once more."""
        wanted = self.environment.driver
        engine = plugins.driver_capabilities(wanted).engine
        if any(bool(row.container) is not engine for row in self.replicas() if noted(row)):
            other = " or ".join(
                name for name in plugins.names("drivers") if plugins.driver_capabilities(name).engine is not engine
            )
            raise Refused(
                f"{self.name} was started with driver: {other}, and podium.yaml says {wanted} now",
                hint=(
                    f"set environments.{self.name}.driver to {other} again; give driver: {wanted} to an environment of"
                    " another name and port"
                ),
            )
        setting = drivers.DriverContext(
            self.project, self.journal, self.environment, self.directory, self.say, self.patience, self.model
        )
        return drivers.load(self.environment.driver, setting)

    @property
    def proxy(self) -> Proxy:
        return self.driver.proxy

    @property
    def transport(self) -> Transport:
        return self.driver.transport

    @property
    def traffic(self) -> Traffic:
        """The proxy and the weights of the replicas."""
        return Traffic(self)

    @property
    def lifecycle(self) -> Lifecycle:
        """Starting and stopping replicas."""
        return Lifecycle(self)

    @property
    def files(self) -> VersionFiles:
        """The files of the model's versions on this machine."""
        return VersionFiles(self.project, self.model)

    # Reading

    def replicas(self, version: int | None = None) -> list[Replica]:
        """Returns the rows of the replicas, of one version or of all, by id."""
        return sorted(
            (r for r in self.journal.replicas.of(self.name) if version in (None, r.version)), key=lambda r: r.id
        )

    def running(self, version: int) -> list[Replica]:
        """Returns the replicas of this version that are there and have been seen healthy."""
        return [r for r in self.replicas(version) if r.state not in _NOT_RUNNING and self.driver.alive(r)]

    def unknown(self, version: int | None = None) -> list[Replica]:
        """Returns the replicas that are on a host which does not answer."""
        absent = self.driver.absent()
        return [r for r in self.replicas(version) if r.host in absent] if absent else []

    def displaced(self, version: int) -> list[Replica]:
        """Returns the replicas of this version that were lost with their machine, and are being started elsewhere."""
        return [r for r in self.replicas(version) if r.state not in _NOT_RUNNING and self.driver.displaced(r)]

    def out_of_reach(self) -> set[str]:
        """Returns their slots."""
        return {r.slot for r in self.unknown()}

    def stopped(self, version: int) -> list[Replica]:
        """Returns the replicas of this version that are kept and can be started again in a few seconds."""
        return [r for r in self.replicas(version) if r.state is ReplicaState.STOPPED and self.driver.kept(r)]

    def version(self, number: int) -> Version:
        """Returns the version as the journal last saw it; one that it never saw is known by its number alone."""
        model = self.model
        return self.journal.versions.get(model, number) or Version(model=model, version=number, created=0.0)

    def log(self, replica: Replica) -> Path:
        """Returns the replica's log file."""
        return self.directory / f"{safe(replica.id)}.log"

    def marker(self, replica_id: str) -> str:
        """Returns what marks the process or container of a replica, so that it is found without its row."""
        return f"{self.project.home}:{replica_id}"

    def missing(self, version: int) -> list[int]:
        """Returns the numbers (1…replicas) of this version's replicas that have to be started. Those on a host that
        does not answer are left to it while others of the version run, and those that are started elsewhere as well."""
        have = {r.slot for r in self.running(version)}
        if have:
            have |= {r.slot for r in self.unknown(version) if r.state not in _NOT_RUNNING}
            have |= {r.slot for r in self.displaced(version)}
        return [n for n in range(1, self.environment.replicas + 1) if f"v{version}-{n}" not in have]

    def replica_id(self, version: int, number: int) -> str:
        """Returns the id of a version's replica."""
        return f"{self.name}-v{version}-{number}"
