"""What every pane does with text that is too long, hostile, or far down, and with the terminal's size."""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from podium.tui.application import PodiumApp
from podium.tui.screens import MAIN
from podium.tui.widgets.footer import MAX_LINES, Footer
from podium.tui.widgets.pane import escaped
from podium.tui.widgets.table import Column, Table
from podium.tui.widgets.text_pane import TextPane, wrapped
from textual.content import Content
from textual.pilot import Pilot

from tests.domain.test_text import HOSTILE
from tests.tui.driving import drive, settled, text, until

LONG = "the difference is outside of its interval (95% interval -0.0188 to +0.0003, margin 0.01), so it is no better"


def panes(app: Any) -> tuple[TextPane, Table[Any]]:
    return app.podium_screen.query_one("#detail", TextPane), app.podium_screen.query_one("#versions", Table)


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_steers_the_terminal_wherever_it_is_drawn(app: Callable[..., PodiumApp], name: str) -> None:
    hostile = HOSTILE[name]

    async def script(pilot: Pilot[Any]) -> None:
        detail, table = panes(pilot.app)
        detail.set_lines([(("first ", ""), (hostile, "muted")), ((hostile, "bad"),)])
        detail.title(hostile, hostile)
        table.set_columns(
            [
                Column(hostile, lambda row: hostile, width=12),
                Column("x", lambda row: ((hostile, ""), (hostile, "bad")), width=9, both_ends=True),
            ]
        )
        pilot.app.podium_screen.query_one(Footer).say(hostile)
        await pilot.pause()
        drawn = text(pilot.app)
        detail.set_lines(())
        detail.set_notice((hostile, "muted"))
        await pilot.pause()
        for letter in (drawn + text(pilot.app)).replace("\n", ""):
            assert unicodedata.category(letter) not in ("Cc", "Cs", "Zl", "Zp"), hex(ord(letter))
            assert unicodedata.category(letter) != "Cf" or letter in "\u200c\u200d", hex(ord(letter))
        assert not any(unicodedata.category(each) in ("Cc", "Cs") for each in detail.copy_text().replace("\n", ""))

    drive(app(screen="models"), script, size=(80, 24))


def test_details_are_read_to_the_end_and_searched(app: Callable[..., PodiumApp]) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        detail, _ = panes(pilot.app)
        detail.set_lines([*(((f"line {number}", ""),) for number in range(60)), ((f"{LONG} END", ""),)])
        await pilot.press("tab", "G")
        await until(pilot, lambda: "END" in text(pilot.app), "the end of a long line, which is wrapped")
        await pilot.press("w")
        await until(pilot, lambda: "END" not in text(pilot.app), "long lines are cut")
        await pilot.press("right", "right", "right")
        await until(pilot, lambda: "END" in text(pilot.app), "scrolled to the right")
        await pilot.press("left", "left", "left", "g", "slash", *"line 4", "enter")
        await until(pilot, lambda: detail._hit == 4, "the first hit")
        await pilot.press("n")
        await until(pilot, lambda: detail._hit == 40 and "line 40" in text(pilot.app), "the next one is on screen")
        detail.set_lines([*(((f"line {number}.", ""),) for number in range(60)), ((f"{LONG} END", ""),)])
        await pilot.press("n")
        await until(pilot, lambda: detail._hit == 41, "it goes on although the lines have changed")
        detail.set_lines(detail.lines[:30])
        await pilot.press("n")
        await until(pilot, lambda: detail._hit == 4, "the line is gone: it begins anew")
        detail.set_lines([*(((f"line {number}", ""),) for number in range(60)), ((f"{LONG} END", ""),)])
        await pilot.press("N")
        await until(pilot, lambda: detail._hit == 49, "round the end")
        await pilot.press("y")
        await until(pilot, lambda: "copied 61 lines" in text(pilot.app), "copied")
        await pilot.press("f")
        await until(pilot, lambda: "/ searches here" in text(pilot.app), "what can be done instead")

    drive(app(screen="models"), script, size=(80, 24))


def test_a_wrapped_line_loses_nothing_and_keeps_its_words() -> None:
    parts = wrapped(((LONG[:30], "a"), (LONG[30:], "b")), 40)
    lines = ["".join(each for each, _ in part) for part in parts]
    assert all(len(line) <= 40 for line in lines)
    assert " ".join(line.strip() for line in lines) == LONG
    assert {role for part in parts for _, role in part} == {"", "a", "b"}
    assert "".join(each for part in wrapped((("x" * 100, ""),), 9) for each, _ in part).replace(" ", "") == "x" * 100


def test_the_footer_fits_after_the_terminal_became_narrower(app: Callable[..., PodiumApp]) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        assert "? help" in text(pilot.app) and "q back" in text(pilot.app)
        await pilot.resize_terminal(80, 24)
        await settled(pilot)
        await until(pilot, lambda: text(pilot.app).splitlines()[-1].endswith("q back"), "help and back are there")
        assert "? help" in text(pilot.app)

    drive(app(screen="overview"), script, size=(120, 40))


