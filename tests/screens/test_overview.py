"""What the first screen says is waiting for a person, and where it leads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from podium.core.domain.attention import Reason
from podium.core.domain.containers import EngineSnapshot
from podium.core.domain.watching import AgentStatus
from podium.core.errors import Refused
from podium.screens import overview
from podium.tui.actions import BY_ID
from podium.tui.application import PodiumApp
from textual.pilot import Pilot

from tests.tui.driving import drive, make_app, settled, text, until
from tests.tui.seed import SeededCockpit
from tests.tui.seed_containers import seen_long_ago


def test_every_reason_has_its_mark_and_names_actions_and_screens_that_there_are() -> None:
    assert set(overview._MARKS) == set(Reason)
    assert {action for action, _ in overview._ACTIONS.values()} <= set(BY_ID)


def test_a_need_names_the_key_that_deals_with_it(app: Callable[..., PodiumApp]) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "waits for approval: A approves" in text(pilot.app), "the key")

    drive(app(screen="overview"), script, size=(160, 45))


def test_enter_goes_where_the_need_is(app: Callable[..., PodiumApp]) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "waits for approval" in text(pilot.app), "the run that waits")
        table = pilot.app.screen.query_one("#needs")
        table.focus()
        await pilot.press("g")
        for _ in range(10):
            if "waits for approval" in getattr(table.current, "words", ""):
                break
            await pilot.press("j")
        run_id = table.current.run_id
        await pilot.press("enter")
        await settled(pilot)
        await until(pilot, lambda: f"Steps of run {run_id}" in text(pilot.app), "the run itself")

    drive(app(screen="overview"), script)


def test_the_focus_begins_on_what_needs_a_person(app: Callable[..., PodiumApp]) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        assert pilot.app.podium_screen.pane.id == "needs"

    drive(app(screen="overview"), script)


def test_the_focus_begins_on_the_runs_where_nothing_does(bare: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        screen = pilot.app.podium_screen
        assert screen.pane.id == ("needs" if screen.query_one("#needs").rows else "recent")

    drive(make_app(bare, screen="overview"), script)


def test_a_key_that_was_pressed_before_the_data_came_keeps_the_focus(app: Callable[..., PodiumApp]) -> None:
    async def run() -> None:
        async with app(screen="overview").run_test(size=(120, 40)) as pilot:
            pilot.app.podium_screen.action_perform("down")
            await settled(pilot)
            assert pilot.app.podium_screen.pane.id == "recent"

    asyncio.run(run())


def test_a_pane_that_was_clicked_before_the_data_came_keeps_the_focus(app: Callable[..., PodiumApp]) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        screen = pilot.app.podium_screen
        screen._untouched = True
        await pilot.mouse_down("#serving")
        assert screen.pane.id == "serving"
        screen.update()
        assert screen.pane.id == "serving"

    drive(app(screen="overview"), script)


def test_a_refusal_is_read_to_its_end_with_what_to_do(bare: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        def refuse(_: Any) -> None:
            raise Refused(
                "no version is challenger", hint="name a version: `podium versions` lists those there are, oldest last"
            )

        pilot.app.screen.carry_out("promote", refuse)  # type: ignore[attr-defined]
        await until(pilot, lambda: "promote: no version is challenger; name a version" in text(pilot.app), "why not")
        await until(pilot, lambda: "oldest last" in text(pilot.app), "what to do, on the next line")

    drive(make_app(bare), script, size=(80, 24))


def test_nothing_serves_since_a_stop(cockpit: SeededCockpit) -> None:
    from podium.screens.overview import OverviewScreen

    async def script(pilot: Pilot[Any]) -> None:
        screen = pilot.app.screen
        assert isinstance(screen, OverviewScreen)
        status = screen._environments[-1]
        down = replace(status, proxy_alive=False, replicas=(), traffic={})
        assert screen._since(status)[0][0]
        assert not screen._since(down)[0][0]
        await until(pilot, lambda: screen._latest(status, "requests") is not None, "what is measured")
        assert screen._latest(down, "requests") is None
        assert screen._last(down, "error_rate") == screen._errors(down)[0][0] == screen.glyphs.text("–")

    drive(make_app(cockpit), script)


def test_what_is_in_no_journal_is_asked_again(cockpit: SeededCockpit) -> None:
    """What processes and engines say, while no agent writes it down."""

    async def script(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        cockpit.differences = ("a replica is gone",)
        await until(pilot, lambda: "a replica is gone" in text(pilot.app), "what differs")

    drive(make_app(cockpit), script)


@pytest.mark.parametrize("also_protected", [False, True])
def test_what_is_promoted_follows_no_cursor_of_another_pane(cockpit: SeededCockpit, also_protected: bool) -> None:
    """The one that promotions are for, wherever the cursor was among the environments."""
    if also_protected:
        file = cockpit.home / "podium.yaml"
        file.write_text(file.read_text().replace("{driver: process, port: 5101}", "{port: 5101, protected: true}"))
    statuses = cockpit.environments.list()
    named = [replace(each, carries="champion" if each.name == "production" else "") for each in statuses]
    cockpit.environments.list = lambda: named  # type: ignore[method-assign]

    async def script(pilot: Pilot[Any]) -> None:
        serving = pilot.app.screen.query_one("#serving")
        serving.focus()
        await pilot.press("g")
        assert serving.current.name == "staging"
        await pilot.press("4", "k")
        await settled(pilot)
        await pilot.press("1")
        for pane in ("#needs", "#recent"):
            pilot.app.screen.query_one(pane).focus()
            await pilot.press("P")
            await until(pilot, lambda: "Promote flight-delay v4 to production" in text(pilot.app), pane)
            await pilot.press("escape")
        serving.focus()
        await pilot.press("P")
        await until(pilot, lambda: "Promote flight-delay v4 to staging" in text(pilot.app), "this cursor is seen")

    drive(make_app(cockpit, screen="overview"), script)


def test_containers_are_counted_as_the_containers_screen_counts_them(docked: SeededCockpit) -> None:
    """Without an agent what was seen long ago counts for nothing, and a look of one's own counts on both screens."""
    docked.agent_status = AgentStatus(False)
    seen_long_ago(docked)
    looked = docked.containers.look

    def fewer(environment: str) -> EngineSnapshot | None:
        found = looked(environment)
        return replace(found, containers=found.containers[:1]) if found is not None else None

    docked.containers.look = fewer  # type: ignore[method-assign]

    async def script(pilot: Pilot[Any]) -> None:
        shown = text(pilot.app)
        assert shown.count("not seen") == 2 and " up" not in shown and "containers" in shown
        await pilot.press("5")
        await until(pilot, lambda: "2 of " in text(pilot.app), "looked")
        await pilot.press("1")
        await until(pilot, lambda: "2 containers" in text(pilot.app), "the same here")
        assert text(pilot.app).count("1 up") == 2

    drive(make_app(docked, screen="overview"), script)


def test_it_rings_for_an_alert_that_begins_to_fire_and_for_none_that_fired_before(
    cockpit: SeededCockpit, app: Callable[..., PodiumApp]
) -> None:
    from podium.core.domain.monitoring import AlertEvent

    file = cockpit.home / "podium.yaml"
    file.write_text(file.read_text() + "\nnotify: {sinks: {here: {terminal: bell}}}\n")
    event = AlertEvent(0, "old", "production", "m", "firing", 1.0)
    cockpit.journal.alerts.add(event)

    async def script(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        assert "old firing" not in text(pilot.app)
        cockpit.journal.alerts.add(replace(event, name="new"))
        pilot.app._ask()
        await until(pilot, lambda: "new firing on production" in text(pilot.app), "the alert, in the footer")

    drive(app(screen="overview"), script)
