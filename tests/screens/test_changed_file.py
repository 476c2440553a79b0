"""A cockpit that is open while podium.yaml changes, and one on a copy of a project."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from podium.tui.screens import MAIN
from textual.pilot import Pilot

from tests.tui.driving import drive, make_app, text, until
from tests.tui.seed import SeededCockpit

ADDED = "  canary-site:\n    port: 5987\n    protected: true\n"


def test_an_environment_that_is_added_appears(cockpit: SeededCockpit) -> None:
    file = cockpit.home / "podium.yaml"
    good = file.read_text()

    async def script(pilot: Pilot[Any]) -> None:
        assert "canary-site" not in text(pilot.app)
        file.write_text(good.replace("\nenvironments:\n", f"\nenvironments:\n{ADDED}"))
        await until(pilot, lambda: "canary-site" in text(pilot.app), "the new environment")

    drive(make_app(cockpit, screen="environments"), script)


@pytest.mark.parametrize("screen", [each.name for each in MAIN])
def test_a_broken_file_is_told_on_every_screen_until_it_is_repaired(cockpit: SeededCockpit, screen: str) -> None:
    file = cockpit.home / "podium.yaml"
    good = file.read_text()
    line = good.rstrip("\n").count("\n") + 2

    async def script(pilot: Pilot[Any]) -> None:
        file.write_text(good.rstrip("\n") + "\npipelnes: {}\n")
        await until(pilot, lambda: f"podium.yaml:{line}:1" in text(pilot.app).split("\n")[0], "the header says where")
        file.write_text(good)
        await until(pilot, lambda: "podium.yaml:" not in text(pilot.app), "and no more")

    drive(make_app(cockpit, screen=screen), script, size=(160, 40))


def test_overview_says_what_is_wrong_with_the_file(cockpit: SeededCockpit) -> None:
    file = cockpit.home / "podium.yaml"

    async def script(pilot: Pilot[Any]) -> None:
        file.write_text(file.read_text().rstrip("\n") + "\npipelnes: {}\n")
        await until(pilot, lambda: "podium.yaml  " in text(pilot.app) and "3 things" in text(pilot.app), "the need")

    drive(make_app(cockpit, screen="overview"), script, size=(160, 40))


def test_enter_on_a_need_that_has_no_screen_says_all_of_it(cockpit: SeededCockpit) -> None:
    file = cockpit.home / "podium.yaml"

    async def script(pilot: Pilot[Any]) -> None:
        file.write_text(file.read_text().rstrip("\n") + "\npipelnes: {}\n")
        await until(pilot, lambda: "podium.yaml  " in text(pilot.app), "the need")
        pilot.app.screen.query_one("#needs").focus()
        await pilot.press("g", "enter")
        await until(pilot, lambda: "stays in force; podium validate" in text(pilot.app), "the words and the command")

    drive(make_app(cockpit, screen="overview"), script, size=(80, 24))


def test_a_copy_is_told_on_screen(cockpit: SeededCockpit) -> None:
    assert cockpit.project.copy_of == ""
    other = cockpit.home.with_name("a-copy")
    shutil.copytree(cockpit.home, other)

    async def script(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "a copy of" in text(pilot.app).split("\n")[0], "the header")

    drive(make_app(SeededCockpit(other)), script, size=(160, 40))
