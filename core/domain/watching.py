"""Monitoring data: signals, the agent's status, findings of doctor, the audit, and what the state
directory keeps."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast

from .frozen import Frozen

if TYPE_CHECKING:
    from .containers import EngineSnapshot
    from .delivery import Deployment
    from .evidence.anchors import Anchored
    from .runs import Run

# Signals that every environment has. Units: requests/s, share 0..1, seconds, share of one core, bytes.
SIGNALS = ("requests", "error_rate", "latency_p50", "latency_p95", "latency_p99", "cpu", "memory")
# Those that a canary measures of each version by itself, and so may analyse.
CANARY_SIGNALS = ("error_rate", "refused_rate", "latency_p50", "latency_p95", "latency_p99")
# What a monitor can watch besides: restarts of replicas, and the seconds since the last request.
MONITOR_SIGNALS = (*SIGNALS, "restarts", "no_traffic")
# The target of a plan that prunes the state directory.
STATE = "state"


class Sample(Frozen):
    environment: str
    signal: str
    at: float
    value: float


class Series(Frozen):
    """Evenly spaced values, oldest first; None for a point without measurements. `step` is the distance in seconds."""

    environment: str
    signal: str
    start: float
    step: float
    values: tuple[float | None, ...]

    @property
    def latest(self) -> float | None:
        """Returns the newest value of the last three points, None where nothing was measured in them."""
        return next((value for value in reversed(self.values[-3:]) if value is not None), None)


def share_of(version: int) -> str:
    """Returns the signal that is a version's share of an environment's requests."""
    return f"share:{version}"


class LiveView(Frozen):
    """An environment's signals over a stretch of time, and what happened in it. Times are seconds since the epoch."""

    start: float
    end: float
    signals: Mapping[str, Series]
    """By signal."""
    shares: Mapping[int, Series]
    """By version: its share of the requests, 0..1; only those that answered any."""
    thresholds: Mapping[str, tuple[tuple[float, str], ...]]
    """By signal: (value, the alert that fires beyond it)."""
    deployments: tuple[Deployment, ...]
    """What was deployed in it, the oldest first."""


class Trouble(Frozen):
    """Something that the agent cannot do at present, and goes on trying."""

    subject: str
    """What it is about: an environment, a push, a schedule, a job of the agent, the disk."""
    words: str
    at: float | None = None
    """Since when, in seconds since the epoch; None if nobody knows."""
    lasting: bool = False
    """It is over with the next try of the same thing only, not with the agent that found it."""


class AgentStatus(Frozen):
    """The status of the agent, the one long-lived process of a project."""

    alive: bool
    """Its process exists and its heartbeat is fresh."""
    pid: int | None = None
    host: str = ""
    who: str = ""
    started: float | None = None
    """Seconds since the epoch."""
    heartbeat: float | None = None
    """Seconds since the epoch."""
    message: str = ""
    local: bool = True
    """The process is on this machine, so it can be inspected and signalled from here."""
    trouble: str = ""
    """Why it works by an older podium.yaml than the present one; empty while the file can be used."""
    troubles: tuple[Trouble, ...] = ()
    """What it cannot do, the newest last."""

    def follows(self, snapshot: EngineSnapshot | None) -> bool:
        """Tells whether this agent follows the engine of the snapshot, so that the snapshot is valid however old it
        is."""
        return self.alive and snapshot is not None and self.started is not None and snapshot.at >= self.started


class WatchState(StrEnum):
    """How the agent of one project among several is."""

    STARTING = "starting"
    RUNNING = "running"
    RETRYING = "retrying"
    """Its agent ended or could not start, and is started again after a pause."""
    ELSEWHERE = "another agent"
    """It is watched by an agent that was started by itself, which is left alone."""
    GONE = "gone"
    """There is no podium.yaml where it was."""
    NOT_RUNNING = "not running"


