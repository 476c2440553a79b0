"""Environments, deployments, replicas and the plans that change them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING

from .engines.places import split
from .frozen import Frozen
from .text import format as fmt

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
    START = "start"  # what served last, after a stop

    @property
    def moves_aliases(self) -> bool:
        """Tells whether it moves the aliases of the environment that carries them."""
        return self in (How.PROMOTE, How.ROLLBACK)


class Deployment(Frozen):
    """One row of the ledger."""

    id: int
    environment: str
    how: How
    state: DeploymentState
    model: str
    to_version: int
    from_version: int | None
    at: float
    """Seconds since the epoch."""
    who: str
    why: str = ""
    run_id: int | None = None
    commit: str = ""
    digest: str = ""
    strategy: str = ""
    forced: bool = False
    phase: str = ""
    """The last phase of the rollout that was finished."""
    ended: float | None = None
    message: str = ""
    data: Mapping[str, object] = field(default_factory=dict[str, object])
    """Its `RolloutState` as JSON."""


class Stopped(Frozen):
    """An environment that a person stopped. It holds as long as `deployment` is the latest that succeeded."""

    environment: str
    deployment: int | None
    """The row of the ledger that served; None if nothing had."""
    who: str
    at: float
    """Seconds since the epoch."""
    why: str = ""
    run_id: int | None = None
    """The run that stopped it."""

    @property
    def words(self) -> str:
        """Returns by whom, without where that person was."""
        return f"stopped by {self.who.partition(' from ')[0]}"


class ReplicaState(StrEnum):
    """The state of a replica. STOPPED is a container that is kept to be started again. UNKNOWN is never in the
    journal: it means that the engine does not answer."""

    STARTING = "starting"
    READY = "ready"
    WARM = "warm"
    DRAINING = "draining"
    DEAD = "dead"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


class Replica(Frozen):
    """One serving process or container."""

    id: str
    environment: str
    version: int
    slot: str
    """Its server name in the proxy."""
    port: int
    """The proxy reaches it at `address`:`port`, unless it listens on a Unix socket."""
    state: ReplicaState
    pid: int | None = None
    """None for a container."""
    pid_started: float | None = None
    weight: int = 0
    """0..100: its share of the proxy's requests."""
    restarts: int = 0
    started: float | None = None
    digest: str = ""
    """The digest of the model that it loaded."""
    message: str = ""
    address: str = "127.0.0.1"
    """An IP address, or the path of a Unix socket; `HOST/ADDRESS` where the environment has several hosts."""
    container: str = ""
    """The container's id on the engine; empty for a process."""
    image: str = ""
    """The image's id on the engine; empty for a process."""

    @property
    def socket(self) -> str:
        """Returns the path of the Unix socket that it listens on; empty if it listens on a port."""
        return self.address if self.address.startswith("/") else ""

    @property
    def place(self) -> str:
        """Returns where it listens, for people."""
        return self.socket or f"{self.address}:{self.port}"

    @property
    def host(self) -> str:
        """Returns the host that it runs on, where an environment has several; empty where it has one, and before it was
        started."""
        return split(self.address)[0]

    @property
    def inside(self) -> str:
        """Returns its address as its own host knows it."""
        return split(self.address)[1]

    @property
    def number(self) -> int:
        """Returns its number among the replicas of its version, from 1."""
        return int(self.slot.rpartition("-")[2])


class CanaryState(StrEnum):
    """The state of a canary. INCONCLUSIVE waits for a person to resume, send all traffic, or abort; so does ASKS, whose
    analysis has failed, and which goes back if nobody answers in time."""

    RUNNING = "running"
    PAUSED = "paused"
    INCONCLUSIVE = "inconclusive"
    ASKS = "asks"

    @property
    def waits(self) -> bool:
        """Tells whether it waits for a person's decision."""
        return self in (CanaryState.INCONCLUSIVE, CanaryState.ASKS)


_BRIEF = {CanaryState.PAUSED: "paused", CanaryState.INCONCLUSIVE: "waits", CanaryState.ASKS: "asks"}


