"""Finds runs whose worker is gone. Any process that reads the journal may call this; it costs one query if all is
well."""

from __future__ import annotations

import time
from pathlib import Path

from ..clock import elapsed
from ..domain.runs import Run, StepState
from ..domain.runs import RunState as State
from ..identity.processes import alive
from ..journal import Journal
from .orphans import end_orphans
from .paths import worker_log

# A worker that was started has this long to report for duty.
START_TIMEOUT = 30.0
_ACTIVE = (State.QUEUED, State.RUNNING, State.WAITING)


def recover(journal: Journal) -> list[int]:
    """Marks runs whose worker is gone as interrupted and ends what their steps left running; returns the runs' ids. A
    journal that is a copy has no runs of its own: their workers are the original's."""
    if journal.borrowed:
        return []
    return [run.id for run in journal.runs.active() if _abandoned(run) and _interrupt(journal, run)]


def _abandoned(run: Run) -> bool:
    if run.worker_pid is None:
        return elapsed(max(run.created, run.heartbeat or 0.0), time.time()) > START_TIMEOUT
    return not alive(run.worker_pid, run.worker_started)


def _interrupt(journal: Journal, run: Run) -> bool:
    words = (
        f"its worker (pid {run.worker_pid}) is gone"
        if run.worker_pid is not None
        else "its worker never reported for duty"
    )
    last = _last_words(worker_log(journal.path.parent, run.id))
    words = f"{words}: {last}" if last else words
    with journal.transaction():
        now = journal.runs.get(run.id)
        if now.state.finished or not _abandoned(now):
            return False
        for step in journal.steps.of(run.id):
            if step.state is StepState.RUNNING:
                journal.steps.update(run.id, step.name, state=StepState.INTERRUPTED, ended=time.time(), message=words)
            elif step.state is StepState.WAITING:
                journal.steps.update(run.id, step.name, state=StepState.PENDING, message="")
        journal.runs.set_state(run.id, State.INTERRUPTED, message=words, only_from=_ACTIVE)
    end_orphans(journal.path.parent.parent, run.id)
    return True


def _last_words(log: Path) -> str:
    """Returns the last lines of the worker's log, which it could still write when the journal was out of reach (a
    full disk)."""
    try:
        lines = log.read_bytes()[-2000:].decode("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1].strip()[:300] if lines else ""
