"""The agent's screen: its troubles, the schedules with their next time, the audit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from podium.core.domain.runs import RunState, Trigger
from podium.core.domain.watching import AgentStatus, ScheduleStatus, Trouble
from podium.tui.application import PodiumApp
from textual.pilot import Pilot

from tests.tui.driving import drive, make_app, settled, text, until
from tests.tui.seed import NOW, SeededCockpit


@pytest.fixture
def watched(cockpit: SeededCockpit, monkeypatch: pytest.MonkeyPatch) -> SeededCockpit:
    journal = cockpit.journal
    run = journal.runs.create(kind="pipeline", name="nightly", trigger=Trigger.SCHEDULE, who="podium watch")
    journal.runs.set_state(run.id, RunState.FAILED, message="train failed: exit code 1", at=NOW - 3600)
    journal.audit.add("anna from 10.0.0.7", "promote", "production version 3", "autumn schedule")
    cockpit.agent_status = AgentStatus(
        True, 4242, "build-1", "anna", NOW - 86_400, NOW, troubles=(Trouble("disk", "the disk is full", NOW - 60),)
    )
    found = [
        ScheduleStatus("nightly", "0 3 * * *", NOW + 7200, run=journal.runs.get(run.id)),
        ScheduleStatus("weekly", "0 4 * * 1", NOW + 86_400 * 3, held=("run 7 is still running",)),
    ]
    monkeypatch.setattr(cockpit.agent, "schedules", lambda: found)
    return cockpit


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)])
def test_it_shows_troubles_next_times_and_who_did_what(watched: SeededCockpit, size: tuple[int, int]) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        head = text(pilot.app).splitlines()[0]
        assert ("agent: trouble" if size[0] >= 100 else "trouble") in head and "PROTECTED" in head
        await pilot.press("a")
        await settled(pilot)
        await until(pilot, lambda: "production version 3" in text(pilot.app), "the audit")
        shown = text(pilot.app)
        assert "disk: the disk is full" in shown
        assert "UTC" in shown and "in 2h" in shown and "in 3d" in shown  # the zone is the tests'
        assert "failed" in shown and "none yet" in shown
        await pilot.press("q")
        assert pilot.app.podium_screen.title_id == "overview"

    drive(make_app(watched, screen="overview"), script, size=size)


def test_the_palette_finds_it_by_what_is_on_it_and_enter_opens_the_run(watched: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("colon", *"audit")
        await until(pilot, lambda: "agent, schedules, audit" in text(pilot.app), "the entry")
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.podium_screen.title_id == "agent", "the screen")
        await settled(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.podium_screen.title_id == "runs", "its last run")

    drive(make_app(watched, screen="models"), script)


def test_what_the_agent_cannot_do_needs_a_person_and_leads_there(watched: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        table = pilot.app.podium_screen.query_one("#needs")
        subjects = [need.subject for need in table.rows]
        assert "disk" in subjects
        await pilot.press("g", *["j"] * subjects.index("disk"), "enter")
        await until(pilot, lambda: pilot.app.podium_screen.title_id == "agent", "the agent's screen")

    drive(make_app(watched, screen="overview"), script)


def test_where_there_is_nothing_it_says_what_there_could_be(app: Callable[..., PodiumApp], bare: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("a")
        await settled(pilot)
        shown = text(pilot.app)
        assert "not running" in shown and "No pipeline has a schedule." in shown and "Nothing was done yet." in shown

    drive(make_app(bare, screen="overview"), script)
