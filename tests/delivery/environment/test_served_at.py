"""What served at a moment, by the ledger and the audit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.delivery.environment.served_at import served_at
from podium.core.domain.delivery import Deployment, DeploymentState, How
from podium.core.journal import Journal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.db") as opened:
        yield opened


def deployed(journal: Journal, id: int, version: int, at: float, ended: float | None, state: DeploymentState) -> None:
    row = Deployment(id, "production", How.PROMOTE, state, "m", version, None, at, "anna", ended=ended)
    journal.ledger.bring_back([row])


def test_the_version_that_had_taken_over_last(journal: Journal) -> None:
    good = DeploymentState.SUCCEEDED
    deployed(journal, 1, 1, 100, 110, good)
    deployed(journal, 2, 2, 200, 210, DeploymentState.UNDONE)
    deployed(journal, 3, 3, 300, 310, good)
    assert served_at(journal, "production", 50).version is None
    assert served_at(journal, "production", 50).until == 110
    at = served_at(journal, "production", 150)
    assert (at.version, at.until, at.under_way) == (1, 310, None)
    trying = served_at(journal, "production", 205)
    assert trying.version == 1 and trying.under_way is not None and trying.under_way.to_version == 2
    assert served_at(journal, "production", 305).version == 1, "until it has taken over"
    now = served_at(journal, "production", 310)
    assert (now.version, now.until) == (3, None)
    assert served_at(journal, "staging", 400).version is None
