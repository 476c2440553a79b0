"""What the agent sees: signals, alerts, itself; and what doctor and the audit say."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .containers import EngineSnapshot

# Signals that every environment has. Units: requests/s, share 0..1, seconds, share of one core, bytes.
SIGNALS = ("requests", "error_rate", "latency_p50", "latency_p95", "latency_p99", "cpu", "memory")
# Those that a canary measures of each version by itself, and so may analyse.
CANARY_SIGNALS = ("error_rate", "latency_p50", "latency_p95", "latency_p99")


@dataclass(frozen=True, slots=True)
class Sample:
    environment: str
    signal: str
    at: float
    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """Evenly spaced values, oldest first; None where nothing was measured. `step` is the distance in seconds."""

    environment: str
    signal: str
    start: float
    step: float
    values: tuple[float | None, ...]

    @property
    def last(self) -> float | None:
        return self.values[-1] if self.values else None


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """The one long-lived process of a project. `alive` means that its process exists and its heartbeat is fresh,
    `local` that it can be looked up and signalled from here."""

    alive: bool
    pid: int | None = None
    host: str = ""
    who: str = ""
    started: float | None = None
    heartbeat: float | None = None
    message: str = ""
    local: bool = True

    def follows(self, snapshot: EngineSnapshot | None) -> bool:
        """Whether this agent follows the engine of the snapshot, so that it is true however old it is."""
        return self.alive and snapshot is not None and self.started is not None and snapshot.at >= self.started


@dataclass(frozen=True, slots=True)
class Alert:
    id: int
    name: str
    environment: str
    monitor: str
    state: str
    at: float
    value: float | None = None
    message: str = ""


class Health(StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `podium doctor`."""

    health: Health
    subject: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One row of the append-only audit. `digest` chains it to the row before it."""

    id: int
    at: float
    who: str
    action: str
    subject: str
    why: str
    digest: str
