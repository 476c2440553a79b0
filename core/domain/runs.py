"""Runs and steps: everything that takes time or changes the world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


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
        """Interrupted counts as finished: nothing is running, though `podium resume` may take it up again."""
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
    SCHEDULE = "schedule"
    ALERT = "alert"
    WEBHOOK = "webhook"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a pipeline or of an operation, at one commit.

    Times are seconds since the epoch (UTC). `kind` is `pipeline`, or the operation's: `deploy`, `repair`, … `name` is
    the pipeline's name, or the operation's target: an environment's name, or whatever else it is about.
    `workspace` is the directory the steps run in: the project itself, or a worktree of the commit. `(worker_pid,
    worker_started)` identify the process that owns the run: a pid alone may have been given to somebody else.
    """

    id: int
    kind: str
    name: str
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
    started: float | None = None
    ended: float | None = None
    heartbeat: float | None = None
    worker_pid: int | None = None
    worker_started: float | None = None
    message: str = ""

    @property
    def is_operation(self) -> bool:
        """Whether it is a run of one built-in step and not of a pipeline."""
        return self.kind != PIPELINE

    @property
    def title(self) -> str:
        """`release` for a pipeline; `promote production v4` for an operation."""
        if not self.is_operation:
            return self.name
        version = self.params.get("version", "")
        return f"{self.kind} {self.name}" + (f" v{version}" if version else "")

    # Why something cannot be asked of it now, empty where it can: for those who refuse and for those who offer.

    def why_not_cancel(self) -> str:
        """An interrupted run can be: it is given up."""
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
        return f"run {self.id} is a {self.kind} and no pipeline; plan another {self.kind} instead"

    def why_not_approve(self) -> str:
        if self.state is RunState.WAITING:
            return ""
        return f"run {self.id} is not waiting for approval: it is {self.state}"


@dataclass(frozen=True, slots=True)
class Step:
    """One node of a run's graph; a cell of a matrix is a step of its own, named `train[depth=8]`.

    `uses` is the built-in's name, empty for a command. `key` is the cache key. `results` is what a built-in reports
    (`version`, `verdict`, …). `origin` is the run whose outputs were restored when `cached`.
    """

    run_id: int
    name: str
    position: int
    state: StepState
    needs: tuple[str, ...] = ()
    uses: str = ""
    command: str = ""
    attempt: int = 0
    cached: bool = False
    origin: int | None = None
    key: str = ""
    exit_code: int | None = None
    started: float | None = None
    ended: float | None = None
    message: str = ""
    results: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def why_not_approve(self) -> str:
        """Why it cannot be approved now; empty where it can."""
        if self.state is StepState.WAITING:
            return ""
        return f"step {self.name} of run {self.run_id} is not waiting for approval: it is {self.state}"

    def why_no_shell(self) -> str:
        """Why no shell can be opened where it ran; empty where one can."""
        if self.uses:
            return f"step {self.name} of run {self.run_id} is built in: there is no environment to look into"
        if self.state in _LOOKED_INTO:
            return ""
        return f"{self.name} is {self.state}; only a failed or running step can be looked into"


@dataclass(frozen=True, slots=True)
class RunDetail:
    run: Run
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Approval:
    run_id: int
    step: str
    who: str
    at: float
    why: str = ""
