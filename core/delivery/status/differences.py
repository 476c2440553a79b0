"""Finds where ledger, journal, proxy, aliases and engine disagree about an environment. The ledger says what should
be; the others are compared with it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from ...clock import elapsed
from ...domain.containers import EngineSnapshot
from ...domain.delivery import Deployment, Replica, ReplicaState
from ...domain.models import CHAMPION
from ...domain.repair import Difference, DifferenceKind, Severity
from ...domain.text.format import count, duration
from ...errors import UsageError
from ..environment import front, settings
from ..environment.history import EnvironmentHistory, carries
from ..environment.lifecycle import noted
from ..environment.registry_view import RegistryView
from ..environment.runtime import EnvironmentRuntime
from ..proxy.haproxy import BackendServer, ServerStat
from ..proxy.proxy import Instance

_UNKNOWN = "what runs is unknown; what served when it was last seen is left as it is"


def find(
    runtime: EnvironmentRuntime,
    history: EnvironmentHistory,
    registry: RegistryView,
    replicas: Sequence[Replica],
    trouble: str,
    snapshot: EngineSnapshot | None,
    *,
    busy: bool,
) -> tuple[Difference, ...]:
    """Returns the differences, worst first. `replicas` are the journal's rows with their actual state, `trouble`
    says why that could not be determined, `snapshot` is what the engine runs. While a change is in progress (`busy`)
    only what it does not explain."""
    serving = history.serving
    found = [] if busy else _interrupted(runtime)
    if serving is None and not replicas:
        return (
            *found,
            *(_containers(runtime, (), snapshot, busy=busy) if snapshot is not None and not snapshot.message else ()),
        )
    if history.stopped is not None and not busy:
        found += _left_by_stop(runtime, replicas)
    elif trouble:
        found.append(Difference(DifferenceKind.UNREACHABLE, runtime.name, f"{trouble}: {_UNKNOWN}"))
    else:
        found += _absent(runtime)
        found += _replicas(runtime, serving, replicas, snapshot, busy=busy)
        found += _proxy(runtime, replicas, snapshot, busy=busy)
        if snapshot is not None and not snapshot.message:
            found += _containers(runtime, replicas, snapshot, busy=busy)
    if not busy and history.current is not None:
        found += _aliases(runtime, history.current, registry)
    return tuple(sorted(found, key=lambda each: each.severity is not Severity.PROBLEM))


def _interrupted(runtime: EnvironmentRuntime) -> list[Difference]:
    return [
        Difference(
            DifferenceKind.INTERRUPTED,
            runtime.name,
            f"the {row.how} of version {row.to_version} was interrupted; the agent or the next change finishes or"
            " undoes it",
            repair=f"finish or undo the {row.how} of version {row.to_version}",
        )
        for row in runtime.journal.ledger.open()
        if row.environment == runtime.name
    ]


def _left_by_stop(runtime: EnvironmentRuntime, replicas: Sequence[Replica]) -> list[Difference]:
    if not replicas:
        return []
    left = f"{count(len(replicas), 'replica')} of {runtime.name} left"
    words = f"the stop was interrupted, with {left}: podium stop -e {runtime.name} ends the rest"
    return [Difference(DifferenceKind.INTERRUPTED, runtime.name, words, Severity.WARNING)]


def _absent(runtime: EnvironmentRuntime) -> list[Difference]:
    """Returns the hosts that do not answer, with what becomes of their replicas."""
    after = runtime.environment.replace
    then = f"its replicas are started elsewhere after {duration(after)}" if after is not None else "it has no traffic"
    return [
        Difference(
            DifferenceKind.UNREACHABLE,
            host,
            f"{host} has not answered for {duration(elapsed(absent.since, time.time()))}, and {then}: {absent.why}",
            Severity.WARNING,
        )
        for host, absent in runtime.driver.absent().items()
    ]


# Replicas


def _replicas(
    runtime: EnvironmentRuntime,
    serving: int | None,
    replicas: Sequence[Replica],
    snapshot: EngineSnapshot | None,
    *,
    busy: bool,
) -> list[Difference]:
    kept = {row.id for row in runtime.replicas() if row.state is ReplicaState.STOPPED}
    found = [
        _down(row, snapshot, kept=row.id in kept) for row in replicas if row.state is ReplicaState.DEAD and noted(row)
    ]
    if busy:
        return found
    ready = [row for row in replicas if row.version == serving and row.state is ReplicaState.READY and row.weight]
    wanted = runtime.environment.replicas
    if serving is not None and len(ready) != wanted:
        text = f"{len(ready)} of {wanted} replicas of version {serving} serve"
        more = len(ready) > wanted
        repair = f"take {len(ready) - wanted} out" if more else f"have {wanted} of them serve"
        found.insert(
            0,
            Difference(
                DifferenceKind.MISSING, runtime.name, text, Severity.WARNING if ready else Severity.PROBLEM, repair
            ),
        )
    found += [
        Difference(
            DifferenceKind.SETTINGS,
            row.id,
            f"{row.id} was started with another {', '.join(keys)} than podium.yaml has now",
            Severity.WARNING,
            f"replace {row.id}",
        )
        for row in ready
        if (keys := settings.changed(runtime, row))
    ]
    for version in sorted({row.version for row in replicas if row.weight and row.version != serving}):
        text = (
            f"version {version} takes traffic, and the ledger says"
            f" {f'version {serving} does' if serving is not None else 'nothing does'}"
        )
        repair = f"take the traffic from version {version}" if serving is not None else ""
        found.append(Difference(DifferenceKind.TRAFFIC, runtime.name, text, repair=repair))
    return found


def _down(row: Replica, snapshot: EngineSnapshot | None, *, kept: bool) -> Difference:
    """Returns the difference of a replica that is not running, with what its engine says about it; `kept` if it
    should not run but should exist."""
    if kept:
        text = f"{row.id} is gone: it was stopped and kept for a rollback, and its container was removed"
        return Difference(DifferenceKind.GONE, row.id, text, Severity.WARNING, f"forget {row.id}")
    kind, words = DifferenceKind.GONE, "is dead"
    if snapshot is not None and row.container and not snapshot.message:
        container = next((each for each in snapshot.containers if each.id == row.container), None)
        if container is None:
            words = "is gone: its container was removed"
        elif container.state == "paused":
            kind, words = DifferenceKind.PAUSED, "is paused"
        elif container.state != "running":
            code = f" with exit code {container.exit_code}" if container.exit_code is not None else ""
            memory = ", out of memory" if container.out_of_memory else ""
            kind, words = DifferenceKind.STOPPED, f"is {container.state}{code}{memory}"
    repair = f"let {row.id} go on" if kind is DifferenceKind.PAUSED else f"start {row.id} again"
    return Difference(kind, row.id, f"{row.id} {words}", Severity.PROBLEM if row.weight else Severity.WARNING, repair)


# The proxy


def _proxy(
    runtime: EnvironmentRuntime, replicas: Sequence[Replica], snapshot: EngineSnapshot | None, *, busy: bool
) -> list[Difference]:
    unseen = (ReplicaState.STOPPED, ReplicaState.UNKNOWN)  # a host that does not answer is told by itself
    rows = [row for row in replicas if row.state not in unseen]
    if not rows:
        return []
    readings = runtime.proxy.readings()
    found = [*_silent(runtime, readings, snapshot), *front.differences(runtime)]
    if not busy and not found:
        found += _by_other_settings(runtime)
    for stats in readings.values():
        seen = _instance(rows, replicas, {stat.name: stat for stat in stats if stat.kind == "server"}, busy=busy)
        found += [each for each in seen if each not in found]
    return found


def _by_other_settings(runtime: EnvironmentRuntime) -> list[Difference]:
    """Returns that the proxy goes by what podium.yaml said before. A file that it names and that cannot be used leaves
    it so."""
    repair = "give the proxy the settings of now: a new process takes its connections over"
    try:
        if runtime.proxy.fits(runtime.traffic.layout()):
            return []
    except UsageError as error:
        words = f"the proxy cannot have the settings of podium.yaml: {error.message}"
        return [Difference(DifferenceKind.PROXY, "proxy", words, Severity.WARNING)]
    keys = settings.changed_of_proxy(runtime)
    was = f"another {', '.join(keys)} than podium.yaml has now" if keys else "the settings of another version of Podium"
    words = f"the proxy was started with {was}"
    return [Difference(DifferenceKind.PROXY, "proxy", words, Severity.WARNING, repair)]


def _silent(
    runtime: EnvironmentRuntime, readings: Mapping[int, object], snapshot: EngineSnapshot | None
) -> list[Difference]:
    """Returns the proxy instances that do not answer. A remaining one has all the traffic."""
    found: list[Difference] = []
    severity = Severity.WARNING if readings else Severity.PROBLEM
    silent = [instance for instance in runtime.proxy.instances if instance.key not in readings]
    for instance in silent:
        called = "the proxy" if not readings else instance.words
        words = "does not answer" if instance.alive() else _why_down(runtime, instance, snapshot)
        found.append(Difference(DifferenceKind.PROXY, "proxy", f"{called} {words}", severity, f"start {called} again"))
    return found if readings else found[:1]


def _instance(
    rows: Sequence[Replica], replicas: Sequence[Replica], servers: Mapping[str, ServerStat], *, busy: bool
) -> list[Difference]:
    """Compares one proxy instance with the rows."""
    found = [each for row in rows if (each := _server(row, servers.get(row.slot), busy=busy)) is not None]
    known = {row.slot for row in replicas}
    for name, server in servers.items():
        if not busy and name not in known and server.weight and not server.status.startswith("MAINT"):
            text = f"the proxy sends requests to {name} at {server.address}, which the journal does not know"
            found.append(Difference(DifferenceKind.WEIGHT, name, text, repair=f"take {name} out of the proxy"))
    return found


def _why_down(runtime: EnvironmentRuntime, instance: Instance, snapshot: EngineSnapshot | None) -> str:
    if snapshot is None:
        return "does not run"
    called = runtime.driver.owned_names().proxies.get(instance.number)
    container = next((each for each in snapshot.containers if (each.name, each.host) == (called, instance.host)), None)
    return f"is {container.state}" if container is not None and container.state != "running" else "does not run"


def _server(row: Replica, server: ServerStat | None, *, busy: bool) -> Difference | None:
    """Compares one replica's server in the proxy with its row."""
    if server is None:
        if busy or row.state is ReplicaState.STARTING:
            return None
        severity = Severity.PROBLEM if row.weight else Severity.WARNING
        return Difference(
            DifferenceKind.WEIGHT, row.id, f"the proxy does not know {row.id}", severity, f"tell the proxy of {row.id}"
        )
    if server.weight != row.weight:
        text = f"the proxy gives {row.id} weight {server.weight} instead of {row.weight}"
        return (
            None
            if busy
            else Difference(DifferenceKind.WEIGHT, row.id, text, repair=f"give {row.id} weight {row.weight}")
        )
    here = BackendServer(row.slot, row.port, row.weight, row.address).shown
    if server.address and server.address != here and not busy and row.state is not ReplicaState.DEAD:
        text = f"the proxy looks for {row.id} at {server.address}, and it is at {here}"
        return Difference(DifferenceKind.NETWORK, row.id, text, repair=f"tell the proxy where {row.id} is")
    if not server.up and row.weight and row.state is ReplicaState.READY:
        why = f": {row.message}" if row.message else ""
        text = f"{row.id} fails its health check ({server.status}){why}"
        return Difference(DifferenceKind.UNHEALTHY, row.id, text, repair="" if busy else f"restart {row.id}")
    return None


