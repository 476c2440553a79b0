"""When a screen paints: what a key has changed at once, everything else sixty times a second at most."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from podium.tui.application import PodiumApp
from textual.pilot import Pilot

from tests.tui.driving import drive, until

App = Callable[..., PodiumApp]


def test_what_a_key_changes_does_not_wait_for_the_next_moment_of_painting(app: App) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        screen = pilot.app.screen
        painted: list[str] = []
        refresh = screen._compositor_refresh

        def noted() -> None:
            painted.append("painted")
            refresh()

        screen._compositor_refresh = noted
        screen._update_timer.resume = lambda: painted.append("waits")  # as if the next moment never came
        screen.query_one("#recent").refresh()
        await until(pilot, lambda: "waits" in painted, "what no key has changed waits")
        assert "painted" not in painted
        await pilot.press("j")
        await until(pilot, lambda: "painted" in painted, "what a key has changed is painted")
        screen.query_one("#recent").refresh()
        before = len(painted)
        await until(pilot, lambda: len(painted) > before, "what comes later")
        assert painted[before:] == ["waits"] * (len(painted) - before), "once for each key"

    drive(app(screen="overview"), script)
