"""The tour goes everywhere, and what it draws is a picture that asks nobody and names nobody."""

from __future__ import annotations

import os
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from podium.tui.screens import SCREENS

from .__main__ import PLACE, SIZES, page, picture
from .stops import STOPS, Stop
from .svg import HEIGHT, WIDTH

_FOLDER = PLACE / "tour"
_BY_NAME = {stop.name: stop for stop in STOPS}
_MOST_BYTES = 3_000_000


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def test_it_knows_every_screen() -> None:
    shown = {stop.screen for stop in STOPS}
    assert shown == {screen.name for screen in SCREENS}, "a screen without a stop in tests/tour/stops.py"
    assert {screen.name for screen in SCREENS} <= {stop.screen for stop in STOPS if stop.shows}


def test_every_picture_is_there_and_no_other() -> None:
    wanted = {f"{stop.name}-{size}.svg" for stop in STOPS for size in SIZES}
    assert {file.name for file in _FOLDER.iterdir()} == wanted, "`make tour` draws them"
    assert (PLACE / "tour.md").read_text() == page()
    assert sum(file.stat().st_size for file in _FOLDER.iterdir()) < _MOST_BYTES


def test_no_picture_names_a_person_or_a_place_of_this_machine_or_asks_anybody() -> None:
    for file in _FOLDER.iterdir():
        text = file.read_text()
        assert not re.search(r"/home/|/root|/Users/|/work/|/tmp/(?!podium-tour)", text), file.name
        assert "url(" not in text and "href" not in text, file.name
        assert text.count("http") == text.count('xmlns="http') + len(re.findall(r">[^<]*http", text)), file.name


@pytest.mark.parametrize("name", ["overview", "plan"])
def test_a_picture_shows_what_it_is_of(name: str, tmp_path: Path) -> None:
    stop: Stop = _BY_NAME[name]
    drawn = ElementTree.fromstring(picture(stop, SIZES["80x24"], tmp_path / "flight-delay"))
    assert drawn.get("viewBox") == f"0 0 {80 * WIDTH} {24 * HEIGHT}"
    space = "{http://www.w3.org/2000/svg}"
    said = " ".join(each.text or "" for each in drawn.iter(f"{space}text"))
    assert stop.shows in said and str(tmp_path) not in said and os.environ["HOME"] not in said
    for each in drawn.iter(f"{space}text"):
        assert int(each.get("x", "")) + int(each.get("textLength", "")) <= 80 * WIDTH, each.text
