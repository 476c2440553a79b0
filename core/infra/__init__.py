"""Infrastructure as code: planned, approved, applied and watched by the tools that describe it.

A tool (`core/plugins.py`, kind `infra`) is made for one infrastructure and one project: `Tool(project, infra, say)`. It
makes plans, carries a saved one out, and looks at what differs; what a plan is kept as, who has to agree to it and
what is written of it in the journal is decided here, and is the same for every tool.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ..domain.infra.plan import InfraPlan, Output
from ..errors import RunFailed

Say = Callable[[str], None]


class CutShort(RunFailed):
    """The tool was ended before it could say how its apply ended: what is half done, only a new plan shows."""


class Progress(Protocol):
    """Is told what becomes of each resource while a plan is applied."""

    def begun(self, address: str) -> None: ...
    def ended(self, address: str) -> None: ...


class InfraTool(Protocol):
    """What a tool does for one infrastructure. Each method raises PodiumError where it cannot."""

    def plan(self, *, destroy: bool = False) -> InfraPlan:
        """Makes a plan, and saves beside it what `apply` needs."""
        ...

    def apply(self, plan: InfraPlan, progress: Progress) -> None:
        """Carries out a saved plan, as it was made. Refused where the world has moved on since."""
        ...

    def drift(self) -> InfraPlan:
        """Returns what differs from what was applied, changing nothing."""
        ...

    def outputs(self) -> Sequence[Output]:
        """Returns the outputs as they are now."""
        ...

    def discard(self, plan: InfraPlan) -> None:
        """Forgets a saved plan that is not applied, wherever the tool keeps it."""
        ...
