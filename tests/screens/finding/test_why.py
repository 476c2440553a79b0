"""Why? One key on a step, a run, a version and an environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from podium.core.domain.why.answers import Answer
from podium.tui.application import PodiumApp
from podium.tui.widgets.answer_dialog import AnswerDialog
from textual.pilot import Pilot

from tests.tui.driving import drive, make_app, settled, text, until
from tests.tui.seed import SeededCockpit

App = Callable[..., PodiumApp]


async def asked(pilot: Pilot[Any], words: str) -> None:
    await pilot.press("W")
    await until(pilot, lambda: isinstance(pilot.app.screen, AnswerDialog) and words in text(pilot.app), words)
    await pilot.press("W")
    await until(pilot, lambda: not isinstance(pilot.app.screen, AnswerDialog), "closed by the same key")


def test_a_step_and_its_run(app: App) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("j", "j", "j", "j")
        await settled(pilot)
        await asked(pilot, "gate quality refused v2")
        await pilot.press("enter", "g")
        await asked(pilot, "cached: nothing it is made from changed since run")
        await pilot.press("G")
        await asked(pilot, "skipped: gate failed")

    drive(app(screen="runs"), script)


def test_what_is_said_is_the_cores_and_steers_nothing(cockpit: SeededCockpit) -> None:
    answer = Answer("step \x1b[2Jx", "train.py [b]changed[/b] since run 41", ("\x1b]0;owned\x07 line",))
    cockpit.why.step = lambda *_: answer  # type: ignore[method-assign]

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("tab", "W")
        await until(pilot, lambda: "train.py [b]changed[/b] since run 41" in text(pilot.app), "the answer")
        assert "\x1b" not in text(pilot.app) and "\x07" not in text(pilot.app)

    drive(make_app(cockpit, screen="runs"), script, size=(80, 24))


def test_a_version_and_an_environment(app: App) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await asked(pilot, "Why: v4 of flight-delay")
        await pilot.press("4")
        await settled(pilot)
        await pilot.press("G")
        await asked(pilot, "production serves v3")

    drive(app(screen="models"), script)


def test_the_critical_path_and_how_long_steps_take_otherwise(app: App) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("j", "j", "j", "j")
        await until(pilot, lambda: "critical path" in text(pilot.app), "the legend")
        row = next(line for line in text(pilot.app).splitlines() if "train[depth=8,rate=0.05]" in line and "├" in line)
        assert "▸" in row, "the slowest of the matrix"
        assert "+0.0s" in row, "as in the run before"

    drive(app(screen="runs"), script, size=(200, 50))
