"""A running canary, and what a person can tell it; repairs and restarts behind their plans."""

from __future__ import annotations

from typing import Any

import pytest
from podium.core.domain.delivery import CanaryRequest, CanaryState
from podium.screens import canary as drawing
from podium.tui.glyphs import Glyphs
from textual.pilot import Pilot
from textual.widgets import Button

from tests.tui.driving import drive, make_app, text, until
from tests.tui.seed import NOW, SeededCockpit
from tests.tui.seed_containers import canary


def words_of(lines: list[Any]) -> list[str]:
    return ["".join(span for span, _ in line) for line in lines]


def test_a_running_canary_shows_its_stages_the_time_left_and_the_numbers(docked: SeededCockpit) -> None:
    docked.canaries = {"production": canary()}

    async def script(pilot: Pilot[Any]) -> None:
        shown = text(pilot.app)
        figures = ("so far ✓ pass", "2,412 req", "limit 10.6 ms, was 8.8 ms")
        for words in ("Canary v4 beside v3", "✓ passed", "● 1m13s left", "stage 2 of 4, since 10:09:13", *figures):
            assert words in shown, words
        assert "ready: B brings v2 back" in shown, "the way back stays in sight"
        for key, words in (
            ("P", "a canary is running"),
            ("B", "a canary is running"),
            ("U", "is not paused"),
        ):
            await pilot.press(key)
            await until(pilot, lambda words=words: words in text(pilot.app), words)

    drive(make_app(docked, screen="environments"), script)


def test_the_time_left_goes_on_by_itself(docked: SeededCockpit) -> None:
    docked.canaries = {"production": canary()}
    now = [NOW]

    async def script(pilot: Pilot[Any]) -> None:
        assert "1m13s left" in text(pilot.app)
        now[0] += 30
        await until(pilot, lambda: "43s left" in text(pilot.app), "half a minute later")

    drive(make_app(docked, screen="environments", clock=lambda: now[0]), script)


@pytest.mark.parametrize(
    ("key", "state", "asked", "words", "typed"),
    [
        ("H", CanaryState.RUNNING, CanaryRequest.PAUSE, "Pause the canary of production", ""),
        ("U", CanaryState.PAUSED, CanaryRequest.RESUME, "Resume the canary of production", ""),
        ("U", CanaryState.INCONCLUSIVE, CanaryRequest.RESUME, "error_rate is inconclusive", ""),
        (
            "F",
            CanaryState.RUNNING,
            CanaryRequest.FULL,
            "podium promote --full -e production",
            "production",
        ),
        ("X", CanaryState.INCONCLUSIVE, CanaryRequest.ABORT, "nothing; it is stopped", ""),
        ("U", CanaryState.ASKS, CanaryRequest.RESUME, "25 % → 50 %", ""),
    ],
)
def test_each_request_is_confirmed_first(
    docked: SeededCockpit, key: str, state: CanaryState, asked: CanaryRequest, words: str, typed: str
) -> None:
    docked.canaries = {"production": canary(state)}

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press(key)
        await until(pilot, lambda: words in text(pilot.app), words)
        assert pilot.app.focused.id == "keep", "the focus is on Cancel"
        await pilot.press("enter")
        await until(pilot, lambda: "nothing was changed" in text(pilot.app), "left")
        assert not docked.requested
        await pilot.press(key)
        await until(pilot, lambda: words in text(pilot.app), words)
        dialog = pilot.app.screen
        dialog.query_one("#why").value = "the customers are happy"
        yes = dialog.query_one("#yes", Button)
        if typed:
            assert yes.disabled
            dialog.query_one("#typed").value = typed
            await until(pilot, lambda: not yes.disabled, "confirmed")
        yes.press()
        await until(pilot, lambda: docked.requested, "requested")
        assert docked.requested == [("production", asked, "the customers are happy")]
        await until(pilot, lambda: "requested: " in text(pilot.app), "said")

    drive(make_app(docked, screen="environments"), script)


