"""What the Containers screen shows of one container: a row for each that the engine has, and for each that it should
have and has not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field

from ...core.domain.containers import GONE, REPLICA, Container, EngineSnapshot
from ...core.domain.delivery import EnvironmentStatus, Replica, ReplicaState
from ...core.domain.frozen import Frozen
from ...core.domain.watching import AgentStatus, Series

# The second instance of a proxy, by the name that it was given.
_SECOND = re.compile(r"-2(?=-[0-9a-f]{6}$)")
_FRESH_SECONDS = 20.0  # seconds that a look of our own counts for, where no agent follows the engine


class Row(Frozen):
    """`replica` is the journal's row of it, None for a proxy and for a container that the journal does not know.
    `usage` maps signals to series. `stale`: nobody sees now whether it still is so."""

    container: Container
    replica: Replica | None = None
    usage: Mapping[str, Series] = field(default_factory=dict[str, Series])
    stale: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return self.container.environment, self.container.id or self.name

    @property
    def name(self) -> str:
        """Under which its log and its samples are kept."""
        return self.container.called

    @property
    def short(self) -> str:
        """The name without its environment's, which stands beside it; what is no replica is known by its role."""
        where = self.container.host or self.container.node
        on = f" on {where}" if where else ""
        if self.container.role == REPLICA:
            return self.name.removeprefix(f"{self.container.environment}-") + on
        if not self.container.role:
            return self.name
        second = _SECOND.search(self.container.name)
        return f"{self.container.role}{second.group() if second else ''}{on}"

    @property
    def version(self) -> int | None:
        return (
            self.container.version
            if self.container.version is not None
            else self.replica.version
            if self.replica is not None
            else None
        )

    @property
    def text(self) -> str:
        one = self.container
        return (
            f"{one.environment} {self.name} v{self.version or ''} {one.role} {one.state} {one.health} {one.image}"
            f" {one.id[:12]}"
        )

    def last(self, signal: str) -> float | None:
        values = self.usage[signal].values if signal in self.usage else ()
        return next((value for value in reversed(values[-4:]) if value is not None), None)


def newest(kept: Iterable[EngineSnapshot], looks: Iterable[EngineSnapshot]) -> tuple[EngineSnapshot, ...]:
    """Returns of each environment the newer of what the agent wrote and what a person has looked at since."""
    found = {each.environment: each for each in kept}
    for look in looks:
        before = found.get(look.environment)
        # A look that had no answer is as old as what was known before it.
        if before is None or (look.at, bool(look.message)) > (before.at, bool(before.message)):
            found[look.environment] = look
    return tuple(found.values())


def is_stale(snapshot: EngineSnapshot, agent: AgentStatus | None, now: float) -> bool:
    """Whether the engine may run something else by now. Until an agent is known of, it counts as followed."""
    followed = agent is None or agent.follows(snapshot)
    return bool(snapshot.message) or not (followed or snapshot.at >= now - _FRESH_SECONDS)


def rows_of(
    snapshots: Iterable[EngineSnapshot],
    statuses: Iterable[EnvironmentStatus],
    usage: Mapping[str, Mapping[str, Mapping[str, Series]]],
    *,
    stale: Callable[[EngineSnapshot], bool],
) -> tuple[Row, ...]:
    """Returns a row for each container that an engine has, and for each that it should have and has not. They come in
    the order of podium.yaml; in an environment the proxy last, and those with the most traffic first."""
    seen = {snapshot.environment: snapshot for snapshot in snapshots}
    rows: list[Row] = []
    for status in statuses:
        snapshot = seen.get(status.name)
        if snapshot is not None:
            rows += sorted(_rows(snapshot, status, usage.get(status.name, {}), stale(snapshot)), key=_rank)
    return tuple(rows)


def _rows(
    snapshot: EngineSnapshot, status: EnvironmentStatus, usage: Mapping[str, Mapping[str, Series]], stale: bool
) -> Iterator[Row]:
    by_container = {replica.container: replica for replica in status.replicas if replica.container}
    by_id = {replica.id: replica for replica in status.replicas}
    for container in snapshot.containers:
        replica = by_container.get(container.id) or by_id.get(container.replica)
        yield Row(container, replica, usage.get(container.called, {}), stale)
    if not stale:
        yield from (Row(gone, by_id[gone.replica]) for gone in snapshot.gone(status.replicas))


def _rank(row: Row) -> tuple[object, ...]:
    return row.container.role != REPLICA, -(row.replica.weight if row.replica else 0), natural(row.short)


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """To sort v3-2 before v3-10 by."""
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name))


def words(container: Container, replica: Replica | None) -> tuple[str, str, str]:
    """(glyph, words, role) of the state, the worst of what the engine says about it."""
    if container.state == GONE:
        return "bad", "gone", "bad"
    if container.state == "running":
        if container.health == "unhealthy":
            return "bad", "unhealthy", "bad"
        if container.health == "starting":
            return "idle", "starting", "run"
        if replica is not None and replica.state is ReplicaState.DRAINING:
            return "down", "draining", "warn"
        return "ok", container.health or "running", "ok"
    if container.out_of_memory:
        return "bad", "OOM killed", "bad"
    if container.state == "exited":
        # A version that is kept stopped for a rollback was ended by Podium: nothing is wrong with it.
        kept = replica is None or replica.state is ReplicaState.STOPPED or not replica.weight
        if kept and container.exit_code in (0, 143, None):
            return "stop", "stopped", "muted"
        return "bad", f"exited {container.exit_code if container.exit_code is not None else ''}".rstrip(), "bad"
    return {
        "created": ("idle", "created", "muted"),
        "restarting": ("warn", "restarting", "warn"),
        "paused": ("stop", "paused", "warn"),
    }.get(container.state, ("warn", container.state, "warn"))


def counts(snapshot: EngineSnapshot, status: EnvironmentStatus | None) -> tuple[int, int]:
    """(running, those that something is wrong with)."""
    replicas = {replica.id: replica for replica in status.replicas} if status is not None else {}
    roles = [words(container, replicas.get(container.replica))[2] for container in snapshot.containers]
    return sum(container.state == "running" for container in snapshot.containers), sum(role == "bad" for role in roles)


def short_image(container: Container) -> str:
    """The digest where there is one, else the engine's id, as people quote them."""
    _, _, digest = container.image.partition("@")
    text = digest or container.image_id or container.image
    return text.removeprefix("sha256:")[:12]
