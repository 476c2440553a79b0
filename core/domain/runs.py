"""Runs and steps: everything that takes time or has an effect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from .access.proof import Proof
from .frozen import Frozen

if TYPE_CHECKING:
    from .plans import Plan


class RunState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def finished(self) -> bool:
        """Tells whether nothing is running any more. An interrupted run counts as finished, though `podium resume`
        may continue it."""
        return self in _FINISHED


_FINISHED = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED, RunState.INTERRUPTED})


class StepState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def finished(self) -> bool:
        return self not in (StepState.PENDING, StepState.RUNNING, StepState.WAITING)


_LOOKED_INTO = frozenset({StepState.FAILED, StepState.RUNNING, StepState.INTERRUPTED, StepState.CANCELLED})


# The kind of a run of a pipeline. The kind of any other run, an operation, is the name of the built-in step that it
# consists of.
PIPELINE = "pipeline"


class Trigger(StrEnum):
    PUSH = "push"
    TAG = "tag"
    PULL_REQUEST = "pull_request"
    SCHEDULE = "schedule"
    ALERT = "alert"
    WEBHOOK = "webhook"
    PERSON = "person"


# What the agent starts for a commit that has arrived.
ARRIVALS = frozenset({Trigger.PUSH, Trigger.TAG, Trigger.PULL_REQUEST})


class Run(Frozen):
    """One execution of a pipeline or of an operation, at one commit. Times are seconds since the epoch (UTC)."""

    id: int
    kind: str
    """`pipeline`, or the name of the operation: `deploy`, `repair`, …"""
    name: str
    """The pipeline's name, or the target of the operation, such as an environment."""
    state: RunState
    trigger: Trigger
    who: str
    created: float
    why: str = ""
    commit: str = ""
    branch: str = ""
    dirty: bool = False
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    jobs: int = 2
    workspace: str = ""
    """The directory that the steps run in: the project itself, or a worktree of the commit."""
    started: float | None = None
    ended: float | None = None
    heartbeat: float | None = None
    worker_pid: int | None = None
    """The process that owns the run; only together with `worker_started`, because a pid can be reused."""
    worker_started: float | None = None
    """When that process started."""
    message: str = ""

    @property
    def is_operation(self) -> bool:
        """Tells whether it is a run of one built-in step and not of a pipeline."""
        return self.kind != PIPELINE

    @property
    def title(self) -> str:
        """Returns `release` for a pipeline, `promote production v4` for an operation."""
        if not self.is_operation:
            return self.name
        version = self.params.get("version", "")
        return f"{self.kind} {self.name}" + (f" v{version}" if version else "")

    # Why something cannot be asked of it now, empty where it can: for those who refuse and for those who offer.

    def why_not_cancel(self) -> str:
        """Returns why it cannot be cancelled; empty if it can. An interrupted run can: it is given up."""
        over = self.state.finished and self.state is not RunState.INTERRUPTED
        return f"run {self.id} is over: {self.state}" if over else ""

    def why_not_resume(self) -> str:
        if not self.state.finished:
            return f"run {self.id} is {self.state}; only a failed, cancelled or interrupted one can be resumed"
        if self.state is RunState.SUCCEEDED:
            return f"run {self.id} has succeeded; there is nothing left to do"
        return ""

    def why_not_again(self) -> str:
        if not self.is_operation:
            return ""
        return f"run {self.id} is a {self.kind}, not a pipeline; plan another {self.kind} instead"

    def why_not_approve(self) -> str:
        if self.state is RunState.WAITING:
            return ""
        return f"run {self.id} is not waiting for approval: it is {self.state}"


class Step(Frozen):
    """One node of a run's graph; each cell of a matrix is a step of its own, named `train[depth=8]`."""

    run_id: int
    name: str
    position: int
    state: StepState
    needs: tuple[str, ...] = ()
    uses: str = ""
    """The built-in's name; empty for a command."""
    command: str = ""
    attempt: int = 0
    cached: bool = False
    origin: int | None = None
    """The run whose outputs were restored if the step was cached."""
    key: str = ""
    """The cache key."""
    exit_code: int | None = None
    started: float | None = None
    ended: float | None = None
    message: str = ""
    results: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The results that a built-in reports (`version`, `verdict`, …)."""

    def why_not_approve(self) -> str:
        """Returns why it cannot be approved now; empty if it can."""
        if self.state is StepState.WAITING:
            return ""
        return f"step {self.name} of run {self.run_id} is not waiting for approval: it is {self.state}"

    def why_no_shell(self) -> str:
        """Returns why no shell can be opened in its place; empty if one can."""
        if self.uses:
            return f"step {self.name} of run {self.run_id} is a built-in step: no shell can be opened in it"
        if self.state in _LOOKED_INTO:
            return ""
        return f"{self.name} is {self.state}; a shell needs a failed or running step"


class RunDetail(Frozen):
    run: Run
    steps: tuple[Step, ...]


class Agreement(Frozen):
    """What a person has agreed to about a step that changes an environment, by approving it or by resuming its run."""

    run_id: int
    step: str
    verb: str
    """The verb of the plan that was agreed to."""
    who: str
    at: float
    """Seconds since the epoch."""
    why: str
    environment: str
    version: str
    """The version's number; empty for a change that is not about one."""
    rests_on: Mapping[str, str] = field(default_factory=dict[str, str])
    """What the environment was then (`Plan.rests_on`)."""

    def fits(self, plan: Plan) -> bool:
        """Tells whether the plan is the one that was agreed to."""
        version = str(plan.versions.version) if plan.versions is not None else ""
        now = {key: value for key, value in plan.rests_on.items() if key in self.rests_on}
        return (self.environment, self.version, dict(self.rests_on)) == (plan.target, version, now)

    def same(self, other: Agreement) -> bool:
        """Tells whether both are about the same version, environment and state."""
        mine = (self.environment, self.version, dict(self.rests_on))
        return mine == (other.environment, other.version, dict(other.rests_on))


class Approval(Frozen):
    """One person's approval of a step that waits."""

    run_id: int
    step: str
    who: str
    """In the words of the audit: an account and where it came from."""
    at: float
    """Seconds since the epoch."""
    why: str = ""
    account: str = ""
    """The account that it counts for; the same one counts once."""
    proof: Proof = Proof.ACCOUNT
    """What says that it was this account."""
