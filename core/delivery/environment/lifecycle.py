"""The lifecycle of one environment's replicas: started, waited for, stopped and kept, removed.

A row is written before its replica is started, so that nothing runs without a row.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from ... import plugins
from ...domain.delivery import Replica, ReplicaState
from ...domain.models import TAG_DIRTY
from ...domain.text import clean, telling_line
from ...errors import RunFailed
from .. import drivers
from ..host.paths import private
from . import settings

if TYPE_CHECKING:
    from .runtime import EnvironmentRuntime

T = TypeVar("T")
PING_TIMEOUT = 1.0
HEALTH_POLL_INTERVAL = 0.05
STOP_GRACE = 5.0
# A replica whose place is wanted has no traffic: it is not waited for long.
REPLACE_GRACE = 2.0


class Lifecycle:
    """Starts and stops replicas. Everything may raise the PodiumErrors of proxy and driver."""

    def __init__(self, runtime: EnvironmentRuntime) -> None:
        self._runtime = runtime

    def start(self, version: int, number: int, digest: str) -> Replica:
        """Starts one replica beside whatever runs, the one that was kept where there is one; it gets no traffic yet."""
        return self.launch(self._wanted(version, number, digest))

    def start_all(self, version: int, numbers: Sequence[int], digest: str) -> None:
        """Starts several replicas of a version as `start` does, those of several hosts at once. All have their rows
        before the first is started, so that what a crash leaves is known by its row or by its row's mark."""
        runtime = self._runtime
        images = self.ensure_signed(version)
        rows = [self._note(self._wanted(version, number, digest)) for number in numbers]
        by_id = {row.id: row for row in rows}

        def begun(spec: drivers.ReplicaSpec, started: drivers.StartedReplica) -> None:
            self._begun(by_id[spec.id], started)

        runtime.driver.start_all([replace(self._spec(row), images=images) for row in rows], begun)

    def _wanted(self, version: int, number: int, digest: str) -> Replica:
        """Returns what a replica's row begins with; ends what is left of an earlier one that is not kept."""
        runtime = self._runtime
        identity = runtime.replica_id(version, number)
        fresh = Replica(
            identity,
            runtime.name,
            version,
            f"v{version}-{number}",
            port=0,
            state=ReplicaState.STARTING,
            digest=digest,
        )
        for old in runtime.replicas(version):
            kept = old.id == identity and old.state is ReplicaState.STOPPED and runtime.driver.kept(old)
            if kept and not settings.changed(runtime, old):  # a container keeps what it was made with
                return replace(old, digest=old.digest or digest)
            if old.id == identity:
                runtime.driver.stop(old, grace=REPLACE_GRACE)
        return fresh

    def launch(self, replica: Replica, *, message: str = "") -> Replica:
        """Starts the replica of a row, the same one again if it ran before: same id, slot and, where still free,
        port. `message` is what its row says from now on."""
        images = self.ensure_signed(replica.version)
        row = self._note(replica, message=message)
        return self._begun(row, self._runtime.driver.start(replace(self._spec(row), images=images)))

    def _note(self, replica: Replica, *, message: str = "") -> Replica:
        """Writes the row of a replica that is about to be started."""
        runtime = self._runtime
        if replica.restarts and not noted(replica):
            runtime.driver.stop_lost(runtime.marker(replica.id))
        taken = runtime.journal.replicas.ports() | {e.port for e in runtime.project.environments.values()}
        port = runtime.driver.port(replica.port, taken)
        row = replace(
            replica,
            state=ReplicaState.STARTING,
            port=port,
            pid=None,
            pid_started=None,
            started=time.time(),
            message=message,
        )
        runtime.journal.replicas.put(row)
        if not row.container:
            settings.note(runtime, row)
        return row

    def _begun(self, row: Replica, begun: drivers.StartedReplica) -> Replica:
        """Writes which process or container it is."""
        runtime = self._runtime
        row = begun.written_to(row)
        runtime.journal.replicas.put(row)
        runtime.say(f"started {row.id} ({begun.words}{'' if row.socket else f', port {row.port}'})")
        return row

    def ensure_signed(self, version: int, *, fetch: bool = False) -> frozenset[str] | None:
        """Raises Unsigned where the environment serves only what is signed, and the version is not, or its files are
        not those. Returns the digests of the images that are; None where none need be. `fetch` asks MLflow for
        statements that are not here."""
        runtime = self._runtime
        if not runtime.environment.verified:
            return None
        from ...signatures import required  # late: whoever asks for a status starts nothing

        engine = plugins.driver_capabilities(runtime.environment.driver).engine
        place = None if engine else runtime.files.directory(version)
        return required.ensure(runtime.project, runtime.version(version), place, fetch=fetch)

    def _spec(self, row: Replica) -> drivers.ReplicaSpec:
        from . import keeping  # late: whoever asks for a status starts nothing

        runtime = self._runtime
        known = runtime.version(row.version)
        return drivers.ReplicaSpec(
            id=row.id,
            environment=runtime.name,
            model=runtime.model,
            version=row.version,
            port=row.port,
            files=runtime.files.directory(row.version),
            digest=row.digest,
            commit=known.commit,
            capture_dir=private(runtime.directory / "capture"),
            capture_rate=runtime.environment.capture,
            log=runtime.log(row),
            marker=runtime.marker(row.id),
            slot=row.slot,
            address=row.address if row.host else "",
            container=row.container,
            dirty=known.tags.get(TAG_DIRTY) == "true",
            mlflow_run=known.mlflow_run,
            run_id=known.run_id,
            env=keeping.variables(runtime.project, runtime.environment),
            taken=drivers.addresses_beside(row.id, runtime.replicas()),
        )

    def healthy(self, replica: Replica, *, timeout: float = PING_TIMEOUT) -> bool:
        """Returns whether it answers /ping with 200."""
        return not self.complaint(replica, timeout=timeout)

    def complaint(self, replica: Replica, *, timeout: float = PING_TIMEOUT) -> str:
        """Returns why it is not healthy, in its own words where it has some; empty if it is."""
        try:
            transport = self._runtime.transport
            status, body = transport.http(replica.address, replica.port, "GET", "/ping", timeout=timeout)
        except OSError:
            return "it lived but did not answer"
        return "" if status == 200 else _told(body) or f"it answered its health check with {status}"

    def wait_healthy(self, ids: Collection[str], *, tick: Callable[[], object] = lambda: None) -> None:
        """Waits until all answer /ping with 200. RunFailed, with the end of the replica's log, when one dies or takes
        longer than `health_timeout`."""
        runtime = self._runtime
        deadline = time.monotonic() + runtime.environment.health_timeout
        waiting = {r.id: r for r in runtime.replicas() if r.id in ids}
        while waiting:
            for replica in list(waiting.values()):
                if self.healthy(replica):
                    runtime.driver.enable_restart(replica)
                    runtime.journal.replicas.put(replace(replica, state=ReplicaState.WARM))
                    del waiting[replica.id]
                elif replica.host in runtime.driver.absent():
                    runtime.say(f"{replica.host} does not answer; {replica.id} is started elsewhere")
                    waiting[replica.id] = self.launch(replace(replica, address="", container=""))
                    deadline = time.monotonic() + runtime.environment.health_timeout
                elif not (runtime.driver.alive(replica) or runtime.driver.displaced(replica)):
                    raise RunFailed(
                        f"{replica.id} ended while it was starting.{self.failure_report(replica)}",
                        hint=self.log_hint(replica),
                    )
                elif runtime.driver.cut_off(replica):
                    runtime.driver.connect(replica)  # nobody heals beside an operation
                elif (found := runtime.driver.current_address(replica)) != replica.address:
                    waiting[replica.id] = replace(replica, address=found)  # its node was lost meanwhile
                    runtime.journal.replicas.put(waiting[replica.id])
                elif time.monotonic() > deadline:
                    text = (
                        f"{replica.id} is not healthy after {runtime.environment.health_timeout:g} s (/ping on"
                        f" {replica.place})."
                    )
                    raise RunFailed(f"{text}{self.failure_report(replica)}", hint=self.log_hint(replica))
            if waiting:
                tick()
                time.sleep(HEALTH_POLL_INTERVAL)

    def retire(self, replicas: Sequence[Replica], *, grace: float = STOP_GRACE) -> None:
        """Takes them out of the proxy, ends them and removes their rows."""
        runtime = self._runtime
        runtime.traffic.drain(replicas)
        for replica in replicas:
            runtime.proxy.remove(replica.slot)
            if not noted(replica):
                runtime.driver.stop_lost(runtime.marker(replica.id))
        driver = runtime.driver

        def stopped(replica: Replica, _: None) -> None:
            runtime.journal.replicas.remove(runtime.name, replica.id)
            runtime.say(f"stopped {replica.id}")

        at_hosts(replicas, lambda replica: driver.stop(replica, grace=grace), stopped)
        if replicas and runtime.proxy.alive():
            runtime.traffic.sync()

    def stop_and_keep(self, replicas: Sequence[Replica], *, grace: float = STOP_GRACE) -> None:
        """Stops them but keeps them, where the driver can; those that it cannot keep are retired."""
        runtime = self._runtime
        if not runtime.driver.keeps:
            self.retire(replicas, grace=grace)
            return
        runtime.traffic.drain(replicas)
        driver = runtime.driver
        left: list[Replica] = []
        for replica in replicas:
            # One that is noted as stopped may still run, or be gone: the process that noted it may have died before it
            # stopped it.
            if replica.state is ReplicaState.STOPPED and driver.kept(replica) and not driver.alive(replica):
                continue
            # Noted before it is done: what dies in between must not be taken for something to bring back.
            runtime.journal.replicas.put(replace(replica, state=ReplicaState.STOPPED, weight=0, restarts=0))
            left.append(replica)
        lost: list[Replica] = []

        def stopped(replica: Replica, kept: bool) -> None:
            if kept:
                runtime.say(f"stopped {replica.id}, and kept it")
            else:  # for healing to see, where it cannot be retired either
                runtime.journal.replicas.put(replace(replica, state=ReplicaState.WARM, weight=0))
                lost.append(replica)

        at_hosts(left, lambda replica: driver.stop_keeping(replica, grace=grace), stopped)
        if lost:
            self.retire(lost, grace=grace)
        if replicas and runtime.proxy.alive():
            runtime.traffic.sync()

    def keep_earlier(self, ranked: Sequence[int], *, serving: int) -> None:
        """Keeps earlier versions after a rollout, those in `ranked`, the likeliest way back first: `keep` stay warm,
        `keep_stopped` more stay as stopped replicas. All others without traffic are retired, and so are replicas of
        `serving` beyond the number wanted."""
        runtime = self._runtime
        environment = runtime.environment
        order = list(dict.fromkeys(version for version in ranked if version != serving))
        warm, aside = set(order[: environment.keep]), set(order[environment.keep :][: environment.keep_stopped])
        idle = [row for row in runtime.replicas() if not row.weight]
        surplus = [row for row in idle if row.version == serving and row.number > environment.replicas]
        others = [row for row in idle if row.version not in warm | {serving}]
        self.stop_and_keep([row for row in others if row.version in aside])
        self.retire([*surplus, *(row for row in others if row.version not in aside)])
        runtime.driver.after_rollout()

    def failure_report(self, replica: Replica) -> str:
        """Returns the end of its log, for an error message. The first line is whole: lists show no more than that."""
        runtime = self._runtime
        text = runtime.driver.failure_report(replica, runtime.log(replica))
        said = telling_line(text)
        return f" It said: {said}\nIts log ends with:\n{text}" if said else " It wrote no log."

    def log_hint(self, replica: Replica) -> str:
        """Returns where its whole log is, for an error's hint."""
        return f"the whole log: {self._runtime.log(replica)}; what served before still serves"


