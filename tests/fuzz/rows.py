"""Rows of the journal and of MLflow's own store that somebody else has written to."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from podium.core.cockpit import Cockpit
from podium.core.errors import PodiumError

from tests.journal.test_older_project import unpack

from .answers import columns, garbage, garble
from .running import Subject

READ: dict[str, Callable[[Cockpit], Any]] = {
    "runs": lambda cockpit: [cockpit.runs.get(run.id) for run in cockpit.runs.list(limit=100)],
    "active": lambda cockpit: cockpit.runs.active(),
    "models": lambda cockpit: [cockpit.models.list(), cockpit.models.verdicts(), cockpit.models.quarantined()],
    "versions": lambda cockpit: [
        (cockpit.models.gate_reports(version), cockpit.models.metric_history(version, "accuracy"))
        for version in cockpit.models.versions()
    ],
    "lineage": lambda cockpit: cockpit.models.lineage("1"),
    "environments": lambda cockpit: cockpit.environments.list(),
    "history": lambda cockpit: [cockpit.environments.history(name) for name in cockpit.project.config.environments],
    "series": lambda cockpit: cockpit.environments.series("production", "memory", start=0, end=time.time(), points=5),
    "monitors": lambda cockpit: cockpit.monitors.list(),
    "alerts": lambda cockpit: [cockpit.alerts.list(), cockpit.alerts.history(), cockpit.alerts.silences()],
    "feedback": lambda cockpit: cockpit.feedback.list(),
    "agent": lambda cockpit: [cockpit.agent.status(), cockpit.agent.schedules()],
    "audit": lambda cockpit: [cockpit.project.audit(limit=50), cockpit.project.check_audit()],
    "usage": lambda cockpit: cockpit.project.usage(),
    "containers": lambda cockpit: [cockpit.containers.snapshots(), cockpit.containers.images()],
    "inbox": lambda cockpit: cockpit.ci.inbox(),
    "plan": lambda cockpit: cockpit.changes.plan("promote", "production", version=1),
    "needs": lambda cockpit: cockpit.project.needs(()),
    "refresh": lambda cockpit: cockpit.models.refresh(force=True),
}


def rows(directory: Path) -> dict[str, Subject]:
    """`directory` gets a project, whose files are copied for each example."""
    home = unpack(directory / "old")
    with closing(Cockpit(home)) as cockpit:
        cockpit.models.versions()  # migrates it
    journal, store = home / ".podium/journal.db", home / ".podium/mlflow.db"
    return {
        "rows of the journal": Subject(_changes(journal), lambda changes: _look(home, "journal.db", changes), 4),
        "rows of MLflow's store": Subject(
            _changes(store), lambda changes: _look(home, "mlflow.db", changes, ("refresh",)), 2
        ),
    }


def _changes(file: Path) -> st.SearchStrategy[list[tuple[tuple[str, str], Any]]]:
    one = st.tuples(st.sampled_from(columns(file)), garbage())
    return st.lists(one, min_size=1, max_size=3)


def _look(home: Path, name: str, changes: list[tuple[tuple[str, str], Any]], only: tuple[str, ...] = ()) -> None:
    state = home / ".podium"
    whole = home.parent / f"whole-{name}"
    if not whole.exists():
        shutil.copy(state / name, whole)
    for left in state.glob(f"{name}-*"):
        left.unlink()
    shutil.copy(whole, state / name)
    garble(state / name, changes)
    try:
        with closing(Cockpit(home)) as cockpit:
            for what in only or READ:
                try:
                    str(READ[what](cockpit)).encode("utf-8", "replace")
                except PodiumError as error:
                    assert error.message
                except Exception as error:
                    error.add_note(f"when it read {what}")
                    raise
    except PodiumError as error:
        assert error.message
