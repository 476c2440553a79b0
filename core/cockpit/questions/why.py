"""`cockpit.why`: why a step ran or was cached, what a run's time went into, what differs between two runs, and what
served at a moment."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..opened import OpenProject

if TYPE_CHECKING:
    from ...domain.why.answers import Answer, RunComparison, ServedAt, StepTime


class Why:
    """Reads the journal and what runs have noted beside their logs; asks no server."""

    def __init__(self, opened: OpenProject) -> None:
        self._opened = opened

    def step(self, run_id: int, name: str) -> Answer:
        """Returns why a step of a run ran, was restored from the cache, or has not run. Raises NotFound if there is no
        such step."""
        from ...engine.explain import why_step

        return why_step(self._opened.journal, self._opened.state, run_id, name)

    def times(self, run_id: int) -> Sequence[StepTime]:
        """Returns how long each step of a run took beside the last runs, and which are on the critical path. Raises
        NotFound if there is no such run."""
        from ...engine.explain import step_times

        journal = self._opened.journal
        return step_times(journal, journal.runs.get(run_id), time.time())

    def runs(self, first: int, second: int) -> RunComparison:
        """Returns two runs side by side. Raises NotFound if one is not there."""
        from ...engine.explain import compare

        return compare(self._opened.journal, self._opened.state, first, second, time.time())

    def served(self, at: float, environment: str | None = None) -> Sequence[ServedAt]:
        """Returns what each environment served at a moment (seconds since the epoch), by the ledger. Raises NotFound if
        podium.yaml has no environment of that name."""
        from ...delivery.environment.served_at import served_at

        project = self._opened.config
        names = [project.environment(environment).name] if environment else list(project.environments)
        return [served_at(self._opened.journal, name, at) for name in names]
