"""Environments, deployments, replicas and the plans that change them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from . import format as fmt

if TYPE_CHECKING:
    from .repair import Difference
    from .verdicts import CheckResult, Verdict


class DeploymentState(StrEnum):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNDONE = "undone"


class How(StrEnum):
    DEPLOY = "deploy"
    PROMOTE = "promote"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Deployment:
    """One row of the ledger. `phase` is the last phase of the rollout that was finished; `data` is
    its `RolloutState` as JSON."""

    id: int
    environment: str
    how: How
    state: DeploymentState
    model: str
    to_version: int
    from_version: int | None
    at: float
    who: str
    why: str = ""
    run_id: int | None = None
    commit: str = ""
    digest: str = ""
    strategy: str = ""
    forced: bool = False
    phase: str = ""
    ended: float | None = None
    message: str = ""
    data: Mapping[str, object] = field(default_factory=dict[str, object])


class ReplicaState(StrEnum):
    """STOPPED is a container that is kept to be started again. UNKNOWN is never in the journal: the engine that
    would know does not answer."""

    STARTING = "starting"
    READY = "ready"
    WARM = "warm"
    DRAINING = "draining"
    DEAD = "dead"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Replica:
    """One serving process or container. `weight` 0..100 is its share of the proxy's attention, `slot` its server
    name in the proxy, `digest` what it loaded. The proxy finds it at `address`:`port`. `container` and `image` are
    ids on the engine, empty for a process; `pid` is None there.
    """

    id: str
    environment: str
    version: int
    slot: str
    port: int
    state: ReplicaState
    pid: int | None = None
    pid_started: float | None = None
    weight: int = 0
    restarts: int = 0
    started: float | None = None
    digest: str = ""
    message: str = ""
    address: str = "127.0.0.1"
    container: str = ""
    image: str = ""

    @property
    def number(self) -> int:
        """Its number among the replicas of its version, from 1."""
        return int(self.slot.rpartition("-")[2])


class CanaryState(StrEnum):
    """INCONCLUSIVE waits for a person to resume, send all traffic, or abort."""

    RUNNING = "running"
    PAUSED = "paused"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class CanaryStatus:
    """A canary under way. `weights` are the shares of its stages in percent, `stage` counts from 0, `share` is the
    present one. `since` is when the stage began and `until` when it will be judged (seconds since the epoch; None
    while it is paused or waits). `results` are the analysis of this stage so far and `verdict` its verdict, None
    before the first look. `message` says who paused it, or what it waits for."""

    deployment: int
    environment: str
    version: int
    from_version: int | None
    stage: int
    weights: tuple[int, ...]
    share: int
    state: CanaryState
    since: float
    until: float | None
    results: tuple[CheckResult, ...] = ()
    verdict: Verdict | None = None
    message: str = ""
    run_id: int | None = None

    def seconds_left(self, now: float) -> float | None:
        """Seconds until the stage is judged; None while it is paused or waits for a person."""
        if self.until is None or self.state is not CanaryState.RUNNING:
            return None
        return max(0.0, self.until - now)

    def headline(self, now: float) -> str:
        """Where it stands, in a few words."""
        place = f"canary v{self.version} at {self.share} %"
        if self.state is CanaryState.INCONCLUSIVE:
            return f"{place} waits for a person"
        if self.state is CanaryState.PAUSED:
            return f"canary v{self.version} paused at {self.share} %"
        seconds = self.seconds_left(now)
        return place if seconds is None else f"{place}, {fmt.duration(seconds)} left"

    @property
    def brief(self) -> str:
        """The same for a table's cell, with nothing in it that changes by itself."""
        words = {CanaryState.PAUSED: "paused", CanaryState.INCONCLUSIVE: "waits"}.get(self.state)
        return f"v{self.version} {self.share} % {words}" if words else f"canary v{self.version} {self.share} %"

    @property
    def shares(self) -> tuple[int, ...]:
        """The shares of traffic that it goes through, in percent; all traffic is the last."""
        return self.weights if self.weights and self.weights[-1] == 100 else (*self.weights, 100)

    def why_not(self, request: CanaryRequest) -> str:
        """Why that cannot be asked of it now; empty where it can."""
        if request is CanaryRequest.PAUSE and self.state is CanaryState.PAUSED:
            return f"the canary in {self.environment} is already paused: {self.message}"
        if request is CanaryRequest.PAUSE and self.state is CanaryState.INCONCLUSIVE:
            return f"the canary in {self.environment} is already waiting for a decision: resume or abort it"
        if request is CanaryRequest.RESUME and self.state is CanaryState.RUNNING:
            return f"the canary in {self.environment} is not paused"
        return ""


