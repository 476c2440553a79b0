"""Starting any pipeline, with a form for its parameters."""

from __future__ import annotations

from typing import Any

from podium.tui.widgets.form_dialog import FormDialog
from textual.pilot import Pilot

from tests.tui.driving import burst, drive, make_app, text, until
from tests.tui.seed import SeededCockpit


def started(cockpit: SeededCockpit) -> list[tuple[str, dict[str, str], str]]:
    calls: list[tuple[str, dict[str, str], str]] = []

    def start(pipeline: str, *, params: dict[str, str], why: str = "") -> Any:
        calls.append((pipeline, params, why))
        return cockpit.journal.runs.get(14)

    cockpit.runs.start = start  # type: ignore[method-assign]
    return calls


def test_again_with_other_parameters(cockpit: SeededCockpit) -> None:
    calls = started(cockpit)

    async def script(pilot: Pilot[Any]) -> None:
        burst(pilot, "E", "shift+tab", "shift+tab", "end", *"-later", "enter", *"longer", "tab", "tab", "enter")
        await until(pilot, lambda: calls, "started")
        await pilot.press("g", "E")
        await until(
            pilot, lambda: "podium run release -p until=2013-08" in text(pilot.app), "what differs from the file"
        )
        await pilot.press("escape")
        assert calls == [("release", {"until": "2013-08-later"}, "longer")]

    drive(make_app(cockpit, screen="runs"), script)


def test_a_pipeline_that_never_ran_is_named_and_has_its_defaults(cockpit: SeededCockpit) -> None:
    file = cockpit.home / "podium.yaml"
    more = "  weekly:\n    params: {weeks: 4}\n    steps: {a: {run: 'true'}}\ngates:"
    file.write_text(file.read_text().replace("gates:", more, 1))
    calls = started(cockpit)

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("r")
        await until(pilot, lambda: "weekly" in pilot.app.podium_screen.project.pipelines, "read again")
        await pilot.press("E")
        await until(pilot, lambda: "start (release, weekly)" in text(pilot.app), "which there are")
        await pilot.press(*["backspace"] * 10, *"weekly", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, FormDialog), "the form")
        await until(pilot, lambda: "podium run weekly" in text(pilot.app), "the command")
        await pilot.press("shift+tab", "shift+tab", "end", "backspace", "8")
        await until(pilot, lambda: "podium run weekly -p weeks=8" in text(pilot.app), "follows what is typed")
        await pilot.press("escape")
        assert not calls
        await pilot.press("E", *["backspace"] * 10, *"nowhere", "enter")
        await until(pilot, lambda: "there is no pipeline 'nowhere'" in text(pilot.app), "said")

    drive(make_app(cockpit, screen="overview"), script, size=(80, 24))
