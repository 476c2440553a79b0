"""Several projects side by side."""

from __future__ import annotations

from ..attention import Need
from ..delivery import EnvironmentStatus
from ..frozen import Frozen
from ..watching import AgentStatus


class ProjectGlance(Frozen):
    """What one look tells of a project: what serves, what runs, what waits for a person."""

    home: str
    """Its directory."""
    name: str
    environments: tuple[EnvironmentStatus, ...] = ()
    needs: tuple[Need, ...] = ()
    """The most urgent first."""
    active: int = 0
    """How many runs have not ended."""
    agent: AgentStatus | None = None
    """None where nothing of it is known."""
    problem: str = ""
    """Why it could not be read, or not whole; empty if it could."""