class Condition(StrEnum):
    """How an environment is doing, the worst of what is known. The names are part of what commands print; they are
    only ever added to."""

    EMPTY = "empty"  # nothing was deployed yet
    UNREACHABLE = "unreachable"  # its engine does not answer
    DOWN = "down"  # it should serve and does not
    STOPPED = "stopped"  # a person stopped it
    CANARY = "canary"  # one is under way
    PAUSED = "paused"  # a canary is paused
    WAITING = "waiting"  # a canary waits for a decision
    CHANGING = "changing"
    DIFFERS = "differs"  # it serves, and something is not as the ledger says
    HEALTHY = "healthy"


_OF_CANARY = {
    CanaryState.RUNNING: Condition.CANARY,
    CanaryState.PAUSED: Condition.PAUSED,
    CanaryState.INCONCLUSIVE: Condition.WAITING,
}


@dataclass(frozen=True, slots=True)
class EnvironmentHealth:
    """The condition of an environment, and the same in a few words."""

    condition: Condition
    words: str


@dataclass(frozen=True, slots=True)
class EnvironmentStatus:
    """What an environment serves, and what it should.

    `serving` and `previous` are version numbers by the ledger; `differences` are where the ledger, the registry's
    aliases and the running replicas disagree (empty: they agree), the worst first, each with what a repair would do
    about it. `rollback_to` is the version that one key brings back, with the expected seconds.
    """

    name: str
    driver: str
    url: str
    protected: bool
    carries: str
    strategy: str
    serving: int | None
    previous: int | None
    deployment: Deployment | None
    replicas: tuple[Replica, ...]
    differences: tuple[Difference, ...] = ()
    rollback_to: int | None = None
    rollback_seconds: float | None = None
    rollback_note: str = ""
    proxy_alive: bool = False
    locked_by: str = ""
    canary: CanaryStatus | None = None

    @property
    def health(self) -> EnvironmentHealth:
        """How it is doing, the worst first."""
        ready = self._ready
        if self.serving is None:
            return EnvironmentHealth(Condition.EMPTY, "serves nothing yet")
        if not ready and any(replica.state is ReplicaState.UNKNOWN for replica in self.replicas):
            return EnvironmentHealth(Condition.UNREACHABLE, "engine is not seen")
        if not self.proxy_alive and not self.replicas:
            return EnvironmentHealth(Condition.STOPPED, "was stopped")
        if not self.proxy_alive or not ready:
            return EnvironmentHealth(Condition.DOWN, "no replica is ready" if self.proxy_alive else "proxy is gone")
        return self._health_of_what_serves(ready)

    def _health_of_what_serves(self, ready: int) -> EnvironmentHealth:
        if self.canary is not None:
            return EnvironmentHealth(_OF_CANARY[self.canary.state], self.canary.brief)
        if self.locked_by:
            return EnvironmentHealth(Condition.CHANGING, f"changing: {self.locked_by}")
        if self.differences:
            return EnvironmentHealth(Condition.DIFFERS, fmt.count(len(self.differences), "difference"))
        return EnvironmentHealth(Condition.HEALTHY, f"{fmt.count(ready, 'replica')} ready")

    @property
    def _ready(self) -> int:
        """How many replicas of the version that serves are ready."""
        return sum(each.state is ReplicaState.READY and each.version == self.serving for each in self.replicas)

    # Why something cannot be asked of it now, empty where it can: for those who refuse and for those who offer.

    def why_not_change(self) -> str:
        """Why nothing about it can be changed: something else changes it."""
        return f"{self.name} is being changed by {self.locked_by}" if self.locked_by else ""

    def why_not_repair(self) -> str:
        return "" if self.differences else nothing_to_repair(self.name)

    def why_not_rollback(self) -> str:
        if self.rollback_to is not None:
            return ""
        return self.rollback_note or f"{self.name} has no earlier version to go back to"

    def why_no_canary(self) -> str:
        return "" if self.canary is not None else no_canary(self.name)


def no_canary(environment: str) -> str:
    return f"no canary is under way in {environment}"


def nothing_to_repair(environment: str) -> str:
    return f"{environment} matches the ledger; there is nothing to repair"


class CanaryRequest(StrEnum):
    """What a person may ask of a deployment that is under way. FULL gives the new version all traffic now, ABORT
    puts everything back."""

    PAUSE = "pause"
    RESUME = "resume"
    FULL = "full"
    ABORT = "abort"


@dataclass(frozen=True, slots=True)
class Asked:
    """One such order, as it stands in the journal."""

    id: int
    deployment: int
    order: CanaryRequest
    who: str
    at: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A version and its commit that no trigger may deploy until a person lifts it."""

    model: str
    version: int
    commit: str
    at: float
    who: str
    why: str = ""