# Containers


def _containers(
    runtime: EnvironmentRuntime, replicas: Sequence[Replica], snapshot: EngineSnapshot, *, busy: bool
) -> list[Difference]:
    from .container_differences import beside, compare

    found: list[Difference] = []
    by_id = {each.id: each for each in snapshot.containers}
    for row in replicas:
        container = by_id.get(row.container)
        if container is not None and row.state is not ReplicaState.UNKNOWN:
            found += compare(runtime, row, container, busy=busy)
    return found if busy else [*found, *beside(runtime, runtime.replicas(), snapshot)]


# Aliases


def _aliases(runtime: EnvironmentRuntime, current: Deployment, registry: RegistryView) -> list[Difference]:
    if registry.unread:
        return []
    serving, known = current.to_version, registry.version(current.to_version) is not None
    found: list[Difference] = []
    if not known:
        found.append(
            Difference(
                DifferenceKind.REGISTRY,
                f"version {serving}",
                f"version {serving} serves but was deleted from the registry",
                Severity.WARNING,
            )
        )
    if carries(runtime.project, runtime.name):
        champion = registry.aliases.get(CHAMPION)
        where = "is not set" if champion is None else f"is on version {champion}"
        if champion != serving:
            text = f"the alias {CHAMPION} {where}, and version {serving} serves"
            # A plain deploy leaves aliases alone on purpose, and so does a start; a version that is not in the registry
            # cannot have one.
            movable = current.how.moves_aliases and known
            found.append(
                Difference(
                    DifferenceKind.ALIAS,
                    CHAMPION,
                    text,
                    Severity.WARNING,
                    f"move the alias {CHAMPION} to version {serving}" if movable else "",
                )
            )
    return found
