"""The board on screen: three answers for each row, the worst seen without colour, and a way to what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from podium.core.domain.infra.board import Answer, BoardRow, Mark
from textual.pilot import Pilot

from tests.tui.driving import drive, make_app, settled, text, until
from tests.tui.seed import SeededCockpit

SIZES = {"small": (80, 24), "middle": (120, 40), "large": (200, 50)}
GOOD = Answer(Mark.GOOD, "v3 serves as declared")
BOARD = (
    BoardRow("infra", "network", Answer(Mark.GOOD, "applied"), Answer(Mark.BAD, "2 resources drifted, looked at 3h ago"), Answer(Mark.NONE, "has no model")),
    BoardRow("environment", "staging", GOOD, Answer(Mark.UNKNOWN, "changing: promote of version 4"), Answer(Mark.UNKNOWN, "v3: no alert of podium.yaml watches it")),
    BoardRow("environment", "production", GOOD, Answer(Mark.GOOD, "2 replicas ready"), Answer(Mark.BAD, "v3: accuracy fires, 0.61 is below 0.7 for 2h, on production"), True),
)  # fmt: skip


def say(monkeypatch: pytest.MonkeyPatch, cockpit: SeededCockpit) -> None:
    monkeypatch.setattr(cockpit.board, "list", lambda: BOARD)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_each_row_has_three_answers(
    cockpit: SeededCockpit, monkeypatch: pytest.MonkeyPatch, size: str, theme: str
) -> None:
    say(monkeypatch, cockpit)

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("O")
        await until(pilot, lambda: "2 of 3 not as they should be" in text(pilot.app), "the board")
        assert "✗ production" in text(pilot.app) and "◆ staging" in text(pilot.app)
        await pilot.press("j", "j")
        await settled(pilot)
        shown = text(pilot.app)
        assert "Is the version that serves well?" in shown
        assert "✗ v3: accuracy fires, 0.61 is below 0.7" in shown.replace("…", "")

    drive(make_app(cockpit, screen="overview", theme=theme, interval=0), script, size=SIZES[size])


def test_enter_goes_to_what_a_row_is_about(cockpit: SeededCockpit, monkeypatch: pytest.MonkeyPatch) -> None:
    say(monkeypatch, cockpit)

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("O")
        await until(pilot, lambda: "2 resources" in text(pilot.app), "the board")
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen.title_id == "infra", "infrastructure")  # type: ignore[attr-defined]
        await pilot.press("O")
        await until(pilot, lambda: "2 resources" in text(pilot.app), "the board again")
        await pilot.press("j", "j", "enter")
        await until(pilot, lambda: pilot.app.screen.title_id == "environments", "environments")  # type: ignore[attr-defined]

    drive(make_app(cockpit, screen="overview", interval=0), script, size=SIZES["middle"])