class CanaryStatus(Frozen):
    """A running canary. Times are seconds since the epoch."""

    deployment: int
    environment: str
    version: int
    from_version: int | None
    stage: int
    """The number of the stage, from 0."""
    weights: tuple[int, ...]
    """The shares of the stages in percent."""
    share: int
    """The share of the current stage in percent."""
    state: CanaryState
    since: float
    """When the stage began."""
    until: float | None
    """When the stage will be judged, or goes back unless a person has answered; None while it is paused or waits."""
    results: tuple[CheckResult, ...] = ()
    """The analysis of this stage so far."""
    verdict: Verdict | None = None
    """The verdict of this stage; None before the first analysis."""
    message: str = ""
    """Who paused it, or what it waits for."""
    run_id: int | None = None

    def seconds_left(self, now: float) -> float | None:
        """Returns the seconds until the stage is judged, or until a person has to have answered; None while it is
        paused, or waits without an end."""
        if self.until is None or self.state not in (CanaryState.RUNNING, CanaryState.ASKS):
            return None
        return max(0.0, self.until - now)

    def headline(self, now: float) -> str:
        """Returns its progress in a few words."""
        place = f"canary v{self.version} at {self.share} %"
        if self.state is CanaryState.INCONCLUSIVE:
            return f"{place} waits for a person"
        if self.state is CanaryState.PAUSED:
            return f"canary v{self.version} paused at {self.share} %"
        seconds = self.seconds_left(now)
        if self.state is CanaryState.ASKS:
            within = "" if seconds is None else f" within {fmt.duration(seconds)}"
            return f"{place} has failed and asks a person{within}"
        return place if seconds is None else f"{place}, {fmt.duration(seconds)} left"

    @property
    def brief(self) -> str:
        """Returns the same for a table's cell, without anything that changes with the time."""
        words = _BRIEF.get(self.state)
        return f"v{self.version} {self.share} % {words}" if words else f"canary v{self.version} {self.share} %"

    @property
    def shares(self) -> tuple[int, ...]:
        """Returns the shares of traffic of all its stages in percent; all traffic is the last."""
        return self.weights if self.weights and self.weights[-1] == 100 else (*self.weights, 100)

    def why_not(self, request: CanaryRequest) -> str:
        """Returns why the request cannot be made now; empty if it can."""
        if request is CanaryRequest.PAUSE and self.state is CanaryState.PAUSED:
            return f"the canary in {self.environment} is already paused: {self.message}"
        if request is CanaryRequest.PAUSE and self.state.waits:
            return f"the canary in {self.environment} is already waiting for a decision: resume or abort it"
        if request is CanaryRequest.RESUME and self.state is CanaryState.RUNNING:
            return f"the canary in {self.environment} is not paused"
        return ""


class RolloutUnderWay(Frozen):
    """A deploy, a promotion or a rollback that is not over."""

    deployment: int
    how: How
    version: int
    from_version: int | None
    does: str
    """The present phase in words."""
    phase: int
    """The number of that phase, from 1."""
    phases: int
    """How many there are."""
    run_id: int | None = None

    @property
    def brief(self) -> str:
        """Returns it for a table's cell: `promote v3: warming up`."""
        return f"{self.how} v{self.version}: {self.does}"

    @property
    def headline(self) -> str:
        """Returns it with where it comes from and how far it is."""
        left = "" if self.from_version in (None, self.version) else f" in place of v{self.from_version}"
        return f"{self.how} of v{self.version}{left}: {self.does} (phase {self.phase} of {self.phases})"


class Condition(StrEnum):
    """The condition of an environment, the worst of everything known. Commands print the names, so names are only
    ever added."""

    EMPTY = "empty"  # nothing was deployed yet
    UNREACHABLE = "unreachable"  # its engine does not answer
    DOWN = "down"  # it should serve and does not
    STOPPED = "stopped"  # a person stopped it
    CANARY = "canary"  # one is running
    PAUSED = "paused"  # a canary is paused
    WAITING = "waiting"  # a canary waits for a decision
    CHANGING = "changing"
    DIFFERS = "differs"  # it serves, and something is not as the ledger says
    HEALTHY = "healthy"


_OF_CANARY = {
    CanaryState.RUNNING: Condition.CANARY,
    CanaryState.PAUSED: Condition.PAUSED,
    CanaryState.INCONCLUSIVE: Condition.WAITING,
    CanaryState.ASKS: Condition.WAITING,
}


class EnvironmentHealth(Frozen):
    """The condition of an environment, with a few words about it."""

    condition: Condition
    words: str


