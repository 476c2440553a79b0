"""The screen of monitors: what was measured, drift by column, alerts that are acknowledged and silenced."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from podium.core.domain.monitoring import WORST_FIRST, AlertState, AlertStatus, ColumnMeasurement, Histogram
from podium.screens.cells.monitors import alert_columns, alert_lines, drift_columns, histogram_lines
from podium.tui.actions import BY_ID
from podium.tui.glyphs import Glyphs
from rich.cells import cell_len
from textual.pilot import Pilot

from tests.tui.driving import drive, make_app, settled, text, until
from tests.tui.seed import SeededCockpit
from tests.tui.seed_monitors import seed_loop, seed_monitors

GLYPHS = Glyphs()
SIZES = [(80, 24), (120, 40), (200, 50)]


@pytest.fixture
def measured(cockpit: SeededCockpit) -> SeededCockpit:
    seed_monitors(cockpit)
    return cockpit


@pytest.mark.parametrize("size", SIZES)
def test_it_shows_values_states_and_what_is_not_there(measured: SeededCockpit, size: tuple[int, int]) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        shown = text(pilot.app)
        assert "input-drift" in shown and "firing" in shown and "0.42" in shown
        assert "errors" in shown and "no data" in shown, "absence is no zero"
        assert "age" in shown and "not yet" in shown
        assert "1 alert firing" in shown

    drive(make_app(measured, screen="monitors"), script, size=size)


@pytest.mark.parametrize("size", SIZES)
def test_a_drift_is_looked_into_by_column_down_to_its_distributions(
    measured: SeededCockpit, size: tuple[int, int]
) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        await pilot.press("enter")
        await settled(pilot)
        shown = text(pilot.app)
        rows = [line for line in shown.splitlines() if "carrier" in line or "hour" in line or "origin" in line]
        assert "hour" in rows[0], "the column that changed most comes first"
        assert "\x1b" not in shown and "\u202e" not in shown
        assert "every value is missing"[:10] in shown
        await pilot.press("enter")
        await settled(pilot)
        shown = text(pilot.app)
        assert "18 … 24" in shown and "45%" in shown and "20%" in shown
        assert "fewer than the window" in shown or size[1] < 30
        await pilot.press("q", "q")
        await settled(pilot)
        assert pilot.app.podium_screen.pane.id == "monitors"

    drive(make_app(measured, screen="monitors"), script, size=size)


def test_an_alert_is_acknowledged_with_a_reason(measured: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        await pilot.press("A")
        await until(pilot, lambda: "Say that you know of input-drift?" in text(pilot.app), "the question")
        await pilot.press("tab", "enter")
        assert not measured.alerts.list()[0].acknowledged, "a reason is needed"
        await pilot.press(*"autumn", "tab", "tab", "enter")
        await until(pilot, lambda: measured.alerts.list()[0].acknowledged, "it is acknowledged")
        await settled(pilot)
        assert BY_ID["approve"].refusal(pilot.app.podium_screen.context()) == "somebody knows of it"

    drive(make_app(measured, screen="monitors"), script, size=(120, 40))
    alert = measured.alerts.list()[0]
    assert alert.state is AlertState.FIRING and "autumn" in alert.acknowledged


def test_an_alert_is_silenced_for_a_while(measured: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        await pilot.press("Z")
        await settled(pilot)
        await pilot.press("ctrl+u", *"soon", "enter")
        await until(pilot, lambda: "say it as 30m, 2h or 3d" in text(pilot.app), "the refusal")
        await pilot.press("Z")
        await settled(pilot)
        await pilot.press("ctrl+u", *"3h", "enter")
        await until(pilot, lambda: "Silence input-drift for 3h?" in text(pilot.app), "the question")
        await pilot.press("shift+tab", *"maintenance", "tab", "tab", "enter")
        await until(pilot, lambda: measured.alerts.silences(), "the silence")

    drive(make_app(measured, screen="monitors"), script, size=(120, 40))
    [silence] = measured.alerts.silences()
    assert silence.subject == "input-drift" and silence.why == "maintenance"


@pytest.mark.parametrize("size", SIZES)
def test_alerts_are_seen_beside_what_the_feedback_loop_did(measured: SeededCockpit, size: tuple[int, int]) -> None:
    """Also on a low screen, where a silence leaves the cursor where it was."""
    seed_loop(measured)

    async def script(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        assert "helped" in text(pilot.app)
        await pilot.press("Z")
        await settled(pilot)
        await pilot.press("ctrl+u", "enter")
        await settled(pilot)
        assert pilot.app.podium_screen.pane.id == "monitors"
        firing = next(line for line in text(pilot.app).split("Alerts")[1].splitlines() if "firing" in line)
        assert "input-drift" in firing

    drive(make_app(measured, screen="monitors"), script, size=size)


def test_a_measurement_without_a_value_is_not_said_to_be_one(measured: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        await pilot.press("j", "R")
        await until(pilot, lambda: "no value: no request in the last 1m" in text(pilot.app), "why there is none")

    drive(make_app(measured, screen="monitors"), script, size=(120, 40))


def test_alerts_are_sorted_by_what_is_worst() -> None:
    (state, *_) = alert_columns(lambda: GLYPHS, lambda: 0.0)
    alerts = [AlertStatus("a", "production", "m", each, 0.0) for each in AlertState]
    assert state.sort is not None
    assert tuple(each.state for each in sorted(alerts, key=state.sort)) == WORST_FIRST


def test_texts_of_an_alert_that_does_not_fire_are_shown_once_they_are_filled_in() -> None:
    texts = {"summary": "${{ alert.shown }} fail", "runbook_url": "https://example.com/r"}
    quiet = AlertStatus("a", "production", "m", AlertState.INACTIVE, 0.0, shown="0.0 %", threshold="above 5 %")
    quiet = replace(quiet, annotations=texts)
    firing = replace(quiet, state=AlertState.FIRING, annotations={**texts, "summary": "9.0 % fail"})
    words = [
        ["".join(part for part, _ in line) for line in alert_lines(each, 60.0, GLYPHS)] for each in (quiet, firing)
    ]
    assert words[0] == [
        *("✓ inactive, warning, 1m ago, on production", "monitor m: 0.0 %, fires above 5 %"),
        "runbook_url: https://example.com/r",
    ]
    assert words[1][2:] == ["summary: 9.0 % fail", "runbook_url: https://example.com/r"]
    *_, note = alert_columns(lambda: GLYPHS, lambda: 60.0)
    assert [note.cell(each)[0][0] for each in (quiet, firing)] == ["", "9.0 % fail"]


def test_a_column_says_what_was_found_in_it() -> None:
    value = next(each for each in drift_columns() if each.title == "value")
    assert (
        "".join(part for part, _ in value.cell(ColumnMeasurement("dewp", 0.25, message="3 range"))) == "0.2500  3 range"
    )


def test_names_in_wide_letters_keep_the_bars_in_line() -> None:
    found = Histogram((0.5, 0.5), (0.2, 0.8), names=("東京都", "JFK"))
    lines = ["".join(text for text, _ in line) for line in histogram_lines("空港", found, 60, GLYPHS)]
    assert len({cell_len(line[: line.index("%")]) for line in lines[1:]}) == 1, lines


def test_read_only_changes_nothing(measured: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        for key in ("A", "Z", "R"):
            await pilot.press(key)
            await settled(pilot)
            assert "read-only" in text(pilot.app)

    drive(make_app(measured, screen="monitors", read_only=True), script, size=(120, 40))


def test_without_monitors_it_says_how_to_have_one(cockpit: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        shown = text(pilot.app)
        assert "No monitor is in podium.yaml." in shown and "signal: error_rate" in shown
        await pilot.press("A")
        await settled(pilot)
        assert "no alert is under the cursor" in text(pilot.app)

    drive(make_app(cockpit, screen="monitors"), script, size=(80, 24))


@pytest.mark.parametrize("size", SIZES)
def test_what_the_feedback_loop_did_and_what_waits(measured: SeededCockpit, size: tuple[int, int]) -> None:
    seed_loop(measured)

    async def script(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        screen = pilot.app.podium_screen
        screen.focus_pane(screen.loop)
        await settled(pilot)
        shown = text(pilot.app)
        assert "proposed" in shown and "helped" in shown and "nightly" in shown
        await until(pilot, lambda: screen.loop.current is not None, "the cursor")
        assert screen.loop.current.pipeline == "nightly", "newest first"
        await pilot.press("A")
        await until(pilot, lambda: "Let nightly run for input-drift?" in text(pilot.app), "the question")
        await pilot.press("escape", "j")
        await settled(pilot)
        assert "it is helped" in BY_ID["approve"].refusal(screen.context())
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.podium_screen.title_id == "runs", "its run")

    drive(make_app(measured, screen="monitors"), script, size=size)


@pytest.mark.parametrize("size", SIZES)
def test_an_alert_and_what_was_held_are_read_in_full(measured: SeededCockpit, size: tuple[int, int]) -> None:
    seed_loop(measured)

    async def script(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        screen = pilot.app.podium_screen
        screen.focus_pane(screen.alerts)
        await pilot.press("enter")
        await settled(pilot)
        shown = text(pilot.app)
        assert "monitor input-drift: 0.4200" in shown and "alarms" in shown
        assert screen.pane.id == "facts" and screen.context().find(AlertStatus).name == "input-drift"
        await pilot.press("q")
        await settled(pilot)
        assert screen.pane is screen.alerts and "monitor input-drift:" not in text(pilot.app)
        screen.focus_pane(screen.loop)
        await until(pilot, lambda: screen.loop.current is not None, "the cursor")
        await pilot.press("enter")
        await settled(pilot)
        assert "nightly for alert input-drift on production" in text(pilot.app)
        await pilot.press("q")
        await settled(pilot)
        assert screen.pane is screen.loop

    drive(make_app(measured, screen="monitors"), script, size=size)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
@pytest.mark.parametrize("colour", ["", "1"])
@pytest.mark.parametrize("screen", ["overview", "environments"])
def test_environments_have_a_badge_of_their_alerts(
    measured: SeededCockpit, monkeypatch: pytest.MonkeyPatch, screen: str, size: tuple[int, int], colour: str
) -> None:
    monkeypatch.setenv("NO_COLOR", colour)

    async def script(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        assert "✗ 1 firing" in text(pilot.app)
        if screen == "environments":
            assert "alerts ✗ 1 firing (input-drift), 2 no data" in text(pilot.app)
        measured.alerts.acknowledge("input-drift", why="it is known")
        await until(pilot, lambda: "! 2 no data" in text(pilot.app), "what nobody knows of comes first")

    drive(make_app(measured, screen=screen), script, size=size)


def test_enter_on_an_alert_that_needs_somebody_goes_to_its_monitor(measured: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        pilot.app.screen.query_one("#needs").focus()
        await pilot.press("g", "enter")
        await settled(pilot)
        screen = pilot.app.podium_screen
        assert screen.title_id == "monitors" and screen.monitors.current.status.name == "input-drift"

    drive(make_app(measured, screen="overview"), script, size=(120, 40))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("plain", [False, True])
def test_quality_over_time_has_its_intervals_and_the_versions_that_began_to_serve(
    measured: SeededCockpit, size: tuple[int, int], plain: bool
) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        await pilot.press("G", "enter")
        await settled(pilot)
        shown = text(pilot.app)
        value, interval, began = ("*", "|", "^v3") if plain else ("●", "│", "▲v3")
        drawn = [line for line in shown.splitlines() if value in line and interval in line]
        assert began in shown and len(drawn) >= 3
        assert "0.7800" in shown and "2025-11-13 10:10" in shown and "2025-11-23 10:10" in shown
        await pilot.press("q")
        await settled(pilot)
        assert pilot.app.podium_screen.pane.id == "monitors"

    drive(make_app(measured, screen="monitors", plain=plain), script, size=size)
