"""Monitors of labels, on requests and labels as they come."""

from __future__ import annotations

from pathlib import Path

import pytest
from podium.core.domain.labels import NewLabel
from podium.core.domain.monitoring import Measurement
from podium.core.domain.project import Project
from podium.core.journal import Journal
from podium.core.labels.store import LabelStore
from podium.core.monitoring.evaluate import evaluate

from .conftest import Write
from .test_drift import capture, rows


def measure(project: Project, journal: Journal) -> Measurement:
    (found,) = evaluate(project, journal, [project.monitors["m"]])
    return found


def test_the_share_with_a_label_and_how_long_that_takes(write: Write, journal: Journal, tmp_path: Path) -> None:
    share = write("monitors: {m: {environment: production, labels: share}}\n")
    assert measure(share, journal).message == "no request was answered in the last 7d"
    capture(tmp_path, rows(40), ago=100.0)
    assert measure(share, journal).value == 0.0
    delay = write("monitors: {m: {environment: production, labels: delay, window: 1h}}\n")
    assert measure(delay, journal).message == "none of 40 requests has a label yet"
    with LabelStore.open(share.state, "production") as store:
        ids = [request.id for request in store.requests()]
        labels = [NewLabel(1, id=name) for name in ids[:10]]
        store.add([*labels, NewLabel(0, id=ids[0]), NewLabel(1, id="nobody")], "test")
    share = write("monitors: {m: {environment: production, labels: share}}\n")
    found = measure(share, journal)
    assert found.value == 0.25 and found.low is not None and found.low < 0.25 < (found.high or 0.0)
    # One that waits for its request is none that has none.
    assert found.warnings == ("1 label said something else than an earlier one, of all that ever came",)
    delay = write("monitors: {m: {environment: production, labels: delay, window: 1h}}\n")
    assert measure(delay, journal).value == pytest.approx(100.0, abs=20.0)