class WatchedProject(Frozen):
    """A project that is one of several which one agent watches."""

    home: str
    state: WatchState
    words: str = ""
    """Why it is not watched, or is watched by another agent."""
    pid: int | None = None
    starts: int = 0
    """How often its agent was started."""
    since: float | None = None
    """When the state began, in seconds since the epoch."""
    retry: float | None = None
    """When it is tried again, in seconds since the epoch."""


class WatchedTogether(Frozen):
    """The agent of several projects, and each of them. Without a process nobody watches them."""

    projects: tuple[WatchedProject, ...] = ()
    pid: int | None = None
    started: float | None = None
    """Its process's start time, as `identity.processes` counts it."""
    who: str = ""
    listen: str = ""
    """Where it receives webhooks; empty if it does not."""


class ScheduleStatus(Frozen):
    """The schedule of a pipeline."""

    pipeline: str
    schedule: str
    """Its cron line, in UTC."""
    next: float
    """When it comes next, in seconds since the epoch."""
    missed: float | None = None
    """A time that has come and was not handled, because no agent was there."""
    run: Run | None = None
    """The last run that the schedule started."""
    held: tuple[str, ...] = ()
    """What keeps the next run from starting, in words; empty if nothing does."""


class Health(StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(Frozen):
    """One line of `podium doctor`."""

    health: Health
    subject: str
    message: str
    hint: str = ""


class AuditEntry(Frozen):
    """One row of the append-only audit."""

    id: int
    at: float
    """Seconds since the epoch."""
    who: str
    action: str
    subject: str
    why: str
    digest: str
    """Chains the entry to the row before it."""


class AuditFilter(Frozen):
    """Which entries of the audit are wanted; an entry has to match everything that is given."""

    who: str = ""
    """A part of who did it, ignoring case."""
    action: str = ""
    """What was done, ignoring case."""
    search: str = ""
    """A part of any text of the entry, ignoring case."""
    environment: str = ""
    """What it was about, or a run that it was about."""
    version: int | None = None
    since: float | None = None
    """Seconds since the epoch; also `until`, which is not included."""
    until: float | None = None


class AuditCheck(Frozen):
    """What a look at the whole chain found."""

    entries: int
    """How many there are, by their own count."""
    head: str
    """The digest of the last one. Kept elsewhere, it shows a chain that was computed anew."""
    problems: tuple[str, ...]
    """A sentence for each place where the chain is broken."""
    anchored: Anchored | None = None
    """What anchors outside of the journal say; None where there are none to be asked."""

    @property
    def intact(self) -> bool:
        return not self.problems


class KindUsage(Frozen):
    """What one kind of data takes."""

    kind: str
    """Its name in core/retention/kinds.py."""
    about: str
    entries: int
    """Files, and rows of the journal's tables."""
    size: int
    """Bytes on the disk; the journal's own rows are in the kind `journal`."""
    kept: str
    """For how long, in words."""


class Pruned(Frozen):
    """What was removed, or would be, of one kind."""

    kind: str
    entries: int
    size: int
    """Bytes on the disk."""
    why: str
    """What they are too old or too many for."""


def written_pruned(found: Iterable[Pruned]) -> str:
    return json.dumps([asdict(each) for each in found])


def read_pruned(text: str) -> tuple[Pruned, ...]:
    return tuple(Pruned(**each) for each in cast("list[Mapping[str, Any]]", json.loads(text)))


class Backup(Frozen):
    """A backup that was written."""

    path: str
    files: int
    size: int
    """Bytes of the backup itself."""
    captures: bool
    """Whether captured requests are in it."""
    warnings: tuple[str, ...]
    """What is not in it, and why."""


class Restored(Frozen):
    """A project whose state was restored."""

    home: str
    project: str
    created: float
    """When the backup was written, in seconds since the epoch."""
    files: int
    next: tuple[str, ...]
    """What to do now, in order."""


class Service(Frozen):
    """The unit by which systemd starts the agent."""

    unit: str
    path: str
    did: tuple[str, ...]
    """What was done, in order."""
    next: tuple[str, ...]
    """What is left for a person to run."""
