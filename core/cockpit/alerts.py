"""`cockpit.alerts`: what fires, what changed, and what people said of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..identity.account import whoami
from .opened import OpenProject

if TYPE_CHECKING:
    from ..domain.monitoring import AlertEvent, AlertStatus, Ring, Silence, SinkStatus


class Alerts:
    """Shows how alerts stand, acknowledges and silences them."""

    def __init__(self, opened: OpenProject) -> None:
        self._opened = opened

    def list(self) -> Sequence[AlertStatus]:
        """Returns every alert as it stands, the worst first."""
        from ..alerts.standing import statuses

        return statuses(self._opened.config, self._opened.journal, time.time())

    def history(self, *, limit: int = 50, name: str = "") -> Sequence[AlertEvent]:
        """Returns the newest changes of all alerts or of one, newest first; of one that podium.yaml has no more, too.
        Raises NotFound for a name that no alert ever had."""
        from ..alerts.asked import ensure_known

        found = self._opened.journal.alerts.recent(limit, name=name)
        if name and not found:
            ensure_known(self._opened.config, name)
        return found

    def silences(self) -> Sequence[Silence]:
        """Returns the silences that hold now, the newest first."""
        return self._opened.journal.silences.active(time.time())

    def acknowledge(self, name: str, *, why: str) -> AlertStatus:
        """Notes that a person knows of an alert that fires, until it is over. Raises Refused if it does not fire."""
        from ..alerts.asked import acknowledge

        self._opened.require_own()
        return acknowledge(self._opened.config, self._opened.journal, name, who=whoami(), why=why)

    def silence(self, name: str, *, seconds: float, why: str, environment: bool = False) -> Silence:
        """Has nobody told of an alert for so many seconds, or of all alerts of the environment `name`. The alert's
        state goes on."""
        from ..alerts.asked import silence

        self._opened.require_own()
        project, journal = self._opened.config, self._opened.journal
        return silence(project, journal, name, environment=environment, seconds=seconds, who=whoami(), why=why)

    def unsilence(self, name: str, *, why: str = "", environment: bool = False) -> Sequence[Silence]:
        """Ends a silence before its time; returns what was ended. Raises NotFound if there is none."""
        from ..alerts.asked import unsilence

        self._opened.require_own()
        return unsilence(self._opened.journal, name, environment=environment, who=whoami(), why=why)

    def sinks(self) -> Sequence[SinkStatus]:
        """Returns who is told of alerts, and what waits for each."""
        from ..alerts.sender import sinks

        return sinks(self._opened.config, self._opened.journal)

    def test(self, name: str) -> None:
        """Sends a sink a message that says it is a test, now and once. Raises NotFound for an unknown one, and what
        keeps it from being sent."""
        from ..alerts.sender import send_test

        self._opened.require_own()
        send_test(self._opened.config, name)

    def rings(self, after: int | None) -> tuple[int, Sequence[Ring]]:
        """Returns what an open cockpit rings for since event `after`, and the event to ask after next time. With None,
        for one that has just been opened, nothing rings."""
        from ..alerts.rings import rings

        return rings(self._opened.config, self._opened.journal, after, time.time())
