"""Columns that have to be numbers and are none, because somebody else has written to the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from podium.core.cockpit import Cockpit
from podium.core.errors import JournalError

from tests.journal.test_older_project import unpack

READ: dict[str, tuple[str, str, Callable[[Cockpit], Any]]] = {
    "a run's worker": ("runs", "worker_pid", lambda cockpit: cockpit.runs.list(limit=100)),
    "a version's number": ("deployments", "to_version", lambda cockpit: cockpit.models.verdicts()),
    "what served": (
        "deployments",
        "to_version",
        lambda cockpit: cockpit.journal.ledger.served("staging", cockpit.project.config.mlflow.model),
    ),
    "what served before": ("deployments", "from_version", lambda cockpit: cockpit.models.verdicts()),
    "what was noted": ("deployments", "data", lambda cockpit: list(cockpit.journal.ledger.notes("staging", limit=9))),
    "a gate's report": (
        "gates",
        "report",
        lambda cockpit: [cockpit.models.gate_reports(each) for each in cockpit.models.versions()],
    ),
    "who holds a lock": ("locks", "pid", lambda cockpit: cockpit.journal.locks.all()),
    "a replica's process": ("replicas", "pid", lambda cockpit: cockpit.journal.replicas.all()),
    "a step's attempts": ("steps", "attempt", lambda cockpit: cockpit.journal.steps.of(7)),
    "how many samples": (
        "samples",
        "number",
        lambda cockpit: cockpit.environments.series("production", "memory", start=0, end=4e9, points=5),
    ),
}


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Cockpit]:
    cockpit = Cockpit(unpack(tmp_path))
    yield cockpit
    cockpit.close()


@pytest.mark.parametrize("case", READ)
def test_what_should_be_a_number_and_is_none_is_named(old: Cockpit, case: str) -> None:
    table, column, read = READ[case]
    read(old)
    value = "5" if column == "data" else "x"
    old.journal._database.run("PRAGMA ignore_check_constraints = on")
    old.journal._database.run(f'UPDATE "{table}" SET "{column}" = ?', (value,))
    with pytest.raises(JournalError, match=r"the journal is damaged: .* cannot be read"):
        read(old)
