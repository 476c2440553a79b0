"""Where a person is, back and forward along the way they took, and several things at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from podium.core.domain.monitoring import AlertState
from podium.core.errors import Refused
from podium.tui.application import PodiumApp
from podium.tui.places.trail import MAX_PLACES, Place, Trail
from textual.pilot import Pilot

from tests.tui.driving import drive, make_app, settled, text, until
from tests.tui.seed import SeededCockpit
from tests.tui.seed_monitors import seed_monitors

App = Callable[..., PodiumApp]
BACK, FORWARD = "left_square_bracket", "right_square_bracket"


def test_back_and_forward_go_along_the_way_with_the_cursors_as_they_were(app: App) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("2", "j", "j", "j", "j", "enter")
        await settled(pilot)
        await pilot.press("3", "j")
        await settled(pilot)
        await pilot.press("colon", *"run 9", "enter")
        await until(pilot, lambda: pilot.app.podium_screen.title_id == "runs", "run 9")
        await settled(pilot)
        await pilot.press(BACK)
        await until(pilot, lambda: pilot.app.podium_screen.title_id == "models", "the models")
        assert pilot.app.podium_screen.version.version == 3
        assert "Models › v3" in text(pilot.app) and "1 forward" in text(pilot.app)
        await pilot.press(BACK)
        await until(pilot, lambda: pilot.app.podium_screen.title_id == "runs", "the run before")
        await settled(pilot)
        screen = pilot.app.podium_screen
        assert (screen.run.id, screen.pane.id) == (10, "graph")
        await pilot.press(BACK)
        await until(pilot, lambda: pilot.app.podium_screen.title_id == "overview", "where it began")
        await pilot.press(BACK)
        await until(pilot, lambda: "this is where you began" in text(pilot.app), "no further")
        for name in ("runs", "models", "runs"):
            await pilot.press(FORWARD)
            await until(pilot, lambda name=name: pilot.app.podium_screen.title_id == name, name)
            await settled(pilot)
        assert pilot.app.podium_screen.run.id == 9

    drive(app(screen="overview"), script)


def test_a_new_way_takes_the_place_of_the_one_that_was_left() -> None:
    trail = Trail()
    places = [Place(name, name) for name in "abcd"]
    trail.leave(places[0])
    trail.leave(places[1])
    assert trail.back(places[2]) == places[1]
    trail.leave(places[1])
    assert trail.forward(places[3]) is None
    assert trail.back(places[3]) == places[1] and trail.back(places[1]) == places[0]
    assert trail.back(places[0]) is None


def test_a_way_is_kept_within_bounds() -> None:
    trail = Trail()
    for number in range(3 * MAX_PLACES):
        trail.leave(Place(str(number), ""))
    assert trail.behind == MAX_PLACES


def test_a_wide_terminal_says_where_one_is(app: App) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("j", "j", "j", "j", "enter", "g")
        await until(pilot, lambda: "› run 10 › unit" in text(pilot.app), "the way to the step")
        await pilot.press("3")
        await until(pilot, lambda: "› v4" in text(pilot.app), "the version")

    drive(app(screen="runs"), script, size=(200, 50))


def test_marked_runs_are_cancelled_together_and_what_is_over_is_left_out(cockpit: SeededCockpit) -> None:
    called: list[tuple[int, str]] = []

    def cancel(run_id: int, *, why: str = "") -> None:
        called.append((run_id, why))
        if run_id == 13:
            raise Refused("run 13 is over by now")

    cockpit.runs.cancel = cancel  # type: ignore[method-assign]

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("space", "space", "j", "space", "X")
        await until(pilot, lambda: "Cancel 2 runs?" in text(pilot.app), "the question")
        shown = text(pilot.app)
        assert "run 14, release, running" in shown and "run 13, release, waiting" in shown
        assert "Left out: run 11 is over: cancelled" in shown
        assert "podium cancel 14 && podium cancel 13" in shown
        await pilot.press("shift+tab", *"too many", "enter", "right", "enter")
        await until(pilot, lambda: "1 of 2 done; run 13: run 13 is over by now" in text(pilot.app), "how each went")
        assert called == [(14, "too many"), (13, "too many")]
        await pilot.press("escape")
        assert pilot.app.podium_screen._marks == frozenset()
        assert pilot.app.podium_screen.title_id == "runs", "the marks are cleared first"

    drive(make_app(cockpit, screen="runs"), script)


def test_marks_of_runs_that_are_over_cannot_be_cancelled(app: App) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("G", "space", "k", "k", "space", "X")
        await until(pilot, lambda: "all that are marked are over" in text(pilot.app), "why not")

    drive(app(screen="runs"), script)


@pytest.mark.parametrize("key", ["A", "Z"])
def test_marked_alerts_are_acknowledged_or_silenced_together(cockpit: SeededCockpit, key: str) -> None:
    seed_monitors(cockpit)
    done: list[tuple[str, str]] = []
    listed = [replace(each, state=AlertState.FIRING, acknowledged="") for each in cockpit.alerts.list()]
    cockpit.alerts.list = lambda: listed  # type: ignore[method-assign]
    cockpit.alerts.acknowledge = lambda name, *, why="": done.append((name, why))  # type: ignore[method-assign]
    cockpit.alerts.silence = lambda name, *, seconds, why="": done.append((name, why))  # type: ignore[method-assign]

    async def script(pilot: Pilot[Any]) -> None:
        screen = pilot.app.podium_screen
        screen.focus_pane(screen.alerts)
        names = sorted(each.name for each in listed if key == "A" or not each.silenced)
        assert len(names) > 1
        await pilot.press("g", *["space"] * len(listed))
        await pilot.press(key)
        if key == "Z":
            await pilot.press("enter")
        await until(pilot, lambda: f"{len(names)} alerts" in text(pilot.app), "the question")
        await pilot.press("shift+tab", *"known", "enter", "right", "enter")
        await until(pilot, lambda: sorted(done) == [(name, "known") for name in names], "each of them")

    drive(make_app(cockpit, screen="monitors"), script)
