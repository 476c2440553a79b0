"""Tells the terminal of alerts that are new, where podium.yaml has a sink that is a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..core.cockpit import Cockpit
from ..core.domain.monitoring import Ring
from .terminal import notification_sequence


class Ringer:
    """Remembers up to which change of an alert the terminal was told. Belongs to the pool's thread that asks it."""

    def __init__(self) -> None:
        self._told: int | None = None

    def look(self, cockpit: Cockpit) -> Sequence[Ring]:
        """Returns what to ring for since the last look; the first one rings for nothing."""
        self._told, found = cockpit.alerts.rings(self._told)
        return found


def sequences(found: Sequence[Ring], environ: Mapping[str, str] | None = None) -> str:
    """Returns what is written to the terminal: each notification, and one bell, however many ring. Where nobody shows
    notifications the bell is what is left of them."""
    notes = [notification_sequence(each.text, environ) for each in found if each.how == "osc9"]
    return "".join(notes) + "\a"
