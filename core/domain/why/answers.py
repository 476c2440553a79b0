"""An answer to *why?*, and what a run's time went into."""

from __future__ import annotations

from ..delivery import Deployment
from ..frozen import Frozen


class Answer(Frozen):
    """Why something is as it is. All texts may come from outside."""

    subject: str
    """What was asked about, such as `step train of run 42`."""
    short: str
    """The answer in one line, such as `train.py changed since run 41`."""
    because: tuple[str, ...] = ()
    """What it rests on, a line each."""


class StepTime(Frozen):
    """How long a step of a run took, beside the last runs of the same pipeline in which it ran."""

    step: str
    seconds: float | None
    """None for one that has not run."""
    usual: float | None
    """The median of the last runs, in seconds; None where it did not run in any."""
    runs: int = 0
    """How many runs that is."""
    critical: bool = False
    """Whether the run would have ended sooner if this step had been faster: it is on the critical path."""


class StepPair(Frozen):
    """The same step in two runs. A field is None where the run has no such step."""

    step: str
    states: tuple[str | None, str | None]
    seconds: tuple[float | None, float | None]
    why: str = ""
    """What differs in what it was made from; empty where nothing is known to."""


class RunComparison(Frozen):
    """Two runs side by side; `facts` and `params` hold what differs, as (name, first, second)."""

    runs: tuple[int, int]
    facts: tuple[tuple[str, str, str], ...]
    params: tuple[tuple[str, str, str], ...]
    steps: tuple[StepPair, ...]


class ServedAt(Frozen):
    """What an environment served at a moment."""

    environment: str
    at: float
    """Seconds since the epoch, like all times here."""
    deployment: Deployment | None = None
    """The row of the ledger that had brought it; None if nothing served."""
    until: float | None = None
    """When another deployment had taken its place; None if it serves still."""
    under_way: Deployment | None = None
    """A rollout that had begun and not ended: some requests may have gone to its version."""
    stopped: str = ""
    """Who had stopped the environment, and why; empty if nobody had."""
    stopped_at: float | None = None

    @property
    def version(self) -> int | None:
        return self.deployment.to_version if self.deployment is not None else None
