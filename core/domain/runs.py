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


class RunKind(StrEnum):
    PIPELINE = "pipeline"
    DEPLOY = "deploy"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    REPLAY = "replay"
    REPAIR = "repair"


class Trigger(StrEnum):
    PUSH = "push"
    SCHEDULE = "schedule"
    ALERT = "alert"
    WEBHOOK = "webhook"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a pipeline or of an operation, at one commit.

    Times are seconds since the epoch (UTC). `name` is the pipeline's name, or the environment's for an operation.
    `workspace` is the directory the steps run in: the project itself, or a worktree of the commit. `(worker_pid,
    worker_started)` identify the process that owns the run: a pid alone may have been given to somebody else.
    """

    id: int
    kind: RunKind
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
