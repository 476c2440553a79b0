"""Cron lines: when they are due, that a time is made up for once, and that runs do not pile up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from podium.core.domain.runs import RunState, Trigger
from podium.core.errors import UsageError
from podium.core.identity.processes import started_at
from podium.core.triggers import schedules

from tests.engine.lab import Lab

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC).timestamp()
HOUR, DAY = 3600.0, 86400.0


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path / "project")
    lab.pipeline('a: {run: "true"}', extra='on: {schedule: "0 3 * * *"}')
    yield lab
    lab.close()


@pytest.mark.parametrize(
    ("line", "after", "expected"),
    [
        ("0 3 * * *", NOON, NOON + 15 * HOUR),
        ("*/15 * * * *", NOON, NOON + 900),
        ("0 12 * * *", NOON, NOON + DAY),
        ("0 3 * * 1", NOON, NOON + 15 * HOUR),  # 2 March 2026 is a Monday
        ("0 0 29 2 *", NOON, datetime(2028, 2, 29, tzinfo=UTC).timestamp()),
    ],
)
def test_the_next_time_is_in_utc(line: str, after: float, expected: float) -> None:
    assert schedules.next_time(line, after) == expected


def test_a_new_schedule_counts_from_now_and_is_due_at_its_time(lab: Lab) -> None:
    assert schedules.due(lab.project, lab.journal, NOON) == []
    assert schedules.due(lab.project, lab.journal, NOON + 15 * HOUR - 1) == []
    assert [pipeline.name for pipeline in schedules.due(lab.project, lab.journal, NOON + 15 * HOUR)] == ["main"]


def test_times_that_were_missed_are_made_up_for_once(lab: Lab) -> None:
    schedules.due(lab.project, lab.journal, NOON)
    later = NOON + 10 * DAY
    (pipeline,) = schedules.due(lab.project, lab.journal, later)
    told: list[str] = []
    run_id = schedules.start(lab.project, lab.journal, pipeline, later, told.append)
    assert run_id is not None
    run, _ = lab.finish(run_id)
    assert (run.state, run.trigger, run.why) == (RunState.SUCCEEDED, Trigger.SCHEDULE, "schedule 0 3 * * *")
    assert schedules.due(lab.project, lab.journal, later + 1) == []
    assert told == [f"schedule of main: run {run_id}"]


def test_a_clock_that_was_ahead_silences_no_schedule(lab: Lab) -> None:
    """It was a year ahead for a minute, in which the schedule was handled."""
    schedules.due(lab.project, lab.journal, NOON)
    ahead = NOON + 365 * DAY
    (pipeline,) = schedules.due(lab.project, lab.journal, ahead)
    schedules._deal_with(lab.journal, pipeline, ahead)  # pyright: ignore[reportPrivateUsage] - as a run's start does
    [status] = schedules.statuses(lab.project, lab.journal, NOON + HOUR)
    assert (status.next, status.missed) == (NOON + 15 * HOUR, None)
    assert schedules.due(lab.project, lab.journal, NOON + HOUR) == [], "it counts from now, again"
    assert [each.name for each in schedules.due(lab.project, lab.journal, NOON + 15 * HOUR)] == ["main"]


def test_a_schedule_that_is_put_back_has_missed_nothing(lab: Lab) -> None:
    schedules.due(lab.project, lab.journal, NOON)
    for extra in ('on: {schedule: "0 4 * * *"}', ""):
        other = lab.pipeline('a: {run: "true"}', extra=extra)
        schedules.due(other, lab.journal, NOON + HOUR)
        back = lab.pipeline('a: {run: "true"}', extra='on: {schedule: "0 3 * * *"}')
        assert schedules.due(back, lab.journal, NOON + 10 * DAY) == []
        assert [pipeline.name for pipeline in schedules.due(back, lab.journal, NOON + 11 * DAY)] == ["main"]
        lab.journal.values.set("schedule:main", f"{NOON} 0 3 * * *")


def test_a_time_that_comes_during_a_run_is_passed_over_and_said(lab: Lab) -> None:
    lab.pipeline('a: {run: "sleep 60"}', extra='on: {schedule: "0 3 * * *"}')
    schedules.due(lab.project, lab.journal, NOON)
    run = lab.start()
    later = NOON + DAY
    (pipeline,) = schedules.due(lab.project, lab.journal, later)
    told: list[str] = []
    assert schedules.start(lab.project, lab.journal, pipeline, later, told.append) is None
    assert "skipped" in told[0]
    assert [found.id for found in lab.journal.runs.page()] == [run.id]
    assert schedules.due(lab.project, lab.journal, later + 1) == []


def test_a_changed_line_starts_counting_anew(lab: Lab) -> None:
    schedules.due(lab.project, lab.journal, NOON)
    lab.pipeline('a: {run: "true"}', extra='on: {schedule: "0 4 * * *"}')
    assert schedules.due(lab.project, lab.journal, NOON + 30 * DAY) == [], (
        "not due for what another line would have asked"
    )
    assert len(schedules.due(lab.project, lab.journal, NOON + 31 * DAY)) == 1


def test_the_next_time_the_last_run_and_what_keeps_it_are_told_and_nothing_is_written(lab: Lab) -> None:
    before = lab.journal.data_version()
    (status,) = schedules.statuses(lab.project, lab.journal, NOON)
    assert lab.journal.data_version() == before
    assert (status.pipeline, status.next, status.missed, status.run) == ("main", NOON + 15 * HOUR, None, None)
    assert [words.split(":")[0] for words in status.held] == ["the agent is not running"]
    lab.journal.agent.claim(os.getpid(), started_at(os.getpid()) or 0.0, "anna")
    assert schedules.statuses(lab.project, lab.journal, NOON)[0].held == ()
    assert "podium.yaml" in schedules.statuses(lab.project, lab.journal, NOON, broken=True)[0].held[0]


def test_a_time_that_nobody_handled_is_told_as_missed(lab: Lab) -> None:
    schedules.due(lab.project, lab.journal, NOON)
    assert schedules.statuses(lab.project, lab.journal, NOON + HOUR)[0].missed is None
    (status,) = schedules.statuses(lab.project, lab.journal, NOON + 2 * DAY)
    assert (status.missed, status.next) == (NOON + 15 * HOUR, NOON + 2 * DAY + 15 * HOUR)


def test_a_run_that_goes_on_keeps_the_next_one_and_the_last_one_of_the_schedule_is_told(lab: Lab) -> None:
    first = lab.journal.runs.create(kind="pipeline", name="main", trigger=Trigger.SCHEDULE, who="podium watch")
    lab.journal.runs.set_state(first.id, RunState.FAILED)
    by_hand = lab.journal.runs.create(kind="pipeline", name="main", trigger=Trigger.PERSON, who="anna")
    lab.journal.runs.set_state(by_hand.id, RunState.WAITING)
    (status,) = schedules.statuses(lab.project, lab.journal, NOON)
    assert status.run is not None and (status.run.id, status.run.state) == (first.id, RunState.FAILED)
    assert f"run {by_hand.id} waits for approval" in status.held[1]
    lab.journal.runs.set_state(by_hand.id, RunState.CANCELLED)  # the lab waits for what has not ended


def test_a_schedule_that_cannot_start_its_run_is_a_trouble_until_one_starts(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = lab.project.pipelines["main"]

    def refuse(*_args: object, **_more: object) -> None:
        raise UsageError("no worker can be started")

    with monkeypatch.context() as patch:
        patch.setattr("podium.core.engine.submit.submit_pipeline", refuse)
        assert schedules.start(lab.project, lab.journal, pipeline, NOON, lambda _: None) is None
    (trouble,) = lab.journal.agent.status().troubles
    assert trouble.subject == "schedule of main" and "no worker can be started" in trouble.words
    assert lab.journal.audit.page(1)[0].action == "schedule failed"
    assert "no worker can be started" in schedules.statuses(lab.project, lab.journal, NOON)[0].held[-1]
    run_id = schedules.start(lab.project, lab.journal, pipeline, NOON, lambda _: None)
    assert run_id is not None
    lab.finish(run_id)
    assert lab.journal.agent.status().troubles == ()
