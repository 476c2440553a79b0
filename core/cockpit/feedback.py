"""`cockpit.feedback`: what alerts have started, what waits for a person, and whether it helped."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..identity.account import whoami
from .opened import OpenProject

if TYPE_CHECKING:
    from ..domain.monitoring import LoopEntry


class Feedback:
    """Shows what the feedback loop did, and decides what it has proposed."""

    def __init__(self, opened: OpenProject) -> None:
        self._opened = opened

    def list(self, *, limit: int = 50) -> Sequence[LoopEntry]:
        """Returns the newest entries, newest first."""
        return self._opened.journal.loops.recent(limit)

    def proposed(self) -> Sequence[LoopEntry]:
        """Returns what waits for a person, oldest first."""
        from ..domain.monitoring import LoopState

        return self._opened.journal.loops.in_state((LoopState.PROPOSED,))

    def approve(self, number: int, *, why: str = "") -> LoopEntry:
        """Starts what was proposed; with a reason also what a brake holds. Raises Refused where there is nothing to
        decide."""
        from ..feedback.asked import approve

        self._opened.require_own()
        project, journal = self._opened.current, self._opened.journal
        return approve(project, journal, number, who=whoami(), why=why, now=time.time())

    def reject(self, number: int, *, why: str) -> LoopEntry:
        """Ends what was proposed or held, for this firing of its alert."""
        from ..feedback.asked import reject

        self._opened.require_own()
        return reject(self._opened.journal, number, who=whoami(), why=why, now=time.time())
