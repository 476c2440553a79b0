"""Every screen as a picture: fixed data, fixed time. `pytest --snapshot-update` draws them anew after a change that was meant; look at them."""

from __future__ import annotations

from typing import Any

import pytest
from podium.tui.application import PodiumApp

from tests.tui.driving import make_app, settled, until
from tests.tui.seed import SeededCockpit

SIZES = {"small": (80, 24), "middle": (120, 40), "large": (200, 50)}


def picture(snap_compare: Any, app: PodiumApp, size: tuple[int, int], *keys: str, shows: str = "") -> None:
    from tests.tui.driving import text

    async def before(pilot: Any) -> None:
        await settled(pilot)
        for key in keys:
            await pilot.press(key)
            await settled(pilot)
        if shows:
            await until(pilot, lambda: shows in text(pilot.app), shows)
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("screen", ["overview", "runs", "models", "environments"])
def test_dark(snap_compare: Any, cockpit: SeededCockpit, screen: str, size: str) -> None:
    picture(snap_compare, make_app(cockpit, screen=screen, interval=0), SIZES[size])


@pytest.mark.parametrize("screen", ["overview", "environments"])
def test_light(snap_compare: Any, cockpit: SeededCockpit, screen: str) -> None:
    picture(snap_compare, make_app(cockpit, screen=screen, theme="light", interval=0), SIZES["middle"])


def test_no_colour(snap_compare: Any, cockpit: SeededCockpit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    picture(snap_compare, make_app(cockpit, screen="runs", interval=0), SIZES["middle"])


def test_plain_glyphs(snap_compare: Any, cockpit: SeededCockpit) -> None:
    picture(snap_compare, make_app(cockpit, screen="environments", plain=True, interval=0), SIZES["middle"])


def test_plan_dialog(snap_compare: Any, cockpit: SeededCockpit) -> None:
    picture(snap_compare, make_app(cockpit, screen="environments", interval=0), SIZES["middle"], "P", shows="type production to confirm")


def test_empty(snap_compare: Any, bare: SeededCockpit) -> None:
    picture(snap_compare, make_app(bare, interval=0), SIZES["small"])


def test_broken_project(snap_compare: Any, cockpit: SeededCockpit) -> None:
    (cockpit.home / "podium.yaml").write_text("project: x\npipelnes: {}\n")
    picture(snap_compare, make_app(cockpit, interval=0), SIZES["small"], shows="cannot be used")