def test_an_undecided_canary_is_the_first_thing_that_needs_a_person(docked: SeededCockpit) -> None:
    docked.canaries = {"production": canary(CanaryState.INCONCLUSIVE)}

    async def script(pilot: Pilot[Any]) -> None:
        shown = text(pilot.app)
        assert "canary v4 at 25 % waits for a person" in shown and "◆ v4 25 % waits" in shown
        await pilot.press("4")
        await until(
            pilot,
            lambda: "U resumes with the next stage, F gives it all traffic, X puts all back" in text(pilot.app),
            "what there is to do",
        )

    drive(make_app(docked), script)


def test_without_a_canary_its_keys_say_so(docked: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        for key in "HUFX":
            await pilot.press(key)
            await until(pilot, lambda: "no canary is running in production" in text(pilot.app), key)
            await pilot.press("j")

    drive(make_app(docked, screen="environments"), script)


def test_where_there_is_little_room_the_stages_share_a_line() -> None:
    status = canary(CanaryState.PAUSED)
    roomy = words_of(drawing.lines(status, NOW, Glyphs(), height=12, width=78))
    tight = words_of(drawing.lines(status, NOW, Glyphs(), height=6, width=78))
    assert len(roomy) == len(tight) + 3
    assert tight[0].startswith(" ✓ 5 % → ■ 25 % → 50 % → 100 %")
    plain = words_of(drawing.lines(status, NOW, Glyphs(plain=True), height=6, width=78))
    assert all(line.isascii() for line in plain)


def test_a_repair_shows_what_differs_and_wants_the_name(docked: SeededCockpit) -> None:
    docked.differences = ("production-v3-1 is gone",)

    async def script(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "1 DIFFERENCE" in text(pilot.app), "the difference")
        assert "M plans the repair" in text(pilot.app)
        await pilot.press("M")
        await until(pilot, lambda: "Repair production · PROTECTED" in text(pilot.app), "the plan")
        shown = text(pilot.app)
        for words in (
            "weight 50 instead of 100",
            "set it to 100",
            "a repair can do nothing about this",
            "podium repair -e production",
            "about 6.0s",
        ):
            assert words in shown, words
        dialog = pilot.app.screen
        yes = dialog.query_one("#yes", Button)
        assert yes.disabled and pilot.app.focused.id == "keep"
        dialog.query_one("#typed").value = "production"
        await until(pilot, lambda: not yes.disabled, "confirmed")
        yes.press()
        await until(pilot, lambda: docked.repaired, "repaired")
        assert docked.repaired == [("production", "", "")]

    drive(make_app(docked, screen="environments"), script, size=(120, 50))


def test_nothing_to_mend_says_so(docked: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("M")
        await until(pilot, lambda: "there is nothing to repair" in text(pilot.app), "refused")

    drive(make_app(docked, screen="environments"), script)


def test_a_restart_is_planned_and_wants_the_name(docked: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("R")
        await until(pilot, lambda: "Restart production-v3-1 · PROTECTED" in text(pilot.app), "the plan")
        assert "take its traffic away" in text(pilot.app)
        dialog = pilot.app.screen
        dialog.query_one("#typed").value = "production"
        yes = dialog.query_one("#yes", Button)
        await until(pilot, lambda: not yes.disabled, "confirmed")
        yes.press()
        await until(pilot, lambda: docked.repaired, "restarted")
        assert docked.repaired == [("production", "production-v3-1", "")]
        await until(
            pilot,
            lambda: pilot.app.podium_screen.title_id == "runs" and "Worker of run 15" in text(pilot.app),
            "its run is shown",
        )
        await pilot.press("5", "G", "R")
        await until(
            pilot, lambda: "Restart the proxy of production · PROTECTED" in text(pilot.app), "the proxy can be, too"
        )

    drive(make_app(docked, screen="containers"), script)
