"""Monitors of live signals, of age, and the agent's job: on samples and files as they are."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from podium.core.alerts import evaluate as alerts
from podium.core.domain.delivery import DeploymentState, How, Stopped
from podium.core.domain.monitoring import Measurement
from podium.core.domain.project import Project
from podium.core.domain.watching import Sample, share_of
from podium.core.journal import Journal
from podium.core.monitoring.evaluate import evaluate, evaluate_due, is_due
from podium.core.monitoring.live import wilson
from podium.core.monitoring.live_view import live_view
from podium.core.monitoring.status import status

from .conftest import Write, deploy


def signal(name: str, more: str = "") -> str:
    return f"monitors: {{m: {{environment: production, signal: {name}{more}}}}}\n"


def measure(project: Project, journal: Journal) -> Measurement:
    (found,) = evaluate(project, journal, [project.monitors["m"]])
    assert journal.measurements.latest("m") == found
    return found


def put(journal: Journal, name: str, *values: float, ago: float = 2.0) -> None:
    """Stores a value a second, the last of them `ago` seconds ago."""
    end = time.time() - ago
    journal.samples.add(Sample("production", name, end - place, value) for place, value in enumerate(reversed(values)))


def test_errors_count_by_how_many_requests_there_were(write: Write, journal: Journal) -> None:
    put(journal, "requests", 90.0, 10.0)
    put(journal, "error_rate", 0.0, 0.5)
    found = measure(write(signal("error_rate")), journal)
    assert found.value == pytest.approx(0.05)
    assert found.low is not None and found.high is not None and found.low < 0.05 < found.high
    assert (found.rows, found.version) == (100, 3)


def test_a_rate_is_the_mean_of_what_was_measured(write: Write, journal: Journal) -> None:
    put(journal, "requests", 4.0, 8.0)
    assert measure(write(signal("requests")), journal).value == 6.0
    put(journal, "memory", 1e9, 3e9)
    assert measure(write(signal("memory")), journal).value == 2e9


def test_without_requests_there_is_no_error_rate_and_without_an_agent_no_rate(write: Write, journal: Journal) -> None:
    found = measure(write(signal("requests")), journal)
    assert found.value is None and "is the agent running?" in found.message
    put(journal, "requests", 0.0, 0.0)
    assert measure(write(signal("requests")), journal).value == 0.0
    found = measure(write(signal("error_rate")), journal)
    assert found.value is None and found.message == "no request in the last 1m"


def test_the_time_without_traffic_reaches_back_beyond_the_window(write: Write, journal: Journal) -> None:
    project = write(signal("no_traffic"))
    assert measure(project, journal).value is None
    put(journal, "requests", 5.0, ago=1800.0)
    put(journal, "requests", 0.0, 0.0)
    assert measure(project, journal).value == pytest.approx(1800.0, abs=5.0)


def test_restarts_are_those_of_the_window(write: Write, journal: Journal) -> None:
    project = write(signal("restarts", ", window: 10m"))
    now = time.time()
    directory = project.state / "environments" / "production"
    directory.mkdir(parents=True)
    (directory / "restarts.json").write_text(json.dumps({"a": [now - 5, now - 900], "b": [now - 60]}))
    assert measure(project, journal).value == 2.0
    found = measure(write(signal("restarts", ", window: 2h")), journal)
    assert found.value == 3.0 and found.warnings


def test_a_stopped_environment_says_so_and_so_does_an_empty_one(write: Write, journal: Journal, tmp_path: Path) -> None:
    put(journal, "requests", 4.0)
    project = write(signal("requests"))
    current = journal.ledger.current("production")
    journal.stops.put(Stopped("production", current.id, "anna", time.time()))  # type: ignore[union-attr]
    found = measure(project, journal)
    assert found.value is None and "was stopped by anna" in found.message
    deploy(journal, 4)
    assert measure(project, journal).version == 4
    with Journal.open(tmp_path / "other.db") as empty:
        assert measure(project, empty).message == "nothing is deployed to production"


def test_the_age_of_the_model_is_that_of_the_version_which_serves(write: Write, journal: Journal) -> None:
    project = write("monitors: {m: {environment: production, freshness: model}}\n")
    assert measure(project, journal).value == pytest.approx(86_400.0, abs=60.0)
    deploy(journal, 4, created=time.time() + 3600)
    found = measure(project, journal)
    assert found.value == 0.0 and "lies ahead" in found.warnings[0]


def test_the_age_of_data_is_that_of_its_newest_file(
    write: Write, journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = write("monitors: {m: {environment: production, freshness: data, path: data}}\n")
    assert measure(project, journal).message == "data is not there"
    (tmp_path / "data" / "deep").mkdir(parents=True)
    assert measure(project, journal).message == "data is empty"
    for name, age in (("old.csv", 500.0), ("deep/new.csv", 100.0)):
        path = tmp_path / "data" / name
        path.write_text("a\n1\n")
        os.utime(path, (time.time() - age, time.time() - age))
    assert measure(project, journal).value == pytest.approx(100.0, abs=5.0)
    with monkeypatch.context() as forbidden:
        # What root may read everywhere.
        forbidden.setattr(
            os, "scandir", lambda path: (_ for _ in ()).throw(PermissionError(13, "Permission denied", path))
        )
        found = measure(project, journal)
    assert found.value is None and found.message.endswith("data: Permission denied"), "its files may be the newest"


def test_the_job_measures_what_is_due_and_says_once_what_has_no_value(write: Write, journal: Journal) -> None:
    project = write(
        "monitors:\n  m: {environment: production, signal: requests, every: 10m}\n"
        "  age: {environment: production, freshness: model}\n"
    )
    said: list[str] = []
    evaluate_due(project, journal, said.append, light=True)
    assert len(said) == 1 and said[0].startswith("m: no value: requests was not measured")
    assert journal.measurements.latest("age") is not None
    newest = journal.measurements.newest_id()
    evaluate_due(project, journal, said.append, light=True)
    evaluate_due(project, journal, said.append, light=False)
    assert journal.measurements.newest_id() == newest and len(said) == 1
    last = journal.measurements.latest_time("m") or 0.0
    monitor = project.monitors["m"]
    assert not is_due(journal, monitor, last + 599) and is_due(journal, monitor, last + 600)
    assert is_due(journal, monitor, last - 1), "a clock that went back waits for nothing"


def test_a_share_of_few_rows_has_a_wide_interval_that_stays_a_share() -> None:
    assert wilson(0.0, 10) == pytest.approx((0.0, 0.27753), abs=1e-4)
    for rows in (1, 10, 400, 1000):
        assert (wilson(0.0, rows)[0], wilson(1.0, rows)[1]) == (0.0, 1.0), "and not 8.6e-17"
    assert wilson(0.5, 100) == pytest.approx((0.40383, 0.59617), abs=1e-4)


def test_a_monitor_has_the_worst_state_of_its_alerts(write: Write, journal: Journal) -> None:
    project = write(
        signal("requests")
        + "alerts: {high: {monitor: m, above: 5}, low: {monitor: m, below: 1}, rare: {monitor: m, above: 99}}\n"
    )
    found = status(project, journal, project.monitors["m"], watched=False)
    assert (found.state, found.thresholds, found.next) == (
        "no data",
        ("above 5/s", "below 1/s", "above 99/s"),
        None,
    )
    put(journal, "requests", 8.0)
    measure(project, journal)
    alerts.evaluate(project, journal, time.time())
    found = status(project, journal, project.monitors["m"], watched=True)
    assert (found.state, found.alerts) == ("firing", ("high", "low", "rare"))
    assert found.next == pytest.approx(time.time() + 60, abs=30)


def test_the_share_of_a_canary_that_was_taken_back_is_drawn_too(write: Write, journal: Journal) -> None:
    deploy(journal, 3)
    row = journal.ledger.begin(
        environment="production", how=How.DEPLOY, model="shop", to_version=4, from_version=3, who="anna"
    )
    journal.ledger.finish(row.id, DeploymentState.FAILED, "the canary ends in fail")
    put(journal, share_of(4), 0.2, 0.2)
    now = time.time()
    view = live_view(write(""), journal, "production", now - 60, now + 60, 60)
    assert list(view.shares) == [4]