class EnvironmentStatus(Frozen):
    """The versions that an environment serves, and how they differ from what it should serve."""

    name: str
    driver: str
    url: str
    protected: bool
    carries: str
    strategy: str
    serving: int | None
    """The version by the ledger."""
    previous: int | None
    """The version before it by the ledger."""
    deployment: Deployment | None
    replicas: tuple[Replica, ...]
    differences: tuple[Difference, ...] = ()
    """Where the ledger, the registry's aliases and the running replicas disagree, the worst first, each with its
    repair; empty if they agree."""
    rollback_to: int | None = None
    """The version that a rollback brings back."""
    rollback_seconds: float | None = None
    """How long a rollback is expected to take."""
    rollback_note: str = ""
    proxy_alive: bool = False
    locked_by: str = ""
    canary: CanaryStatus | None = None
    stopped: Stopped | None = None
    """Who stopped it, if a person did and nothing was deployed since."""
    traffic: Mapping[int, float] = field(default_factory=dict[int, float])
    """Version -> its share (0..1) of the requests that are answered now, the largest first."""
    rollout: RolloutUnderWay | None = None
    """The rollout that holds the environment; None without one."""
    model: str = ""
    """The registered model whose versions it serves."""

    @property
    def answers(self) -> Mapping[int, float]:
        """Returns `traffic`; before anything was seen of it, the version by the ledger with all of it. An environment
        that is stopped or down gives no answers."""
        if self.traffic or self.serving is None or self.stopped is not None:
            return self.traffic
        return {} if self.health.condition in (Condition.STOPPED, Condition.DOWN) else {self.serving: 1.0}

    @property
    def health(self) -> EnvironmentHealth:
        """Returns the condition of the environment: the worst that applies."""
        ready = self._ready
        if self.stopped is not None:
            return self._health_of_what_is_stopped(self.stopped)
        if self.serving is None and self.rollout is not None:
            return EnvironmentHealth(Condition.CHANGING, self.rollout.brief)
        if self.serving is None:
            return EnvironmentHealth(Condition.EMPTY, "serves nothing yet")
        if not ready and any(replica.state is ReplicaState.UNKNOWN for replica in self.replicas):
            return EnvironmentHealth(Condition.UNREACHABLE, "engine is not seen")
        if not self.proxy_alive and not self.replicas:
            return EnvironmentHealth(Condition.STOPPED, "was stopped")
        if not self.proxy_alive or not ready:
            return EnvironmentHealth(Condition.DOWN, "no replica is ready" if self.proxy_alive else "proxy is gone")
        return self._health_of_what_serves(ready)

    def _health_of_what_is_stopped(self, stopped: Stopped) -> EnvironmentHealth:
        if self.rollout is not None:
            return EnvironmentHealth(Condition.CHANGING, self.rollout.brief)
        if self.locked_by:
            return EnvironmentHealth(Condition.CHANGING, f"changing: {self.locked_by}")
        return EnvironmentHealth(Condition.STOPPED, stopped.words)

    def _health_of_what_serves(self, ready: int) -> EnvironmentHealth:
        if self.canary is not None:
            return EnvironmentHealth(_OF_CANARY[self.canary.state], self.canary.brief)
        if self.rollout is not None:
            return EnvironmentHealth(Condition.CHANGING, self.rollout.brief)
        if self.locked_by:
            return EnvironmentHealth(Condition.CHANGING, f"changing: {self.locked_by}")
        if self.differences:
            return EnvironmentHealth(Condition.DIFFERS, fmt.count(len(self.differences), "difference"))
        return EnvironmentHealth(Condition.HEALTHY, f"{fmt.count(ready, 'replica')} ready")

    @property
    def _ready(self) -> int:
        """Returns how many replicas of the serving version are ready; of another one where that has the traffic."""
        serving = {*self.traffic} or {self.serving}
        return sum(each.state is ReplicaState.READY and each.version in serving for each in self.replicas)

    # Why something cannot be asked of it now, empty where it can: for those who refuse and for those who offer.

    def why_not_change(self) -> str:
        """Returns why it cannot be changed now: another change is running."""
        return f"{self.name} is being changed by {self.locked_by}" if self.locked_by else ""

    def why_not_stop(self) -> str:
        if self.locked_by or self.replicas or self.proxy_alive:
            return self.why_not_change()
        if self.stopped is not None:
            return f"{self.name} was {self.stopped.words}"
        return f"nothing runs for {self.name}" if self.serving is None else ""

    def why_not_start(self) -> str:
        if self.locked_by:
            return self.why_not_change()
        if self.serving is None:
            return f"nothing was deployed to {self.name} yet"
        stopped = self.health.condition is Condition.STOPPED
        return "" if stopped else f"{self.name} is not stopped"

    def why_not_repair(self) -> str:
        return "" if self.differences else nothing_to_repair(self.name)

    def why_not_rollback(self) -> str:
        if self.rollback_to is not None:
            return ""
        return self.rollback_note or f"{self.name} has no earlier version to go back to"

    def why_no_canary(self) -> str:
        return "" if self.canary is not None else no_canary(self.name)


def no_canary(environment: str) -> str:
    return f"no canary is running in {environment}"


def nothing_to_repair(environment: str) -> str:
    return f"{environment} matches the ledger; there is nothing to repair"


class CanaryRequest(StrEnum):
    """A request to a running canary. FULL sends all traffic to the new version now, ABORT undoes the rollout."""

    PAUSE = "pause"
    RESUME = "resume"
    FULL = "full"
    ABORT = "abort"


class RecordedRequest(Frozen):
    """One such request, as it is stored in the journal."""

    id: int
    deployment: int
    request: CanaryRequest
    who: str
    at: float
    why: str = ""


class Quarantined(Frozen):
    """A version and its commit that no trigger may deploy until a person lifts it."""

    model: str
    version: int
    commit: str
    at: float
    """Seconds since the epoch."""
    who: str
    why: str = ""
