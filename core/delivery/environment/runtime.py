"""One environment: its replicas (rows of the journal, and processes or containers) and its proxy, kept in step.

The journal's rows are what should be; replicas and proxy are brought to them, never the other way round. A row is
written before its replica is started, so that nothing runs that nobody knows of.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from ... import plugins
from ...domain.delivery import Replica, ReplicaState
from ...domain.models import TAG_DIRTY, Version
from ...domain.project import Environment, Project
from ...errors import Refused, RunFailed, Unreachable
from ...journal import Journal
from .. import drivers
from ..host.paths import environment_dir, private, safe
from ..proxy.proxy import Layout, Proxy, Server
from ..proxy.transport import Transport

Say = Callable[[str], None]
_UNSEEN = (ReplicaState.STARTING, ReplicaState.STOPPED)
_NOT_RUNNING = (ReplicaState.DEAD, *_UNSEEN)


def quiet(_: str) -> None:
    """A log for callers that have none."""


class EnvironmentRuntime:
    """`say` gets a line for every thing done, `patience` is that of drivers.Setting. Everything may raise the
    PodiumErrors of proxy and driver."""

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
        setting = drivers.Setting(self.project, self.journal, self.environment, self.directory, self.say, self.patience)
        return drivers.load(self.environment.driver, setting)

    @property
    def proxy(self) -> Proxy:
        return self.driver.proxy

    @property
    def transport(self) -> Transport:
        return self.driver.transport

    # Reading

    def replicas(self, version: int | None = None) -> list[Replica]:
        return sorted(
            (r for r in self.journal.replicas.of(self.name) if version in (None, r.version)), key=lambda r: r.id
        )

    def running(self, version: int) -> list[Replica]:
        """Replicas of this version that are there and have been seen healthy."""
        return [r for r in self.replicas(version) if r.state not in _NOT_RUNNING and self.driver.alive(r)]

    def stopped(self, version: int) -> list[Replica]:
        """Replicas of this version that are kept and can be started again in a few seconds."""
        return [r for r in self.replicas(version) if r.state is ReplicaState.STOPPED and self.driver.kept(r)]

    def version(self, number: int) -> Version:
        """As the journal last saw it; one that it never saw is known by its number alone."""
        model = self.project.mlflow.model
        return self.journal.versions.get(model, number) or Version(model=model, version=number, created=0.0)

    def files(self, version: int) -> Path:
        from ...registry.files import directory

        return directory(self.project.state, self.project.mlflow.model, version)

    def fetched(self, version: int) -> str | None:
        """The digest of the version's files where they are here already, whole."""
        from ...registry.files import present

        return present(self.files(version))

    def log(self, replica: Replica) -> Path:
        return self.directory / f"{safe(replica.id)}.log"

    def marker(self, replica_id: str) -> str:
        return f"{self.project.home}:{replica_id}"

    def layout(self) -> Layout:
        """Not with replicas that have never answered yet: the proxy would find them dead, and believe it for a while
        after they are not."""
        rows = [
            r
            for r in self.replicas()
            if r.weight or (r.restarts and r.state is not ReplicaState.STOPPED) or r.state not in _UNSEEN
        ]
        servers = tuple(Server(r.slot, r.port, r.weight, r.address) for r in rows)
        return Layout(self.environment.bind, self.environment.port, servers)

    # The proxy

    def sync(self) -> bool:
        """Bring the proxy to what the journal's rows say; whether a process was started for it."""
        return self.proxy.ensure(self.layout())

    def weigh(self, weights: Mapping[str, int]) -> None:
        """Set the weights of replicas (by id), all at once."""
        with self.journal.transaction():
            for replica in self.replicas():
                weight = weights.get(replica.id, replica.weight)
                if weight != replica.weight:
                    self.journal.replicas.put(replace(replica, weight=weight, state=_state(replica, weight)))
        try:
            self.proxy.set_weights(self.layout())
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
        """Start one replica beside whatever runs, the one that was kept where there is one; it gets no traffic yet."""
        identity = self.replica_id(version, number)
        fresh = Replica(
            identity, self.name, version, f"v{version}-{number}", port=0, state=ReplicaState.STARTING, digest=digest
        )
        for old in self.replicas(version):
            if old.id == identity and old.state is ReplicaState.STOPPED and self.driver.kept(old):
                return self.launch(replace(old, digest=old.digest or digest))
            if old.id == identity:
                self.driver.stop(old, grace=2.0)
        return self.launch(fresh)

    def launch(self, replica: Replica) -> Replica:
        """Start the replica of a row, the same one again if it ran before: same id, slot and, where still free,
        port."""
        self.driver.stop_lost(self.marker(replica.id)) if not noted(replica) and replica.restarts else None
        taken = {r.port for r in self.journal.replicas.all()} | {e.port for e in self.project.environments.values()}
        port = self.driver.port(replica.port, taken)
        row = replace(
            replica, state=ReplicaState.STARTING, port=port, pid=None, pid_started=None, started=time.time(), message=""
        )
        self.journal.replicas.put(row)
        known = self.version(row.version)
        spec = drivers.ReplicaSpec(
            id=row.id,
            environment=self.name,
            model=self.project.mlflow.model,
            version=row.version,
            port=port,
            files=self.files(row.version),
            digest=row.digest,
            commit=known.commit,
            capture_dir=private(self.directory / "capture"),
            capture_rate=self.environment.capture,
            log=self.log(row),
            marker=self.marker(row.id),
            slot=row.slot,
            container=row.container,
            dirty=known.tags.get(TAG_DIRTY) == "true",
            mlflow_run=known.mlflow_run,
            run_id=known.run_id,
        )
        seen = self.driver.start(spec)
        row = replace(
            row,
            pid=seen.pid,
            pid_started=seen.pid_started,
            address=seen.address,
            container=seen.container,
            image=seen.image,
        )
        self.journal.replicas.put(row)
        self.say(f"started {row.id} ({seen.words}, port {port})")
        return row

    def healthy(self, replica: Replica, *, timeout: float = 1.0) -> bool:
        try:
            return self.transport.http(replica.address, replica.port, "GET", "/ping", timeout=timeout)[0] == 200
        except OSError:
            return False

    def wait_healthy(self, ids: Collection[str], *, tick: Callable[[], object] = lambda: None) -> None:
        """Until all answer /ping with 200. RunFailed, with the end of the replica's log, when one dies or takes
        longer than `health_timeout`."""
        deadline = time.monotonic() + self.environment.health_timeout
        waiting = {r.id: r for r in self.replicas() if r.id in ids}
        while waiting:
            for replica in list(waiting.values()):
                if self.healthy(replica):
                    self.driver.enable_restart(replica)
                    self.journal.replicas.put(replace(replica, state=ReplicaState.WARM))
                    del waiting[replica.id]
                elif not self.driver.alive(replica):
                    raise RunFailed(
                        f"{replica.id} ended while it was starting.{self.evidence(replica)}", hint=self.look(replica)
                    )
                elif time.monotonic() > deadline:
                    text = (
                        f"{replica.id} is not healthy after {self.environment.health_timeout:g} s (/ping on"
                        f" {replica.address}:{replica.port})."
                    )
                    raise RunFailed(f"{text}{self.evidence(replica)}", hint=self.look(replica))
            if waiting:
                tick()
                time.sleep(0.05)

    def wait_up(self, slots: Collection[str], *, seconds: float = 10.0) -> None:
        """Until the proxy, too, finds them healthy: it gives a server that it believes dead no request, whatever its
        weight. RunFailed."""
        deadline = time.monotonic() + seconds
        waiting = set(slots)
        while waiting:
            waiting -= {stat.name for stat in self.proxy.stats() if stat.kind == "server" and stat.up}
            if waiting and time.monotonic() > deadline:
                raise RunFailed(f"the proxy does not reach {', '.join(sorted(waiting))}", hint=self.proxy.look())
            if waiting:
                time.sleep(0.01)

    def drain(self, replicas: Sequence[Replica]) -> set[str]:
        """Give them no new request and wait until they have answered the old ones, `drain` seconds at most; the
        slots that have not."""
        if not self.proxy.alive():
            return set()
        if any(replica.weight for replica in self.replicas() if replica.id in {r.id for r in replicas}):
            self.weigh({replica.id: 0 for replica in replicas})
        draining = {replica.slot for replica in replicas}
        deadline = time.monotonic() + self.environment.strategy.drain
        while draining:
            draining &= {stat.name for stat in self.proxy.stats() if stat.kind == "server" and stat.sessions}
            if not draining or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        return draining

    def evidence(self, replica: Replica) -> str:
        """The end of its log, to go into an error message."""
        text = self.driver.failure_report(replica, self.log(replica))
        return f" Its log ends with:\n{text}" if text else " It wrote no log."

    def look(self, replica: Replica) -> str:
        return f"the whole log: {self.log(replica)}; what served before still serves"

    def retire(self, replicas: Sequence[Replica], *, grace: float = 5.0) -> None:
        """Take them out of the proxy, end them and forget them."""
        self.drain(replicas)
        for replica in replicas:
            self.proxy.remove(replica.slot)
            if not noted(replica):
                self.driver.stop_lost(self.marker(replica.id))
            self.driver.stop(replica, grace=grace)
            self.journal.replicas.remove(self.name, replica.id)
            self.say(f"stopped {replica.id}")
        if replicas and self.proxy.alive():
            self.sync()

    def put_aside(self, replicas: Sequence[Replica], *, grace: float = 5.0) -> None:
        """Stop them but keep them, where the driver can; those that it cannot keep are retired."""
        self.drain(replicas)
        for replica in replicas:
            # One that is noted as stopped may live all the same, or be nothing that can be kept: whoever noted it may
            # have died over it.
            if replica.state is ReplicaState.STOPPED and self.driver.kept(replica) and not self.driver.alive(replica):
                continue
            # Noted before it is done: what dies in between must not be taken for something to bring back.
            self.journal.replicas.put(replace(replica, state=ReplicaState.STOPPED, weight=0, restarts=0))
            if not self.driver.stop_keeping(replica, grace=grace):
                self.retire([replica], grace=grace)
                continue
            self.say(f"stopped {replica.id}, and kept it")
        if replicas and self.proxy.alive():
            self.sync()

    def settle_kept(self, ranked: Sequence[int], *, serving: int) -> None:
        """After a change: of the versions in `ranked`, the likeliest way back first, `keep` stay warm and
        `keep_stopped` more stay as stopped replicas; what is beyond that, and takes no traffic, goes. Replicas of
        `serving` beyond the number wanted go too."""
        environment = self.environment
        order = list(dict.fromkeys(version for version in ranked if version != serving))
        warm, aside = set(order[: environment.keep]), set(order[environment.keep :][: environment.keep_stopped])
        idle = [row for row in self.replicas() if not row.weight]
        surplus = [row for row in idle if row.version == serving and row.number > environment.replicas]
        others = [row for row in idle if row.version not in warm | {serving}]
        self.put_aside([row for row in others if row.version in aside])
        self.retire([*surplus, *(row for row in others if row.version not in aside)])
        self.driver.after_rollout()


def noted(replica: Replica) -> bool:
    """Whether the row says which process or container it is; if not, that one died before it could be written down."""
    return replica.pid is not None or bool(replica.container)


def _state(replica: Replica, weight: int) -> ReplicaState:
    if weight:
        return ReplicaState.READY if replica.state is not ReplicaState.STARTING else replica.state
    return ReplicaState.DRAINING if replica.state is ReplicaState.READY else replica.state
