"""One environment on this machine: its replicas (rows of the journal and processes) and its proxy, kept in step.

The journal's rows are what should be; processes and proxy are brought to them, never the other way round. A row is written before its process
is started, so that nothing runs that nobody knows of.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from ..domain.delivery import Replica, ReplicaState
from ..domain.models import Version
from ..domain.project import Environment, Project
from ..errors import RunFailed, Unreachable
from ..journal import Journal
from . import drivers, http, proxy
from .detached import tail
from .paths import environment_dir, private, safe
from .ports import bindable, free_port

Say = Callable[[str], None]


def quiet(_: str) -> None:
    """A log for callers that have none."""


class Site:
    """`say` gets a line for every thing done. Everything here may raise the PodiumErrors of proxy and driver."""

    def __init__(self, project: Project, journal: Journal, environment: Environment, *, say: Say = quiet) -> None:
        self.project = project
        self.journal = journal
        self.environment = environment
        self.name = environment.name
        self.directory = environment_dir(project, environment.name)
        self.say = say

    @cached_property
    def driver(self) -> drivers.Driver:
        return drivers.load(self.environment.driver)

    # Reading

    def replicas(self, version: int | None = None) -> list[Replica]:
        return sorted((r for r in self.journal.replicas.of(self.name) if version in (None, r.version)), key=lambda r: r.id)

    def running(self, version: int) -> list[Replica]:
        """Replicas of this version whose process is there and which have been seen healthy."""
        return [r for r in self.replicas(version) if r.state not in (ReplicaState.DEAD, ReplicaState.STARTING) and self.driver.alive(r)]

    def version(self, number: int) -> Version:
        """As the journal last saw it; one that it never saw is known by its number alone."""
        model = self.project.mlflow.model
        return next((v for v in self.journal.versions.of(model) if v.version == number), Version(model=model, version=number, created=0.0))

    def files(self, version: int) -> Path:
        from ..registry.files import directory

        return directory(self.project.state, self.project.mlflow.model, version)

    def fetched(self, version: int) -> str | None:
        """The digest of the version's files where they are here already, whole."""
        from ..registry.files import present

        return present(self.files(version))

    def log(self, replica: Replica) -> Path:
        return self.directory / f"{safe(replica.id)}.log"

    def marker(self, replica_id: str) -> str:
        return f"{self.project.home}:{replica_id}"

    def layout(self) -> proxy.Layout:
        """Not with replicas that have never answered yet: the proxy would find them dead, and believe it for a while after they are not."""
        servers = tuple(proxy.Server(r.slot, r.port, r.weight) for r in self.replicas() if r.weight or r.restarts or r.state is not ReplicaState.STARTING)
        return proxy.Layout(self.environment.bind, self.environment.port, servers)

    # The proxy

    def sync(self) -> bool:
        """Bring the proxy to what the journal's rows say; whether a process was started for it."""
        return proxy.ensure(self.directory, self.layout(), environment=self.name)

    def weigh(self, weights: Mapping[str, int]) -> None:
        """Set the weights of replicas (by id), all at once."""
        with self.journal.transaction():
            for replica in self.replicas():
                weight = weights.get(replica.id, replica.weight)
                if weight != replica.weight:
                    self.journal.replicas.put(replace(replica, weight=weight, state=_state(replica, weight)))
        try:
            proxy.set_weights(self.directory, self.layout())
        except Unreachable:
            self.sync()

    # Replicas

    def missing(self, version: int) -> list[int]:
        """The numbers (1…replicas) of this version's replicas that have to be started."""
        have = {r.slot for r in self.running(version)}
        return [n for n in range(1, self.environment.replicas + 1) if f"v{version}-{n}" not in have]

    def replica_id(self, version: int, number: int) -> str:
        return f"{self.name}-v{version}-{number}"

    def start(self, version: int, number: int, digest: str) -> Replica:
        """Start one replica beside whatever runs; it gets no traffic yet."""
        taken = {r.port for r in self.journal.replicas.all()} | {e.port for e in self.project.environments.values()}
        fresh = Replica(
            id=self.replica_id(version, number),
            environment=self.name,
            version=version,
            slot=f"v{version}-{number}",
            port=free_port(taken),
            state=ReplicaState.STARTING,
            digest=digest,
        )
        for old in self.replicas(version):
            if old.id == fresh.id:
                self.driver.stop(old, grace=2.0)
        return self.launch(fresh)

    def launch(self, replica: Replica) -> Replica:
        """Start the process of a row, the same one again if it ran before: same id, slot and, where still free, port."""
        self.driver.stop_lost(self.marker(replica.id)) if replica.pid is None and replica.restarts else None
        port = replica.port if bindable("127.0.0.1", replica.port) else free_port({r.port for r in self.journal.replicas.all()})
        row = replace(replica, state=ReplicaState.STARTING, port=port, pid=None, pid_started=None, started=time.time(), message="")
        self.journal.replicas.put(row)
        capture = private(self.directory / "capture")
        spec = drivers.ReplicaSpec(
            id=row.id, environment=self.name, model=self.project.mlflow.model, version=row.version, port=port, files=self.files(row.version),
            digest=row.digest, commit=self.version(row.version).commit, capture_dir=capture, capture_rate=self.environment.capture,
            log=self.log(row), marker=self.marker(row.id),
        )  # fmt: skip
        pid, started = self.driver.start(spec)
        row = replace(row, pid=pid, pid_started=started)
        self.journal.replicas.put(row)
        self.say(f"started {row.id} (pid {pid}, port {port})")
        return row

    def healthy(self, replica: Replica, *, timeout: float = 1.0) -> bool:
        try:
            return http.request(replica.port, "GET", "/ping", timeout=timeout)[0] == 200
        except OSError:
            return False

    def wait_healthy(self, ids: Collection[str], *, tick: Callable[[], object] = lambda: None) -> None:
        """Until all answer /ping with 200. RunFailed, with the end of the replica's log, when one dies or takes longer than `health_timeout`."""
        deadline = time.monotonic() + self.environment.health_timeout
        waiting = {r.id: r for r in self.replicas() if r.id in ids}
        while waiting:
            for replica in list(waiting.values()):
                if self.healthy(replica):
                    self.journal.replicas.put(replace(replica, state=ReplicaState.WARM))
                    del waiting[replica.id]
                elif not self.driver.alive(replica):
                    raise RunFailed(f"{replica.id} ended while it was starting.{self.evidence(replica)}", hint=self.look(replica))
                elif time.monotonic() > deadline:
                    text = f"{replica.id} is not healthy after {self.environment.health_timeout:g} s (/ping on port {replica.port})."
                    raise RunFailed(f"{text}{self.evidence(replica)}", hint=self.look(replica))
            if waiting:
                tick()
                time.sleep(0.05)

    def wait_up(self, slots: Collection[str], *, seconds: float = 10.0) -> None:
        """Until the proxy, too, finds them healthy: it gives a server that it believes dead no request, whatever its weight. RunFailed."""
        deadline = time.monotonic() + seconds
        waiting = set(slots)
        while waiting:
            waiting -= {stat.name for stat in proxy.stats(self.directory) if stat.kind == "server" and stat.up}
            if waiting and time.monotonic() > deadline:
                raise RunFailed(f"the proxy does not reach {', '.join(sorted(waiting))}", hint=f"see {self.directory}/proxy.log")
            if waiting:
                time.sleep(0.01)

    def drain(self, replicas: Sequence[Replica]) -> set[str]:
        """Give them no new request and wait until they have answered the old ones, `drain` seconds at most; the slots that have not."""
        if not proxy.alive(self.directory):
            return set()
        if any(replica.weight for replica in self.replicas() if replica.id in {r.id for r in replicas}):
            self.weigh({replica.id: 0 for replica in replicas})
        draining = {replica.slot for replica in replicas}
        deadline = time.monotonic() + self.environment.strategy.drain
        while draining:
            draining &= {stat.name for stat in proxy.stats(self.directory) if stat.kind == "server" and stat.sessions}
            if not draining or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        return draining

    def evidence(self, replica: Replica) -> str:
        """The end of its log, to go into an error message."""
        text = tail(self.log(replica))
        return f" Its log ends with:\n{text}" if text else " It wrote no log."

    def look(self, replica: Replica) -> str:
        return f"the whole log: {self.log(replica)}; what served before still serves"

    def retire(self, replicas: Sequence[Replica], *, grace: float = 5.0) -> None:
        """Take them out of the proxy, end them and forget them."""
        self.drain(replicas)
        for replica in replicas:
            if proxy.alive(self.directory):
                proxy.runtime(self.directory).remove(replica.slot)
            if replica.pid is None:
                self.driver.stop_lost(self.marker(replica.id))
            self.driver.stop(replica, grace=grace)
            self.journal.replicas.remove(self.name, replica.id)
            self.say(f"stopped {replica.id}")
        if replicas and proxy.alive(self.directory):
            self.sync()


def _state(replica: Replica, weight: int) -> ReplicaState:
    if weight:
        return ReplicaState.READY if replica.state is not ReplicaState.STARTING else replica.state
    return ReplicaState.DRAINING if replica.state is ReplicaState.READY else replica.state
