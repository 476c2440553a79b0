"""Tells the terminal of alerts that are new, where podium.yaml has a sink that is a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.cockpit import Cockpit
from ..core.domain.monitoring import Ring


class Ringer:
    """Remembers up to which change of an alert the terminal was told. Belongs to the pool's thread that asks it."""

    def __init__(self) -> None:
        self._told: int | None = None

    def look(self, cockpit: Cockpit) -> Sequence[Ring]:
        """Returns what to ring for since the last look; the first one rings for nothing."""
        self._told, found = cockpit.alerts.rings(self._told)
        return found


def sequences(found: Sequence[Ring]) -> str:
    """Returns what is written to the terminal: one bell, however many ring, and each notification."""
    notes = [each.sequence for each in found if each.how != "bell"]
    return "".join(notes) or "\a"
