"""What a runner writes to the journal. Changes are collected and written together each time the loop is about to
wait, so that a step costs one short write and the journal is never behind."""

from __future__ import annotations

import time
from typing import Any

from ...domain.runs import RunState
from ...journal import Journal

FLUSH_INTERVAL = 0.1


class RunRecord:
    """Unwritten changes of one run and its steps."""

    def __init__(self, journal: Journal, run_id: int) -> None:
        self._journal, self._run_id = journal, run_id
        self._steps: dict[str, dict[str, Any]] = {}
        self._run_state = (RunState.RUNNING, "")
        self._run_changed = False
        self._flushed = 0.0

    def change_step(self, name: str, **fields: Any) -> None:
        """Sets columns of a step."""
        self._steps.setdefault(name, {}).update(fields)

    def change_run(self, state: RunState, message: str) -> None:
        """Sets the run's state and message, if they are new."""
        if (state, message) != self._run_state:
            self._run_state = (state, message)
            self._run_changed = True

    def flush(self) -> None:
        """Writes all changes in one transaction."""
        self._flushed = time.monotonic()
        if not self._steps and not self._run_changed:
            return
        steps, self._steps = self._steps, {}
        changed, self._run_changed = self._run_changed, False
        with self._journal.transaction():
            for name, fields in steps.items():
                self._journal.steps.update(self._run_id, name, **fields)
            if changed:
                self._journal.runs.set_state(self._run_id, self._run_state[0], message=self._run_state[1])

    def flush_if_due(self) -> None:
        """Writes if the last write is long ago: many steps may begin before the loop waits."""
        if time.monotonic() - self._flushed > FLUSH_INTERVAL:
            self.flush()