def test_a_message_that_is_longer_than_the_line_is_read_to_its_end(app: Callable[..., PodiumApp]) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        footer = pilot.app.podium_screen.query_one(Footer)  # type: ignore[attr-defined]
        footer.say(f"promote: {LONG} END")
        await pilot.pause()
        words = text(pilot.app)
        assert "promote: the difference" in words and "END" in words.splitlines()[-1]
        footer.say("word " * 200)
        await pilot.pause()
        assert footer.size.height == MAX_LINES and text(pilot.app).endswith("…")
        await pilot.press("j")
        await pilot.pause()
        assert footer.size.height == 1 and "help" in text(pilot.app).splitlines()[-1]

    drive(app(), script, size=(80, 24))


def test_names_of_screens_are_cut_only_where_there_is_no_room(app: Callable[..., PodiumApp]) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        assert "1 Overview  2 Runs  3 Models  4 Environments  5 Containers" in text(pilot.app).splitlines()[0]
        await pilot.resize_terminal(80, 24)
        await pilot.press("1")
        await settled(pilot)
        assert "1 Overview  2  3  4  5  6  7" in text(pilot.app).splitlines()[0]
        assert "PRODUCTION" in text(pilot.app).splitlines()[0]

    drive(app(screen="containers"), script, size=(140, 24))


@pytest.mark.parametrize("plain", [False, True])
def test_one_sees_that_the_pane_of_a_protected_environment_has_the_focus(
    app: Callable[..., PodiumApp], plain: bool
) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        pane = pilot.app.podium_screen.query_one("#status")
        assert pane.has_class("-protected") and not pane.has_focus
        before = (pane.styles.border_top, pane.styles.border_title_style)
        await pilot.press("tab")
        assert pane.has_focus
        after = (pane.styles.border_top, pane.styles.border_title_style)
        assert (before[0][0] != after[0][0] or plain) and before[1] != after[1]
        assert before[0][1] == after[0][1], "it is still red"

    drive(app(screen="environments", plain=plain), script)


def test_a_long_project_name_leaves_room_for_the_screens_names(cockpit: Any, app: Callable[..., PodiumApp]) -> None:
    config = cockpit.home / "podium.yaml"
    name = "a-project-with-a-very-long-name-that-goes-on-and-on-v2"
    config.write_text(config.read_text().replace("project: flight-delay", f"project: {name}", 1))

    async def script(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "on-v2" in text(pilot.app), "the name")
        head = text(pilot.app).splitlines()[0]
        assert "a-project" in head and "on-v2" in head and "Overview" in head and "Runs" in head

    drive(app(screen="overview"), script, size=(140, 40))


def test_why_nothing_is_read_is_cut_by_cells(app: Callable[..., PodiumApp], monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        monkeypatch.setattr(pilot.app, "stale", lambda: ("ログは読めません" * 6, None))
        pilot.app.podium_screen.update()
        await pilot.pause()
        assert "no data: ログは読" in text(pilot.app).splitlines()[0]

    drive(app(screen="overview"), script, size=(120, 40))


@pytest.mark.parametrize("name", [screen.name for screen in MAIN[1:]])
def test_a_screen_that_is_opened_as_the_cockpit_ends_ends_with_it(app: Callable[..., PodiumApp], name: str) -> None:
    """Textual gives a screen no panes any more once the app was told to end, but shows it and has keys for it."""
    application = app()

    async def script(pilot: Pilot[Any]) -> None:
        screen = application.go(name)
        application.exit(0)
        await until(pilot, lambda: screen.is_mounted, "it is opened all the same")
        screen.action_perform("down")

    drive(application, script)
    assert application.return_code == 0


def test_a_run_that_starts_as_the_cockpit_ends_opens_no_screen(
    app: Callable[..., PodiumApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Textual goes through the screens then, one by one, and a new one would end that with an error."""
    application = app()

    async def script(_pilot: Pilot[Any]) -> None:
        before = application.podium_screen
        with monkeypatch.context() as ending:
            ending.setattr(PodiumApp, "is_running", False)
            application.go_to_run(14)
            assert application.podium_screen is before

    drive(application, script)


def test_a_run_that_starts_while_something_is_typed_takes_no_key_of_it(app: Callable[..., PodiumApp]) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("f", "a")
        before = pilot.app.podium_screen
        pilot.app.podium_screen.show_started(pilot.app.cockpit.runs.list()[0])
        await pilot.press("X")
        assert pilot.app.podium_screen is before and pilot.app.focused.value == "aX"

    drive(app(screen="models"), script)


def test_whatever_is_asked_for_is_done_however_fast_it_is_asked(app: Callable[..., PodiumApp]) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        go, done = threading.Event(), []
        for number in range(4):
            pilot.app.podium_screen.carry_out("run release", lambda _cockpit, n=number: (go.wait(), done.append(n)))
        go.set()
        await until(pilot, lambda: len(done) == 4, "all of them")

    drive(app(), script)


def test_what_is_copied_steers_no_terminal_that_it_is_pasted_into(app: Callable[..., PodiumApp]) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        pilot.app.copy("a\tb\x1b[201~\n\x1b]0;owned\x07c")
        assert pilot.app._clipboard == "a\tb\nc"

    drive(app(), script)


@pytest.mark.parametrize("name", ["[$accent]x", "[red]x[/]", "\\[@click=app.quit]x", "a[", "[/]"])
def test_a_name_in_a_title_is_no_markup(name: str) -> None:
    found = Content.from_markup(escaped(name))
    assert found.plain == name and not found.spans