def at_hosts(rows: Sequence[Replica], work: Callable[[Replica], T], ended: Callable[[Replica, T], None]) -> None:
    """Does something with each replica, at once on several hosts and one after the other on one of them; `work` must
    not touch the journal, which belongs to the caller's thread. `ended` is called in that, with each replica and what
    `work` returned. Raises the first error, and begins nothing after it."""
    if len({row.host for row in rows}) < 2:
        for row in rows:
            ended(row, work(row))
        return
    from ...containers.engine.several import in_lines

    lines: dict[str, list[tuple[Replica, Callable[[], T]]]] = {}
    for row in rows:
        lines.setdefault(row.host, []).append((row, partial(work, row)))
    in_lines(lines.values(), ended)


def _told(body: bytes) -> str:
    """Returns the message of an error that a replica answers; empty if it is none."""
    try:
        value = json.loads(body)
        text = value.get("message") if isinstance(value, dict) else ""  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    except (ValueError, RecursionError):
        return ""
    text = clean(text)[:300].rstrip(".") if isinstance(text, str) else ""
    return f"{text[:1].lower()}{text[1:]}"


def noted(replica: Replica) -> bool:
    """Returns whether the row says which process or container it is; if not, it died before that was written."""
    return replica.pid is not None or bool(replica.container)
