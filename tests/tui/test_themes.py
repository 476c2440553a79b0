"""A person's own themes: colours by role over one of ours, with every mistake at its line, and a word on what can hardly
be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from podium.core.errors import ConfigError, UsageError
from podium.tui.app import check_choices
from podium.tui.personal.themes import OwnThemes, load, parse
from podium.tui.themes.colours import COLOURS, contrasts
from podium.tui.themes.theme import Themes, theme_name
from textual.pilot import Pilot

from tests.tui.driving import drive, make_app, settled, text, until
from tests.tui.seed import SeededCockpit, seed

DUSK = """
use: dusk
dusk:
  base: light
  background: '#F0E8D8'
  accent: "#00f"
"""


@pytest.fixture
def cockpit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SeededCockpit:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return seed(tmp_path / "flight-delay")


def test_colours_lie_over_those_of_the_base() -> None:
    found = parse(DUSK)
    [dusk] = found.themes
    assert (found.use, dusk.name, dusk.base) == ("dusk", "dusk", "light")
    assert (dusk.colours.background, dusk.colours.accent) == ("#f0e8d8", "#0000ff")
    assert dusk.colours.text == COLOURS["light"].text and dusk.warnings == ()
    assert found.names == ("dark", "light", "contrast", "dusk")
    assert parse("") == OwnThemes() and parse("plain: {}\n").themes[0].colours == COLOURS["dark"]


def test_every_mistake_is_named_with_its_line() -> None:
    with pytest.raises(ConfigError) as error:
        parse(
            "use: dsk\n"
            "dusk:\n"
            "  base: brown\n"
            "  acent: '#ffffff'\n"
            "  text: #ffffff\n"
            "  muted: red\n"
            "  faint: '#12345'\n"
            "  ok: ['#fff']\n"
            "  run: '#111111'\n"
            "  run: '#222222'\n"
            "dusk: {}\n"
            "dark: {text: '#fff'}\n"
            "no name!: {}\n"
            "other: blue\n",
            "themes.yaml",
        )
    said = [(each.line, f"{each.message} {each.hint}") for each in error.value.problems]
    for line, words in (
        (1, "there is no theme 'dsk' did you mean dusk?"),
        (3, "there is no base 'brown'"),
        (4, "has no colour 'acent' did you mean accent?"),
        (5, "text has no value in quotes, '#rrggbb' or '#rgb'"),
        (6, "muted: 'red' is no colour"),
        (7, "faint: '#12345' is no colour"),
        (8, "is no colour"),
        (10, "run is given twice"),
        (11, "is given twice"),
        (12, "is one of Podium's own"),
        (13, "is no name of a theme"),
        (14, "must be a mapping of roles to colours"),
    ):
        assert any(each[0] == line and words in each[1] for each in said), (line, words, said)
    assert len(said) == 12
    assert str(error.value).count("themes.yaml:1")
    with pytest.raises(ConfigError, match="must be a mapping of names to themes"):
        parse("- dusk\n")


def test_what_can_hardly_be_read_is_said_and_no_error() -> None:
    [dim] = parse("dim:\n  base: dark\n  text: '#555555'\n").themes
    assert "text on background has a contrast of 2.5, under 4.5 (themes.yaml:3)" in dim.warnings
    assert all(each.startswith("text on ") for each in dim.warnings) and len(dim.warnings) == 6
    [lit] = parse("lit: {base: dark, surface: '#777777'}\n").themes
    assert any(each.startswith("bad on surface") for each in lit.warnings)
    assert not any("background" in each for each in lit.warnings), "what the person did not choose"
    assert not any(each.startswith("faint") for each in lit.warnings), "frames may be faint"


def test_what_is_warned_of_is_in_no_theme_of_ours() -> None:
    for name, colours in COLOURS.items():
        found = {pair: each for pair, each in contrasts(colours).items() if pair[1] == "surface" and pair[0] != "faint"}
        assert min(found.values()) >= 4.5, (name, found)


def test_the_option_and_the_file_choose_it(cockpit: SeededCockpit, tmp_path: Path) -> None:
    file = tmp_path / "config" / "podium" / "themes.yaml"
    assert load() == OwnThemes()
    with pytest.raises(UsageError, match="there is no theme 'dusk'"):
        check_choices(screen=None, theme="dusk")
    file.parent.mkdir(parents=True)
    file.write_text(DUSK)
    assert check_choices(screen=None, theme="dusk").use == "dusk"
    file.write_text("dusk: {text: red}\n")
    with pytest.raises(ConfigError) as error:
        check_choices(screen=None, theme=None)
    assert f"{file}:1" in str(error.value)


def test_the_screen_has_its_colours_and_the_palette_goes_on_to_it(cockpit: SeededCockpit) -> None:
    own = parse(DUSK)
    app = make_app(cockpit, theme="contrast", themes=own.themes, interval=0)

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press(*":theme", "enter")
        await until(pilot, lambda: app.theme == theme_name("dusk"), "after ours")
        await settled(pilot)
        assert app.current_theme.background == "#f0e8d8" and app.current_theme.dark is False
        style = app.podium_screen.pane.palette["accent"]
        assert style.color is not None and style.color.name == "#0000ff"
        await pilot.press(*":theme", "enter")
        await until(pilot, lambda: app.theme == theme_name("dark"), "and round again")

    drive(app, script)


def test_the_footer_says_that_it_can_hardly_be_read(cockpit: SeededCockpit) -> None:
    own = parse("dim:\n  base: dark\n  text: '#555555'\n")
    app = make_app(cockpit, theme="dim", themes=own.themes, interval=0)

    async def script(pilot: Pilot[Any]) -> None:
        words = "theme dim: text on background has a contrast of 2.5, under 4.5 (themes.yaml:3) (and 5 more)"
        await until(pilot, lambda: words in text(app), words)

    drive(app, script)


def test_with_few_colours_states_have_those_of_its_base() -> None:
    themes = Themes(parse("dusk: {base: light, ok: '#123456', text: '#000001'}\n").themes)
    few, many = (themes.palette(theme_name("dusk"), each) for each in (True, False))
    assert few["ok"] == Themes().palette(theme_name("light"), few=True)["ok"] != many["ok"]
    assert few["text"] == many["text"]
