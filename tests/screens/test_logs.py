"""What a log can do: search, filter, a line cursor, copying, saving, times."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from podium.core.cockpit import LogLine
from podium.core.engine.paths import step_log
from podium.core.logs.writer import StepLog
from podium.tui.application import PodiumApp
from podium.tui.widgets.line_dialog import lines_of
from podium.tui.widgets.log_text import opened
from podium.tui.widgets.log_view import LogView
from podium.tui.widgets.logs.match import Chooser, Match, Wanted, level_of
from podium.tui.widgets.logs.moments import moment_of
from textual.pilot import Pilot

from tests.tui.driving import drive, make_app, settled, text, until
from tests.tui.seed import NOW, SeededCockpit

LINES = [
    ("o", "starting"),
    *(("o", f"round {number} loss 0.{number:03}") for number in range(1, 101)),
    ("e", "WARNING: rate is low"),
    ("o", '{"level": "info", "message": "checkpoint", "at": {"round": 7}, "files": ["a", "b"]}'),
    ("e", "Traceback (most recent call last):"),
    ("e", "ValueError: loss is nan"),
    ("o", "the end"),
]


@pytest.fixture
def logged(cockpit: SeededCockpit) -> SeededCockpit:
    """The newest run's step that the cursor is on has written LINES, one a second."""
    run = next(each for each in cockpit.runs.list() if str(each.state) == "running")
    for step in cockpit.journal.steps.of(run.id):
        path = step_log(cockpit.home / ".podium", run.id, step.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            for number, (stream, line) in enumerate(LINES):
                minute, second = divmod(number, 60)
                file.write(f"2025-11-23T10:{minute:02}:{second:02}.000Z {stream} {line}\n")
    return cockpit


def log_of(pilot: Pilot[Any]) -> LogView:
    return pilot.app.podium_screen.query_one("#log", LogView)


def at_log(script: Callable[[Pilot[Any]], Any]) -> Callable[[Pilot[Any]], Any]:
    async def run(pilot: Pilot[Any]) -> None:
        await pilot.press("l")
        await until(pilot, lambda: "the end" in text(pilot.app), "the log")
        await settled(pilot)
        await script(pilot)

    return run


def test_a_search_says_which_of_how_many_and_marks_them_on_the_scroll_bar(logged: SeededCockpit) -> None:
    @at_log
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("g", "slash", *"round 9", "enter")
        await until(pilot, lambda: "hit 1 of 11" in text(pilot.app), "which hit")
        assert "│▌" not in text(pilot.app) and "▌" in text(pilot.app), "marks on the bar"
        await pilot.press("n")
        await until(pilot, lambda: "hit 2 of 11" in text(pilot.app), "the next one")
        await pilot.press("N", "N")
        await until(pilot, lambda: "hit 11 of 11" in text(pilot.app), "round the end")
        assert "round 89" in text(pilot.app), "the lines around it stay"

    drive(make_app(logged, screen="runs"), script)


def test_a_regular_expression_is_searched_for_on_a_key(logged: SeededCockpit) -> None:
    for path in logged.home.rglob("*.log"):
        with path.open("a") as file:
            file.write(f"2025-11-23T10:02:00.000Z o {'o' * 60}!\n")

    @at_log
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("g", "tilde", "slash", *"round [12]0 ", "enter")
        await until(pilot, lambda: "search: /round [12]0 /  hit 1 of 2" in text(pilot.app), "both")
        await pilot.press("slash", *"(", "enter")
        await until(pilot, lambda: "is not a regular expression" in text(pilot.app), "why not")
        await pilot.press("tilde", "slash", *"(most", "enter")
        await until(pilot, lambda: "hit 1 of 1" in text(pilot.app), "as it stands")
        # One that tries every way to read a line holds no key up, and escape ends it.
        await pilot.press("tilde", "slash", *"(o+)+x", "enter", "w")
        await until(pilot, lambda: "long lines are wrapped" in text(pilot.app), "the next key")
        await pilot.press("escape")
        await until(pilot, lambda: not pilot.app.pool.busy("log-search"), "its end")
        await until(pilot, lambda: not pilot.app.pool.busy("log-marks"), "nothing is marked")
        assert "o" * 60 in text(pilot.app)

    drive(make_app(logged, screen="runs"), script)


def test_only_warnings_and_errors_with_the_lines_around_them(logged: SeededCockpit) -> None:
    @at_log
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("exclamation_mark")
        await until(pilot, lambda: "filter: warnings and errors" in text(pilot.app), "what is shown")
        await until(pilot, lambda: log_of(pilot)._total == 3, "warning, traceback, error")
        await pilot.press("exclamation_mark")
        await until(pilot, lambda: "WARNING: rate" not in text(pilot.app) and log_of(pilot)._total == 2, "errors")
        await pilot.press("equals_sign")
        await until(pilot, lambda: "with 1 lines around" in text(pilot.app) and "the end" in text(pilot.app), "more")
        assert "checkpoint" in text(pilot.app) and log_of(pilot)._total == 4, "each line once"
        await pilot.press("minus", "exclamation_mark")
        await until(pilot, lambda: "filter" not in str(log_of(pilot).border_subtitle), "all again")

    drive(make_app(logged, screen="runs"), script)


def test_one_stream_alone(logged: SeededCockpit) -> None:
    @at_log
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("vertical_line")
        await until(pilot, lambda: log_of(pilot)._total == 3 and "standard error" in text(pilot.app), "its lines")
        await pilot.press("f", *"nan", "enter")
        await until(pilot, lambda: log_of(pilot)._total == 1, "both conditions")
        await pilot.press("escape")
        await until(pilot, lambda: log_of(pilot)._total == len(LINES), "all again")

    drive(make_app(logged, screen="runs"), script)


def test_one_line_or_a_range_is_copied(logged: SeededCockpit) -> None:
    @at_log
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("slash", *"ValueError", "enter")
        await until(pilot, lambda: "hit 1 of 1" in text(pilot.app), "the error")
        await pilot.press("y")
        await until(pilot, lambda: pilot.app._clipboard == "ValueError: loss is nan", "that line alone")
        await pilot.press("v", "v", "k", "k")
        await until(pilot, lambda: "3 selected" in text(pilot.app), "a selection")
        await pilot.press("y")
        await until(pilot, lambda: pilot.app._clipboard.count("\n") == 2, "three lines")
        assert pilot.app._clipboard.startswith("INFO") and "Traceback" in pilot.app._clipboard
        await pilot.press("escape")
        await until(pilot, lambda: "selected" not in text(pilot.app), "no selection")
        assert "search: ValueError" in text(pilot.app), "the search stays"

    drive(make_app(logged, screen="runs"), script)


def test_a_selection_beyond_what_is_at_hand_is_read_for_copying(logged: SeededCockpit) -> None:
    run = next(each for each in logged.runs.list() if str(each.state) == "running")
    for step in logged.journal.steps.of(run.id):
        with step_log(logged.home / ".podium", run.id, step.name).open("a") as file:
            file.writelines(f"2025-11-23T11:00:00.000Z o more {number}\n" for number in range(3000))
            file.write("2025-11-23T11:00:00.000Z o the end\n")

    @at_log
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("v", "v", "g", "y")
        await until(pilot, lambda: pilot.app._clipboard.startswith("starting\n"), "all of it")
        assert pilot.app._clipboard.endswith("more 2999\nthe end")

    drive(make_app(logged, screen="runs"), script)


def test_the_mouse_selects_lines(logged: SeededCockpit) -> None:
    @at_log
    async def script(pilot: Pilot[Any]) -> None:
        view = log_of(pilot)
        height = view.size.height
        await pilot.mouse_down(view, offset=(10, height - 2))
        await pilot.hover(view, offset=(10, height))
        await pilot.mouse_up(view, offset=(10, height))
        first = view._drawn_rows[height - 3]
        view.cursor.drag(first, first + 2)
        await pilot.press("y")
        await until(pilot, lambda: pilot.app._clipboard.endswith("the end"), "what was dragged over")

    drive(make_app(logged, screen="runs"), script)


def test_a_json_line_is_opened_field_by_field(logged: SeededCockpit) -> None:
    @at_log
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("slash", *"checkpoint", "enter")
        await until(pilot, lambda: "hit 1 of 1" in text(pilot.app), "the line")
        await pilot.press("enter")
        await until(pilot, lambda: "at.round" in text(pilot.app) and "Line 103" in text(pilot.app), "its fields")
        assert '["a", "b"]' in text(pilot.app) and "standard output" in text(pilot.app)
        await pilot.press("y", "escape")
        await until(pilot, lambda: "Line 103" not in text(pilot.app), "closed")
        assert pilot.app._clipboard.startswith('{"level"'), "as it was written"

    drive(make_app(logged, screen="runs"), script)


def test_a_log_a_filter_and_a_selection_are_saved_to_new_files(logged: SeededCockpit) -> None:
    async def save(pilot: Pilot[Any], name: str) -> str:
        await pilot.press("e", "ctrl+a", "ctrl+k", *name, "enter")
        await until(pilot, lambda: f"{name}" in text(pilot.app) and "written to" in text(pilot.app), "where it is")
        return (logged.home / name).read_text()

    @at_log
    async def script(pilot: Pilot[Any]) -> None:
        assert await save(pilot, "all.log") == "".join(f"{line}\n" for _, line in LINES)
        await pilot.press("e", "ctrl+a", "ctrl+k", *"all.log", "enter")
        await until(pilot, lambda: "exists already" in text(pilot.app), "it is not written over")
        await pilot.press("exclamation_mark")
        await until(pilot, lambda: log_of(pilot)._total == 3, "the filter")
        assert (await save(pilot, "bad.log")).splitlines()[0] == "WARNING: rate is low"
        await pilot.press("escape")
        await until(pilot, lambda: log_of(pilot)._total == len(LINES), "all again")
        await pilot.press("v", "v", "k")
        assert await save(pilot, "two.log") == "ValueError: loss is nan\nthe end\n"

    drive(make_app(logged, screen="runs"), script)


def test_a_time_is_gone_to(logged: SeededCockpit) -> None:
    @at_log
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("at", "ctrl+a", "ctrl+k", *"2025-11-23 10:00:30", "enter")
        await until(pilot, lambda: "from line 31," in text(pilot.app), "the line of that second")
        await pilot.press("at", "ctrl+a", "ctrl+k", *"tomorrow", "enter")
        await until(pilot, lambda: "say it as 5m (ago)" in text(pilot.app), "how to say it")

    drive(make_app(logged, screen="runs"), script)


def test_who_leaves_the_end_is_told_how_far_behind_it_is(logged: SeededCockpit) -> None:
    @at_log
    async def script(pilot: Pilot[Any]) -> None:
        assert "following" in str(log_of(pilot).border_subtitle)
        await pilot.press("g")
        await until(pilot, lambda: "behind the end (G)" in str(log_of(pilot).border_subtitle), "how far")
        behind = len(LINES) - log_of(pilot).size.height
        assert f"from line 1, {behind} behind" in str(log_of(pilot).border_subtitle)
        await pilot.press("G")
        await until(pilot, lambda: "following" in str(log_of(pilot).border_subtitle), "at the end again")

    drive(make_app(logged, screen="runs"), script)


def test_wrapping_keeps_words_and_numbers_whole() -> None:
    from podium.tui.widgets.log_draw import wrapped
    from rich.segment import Segment

    line = "the metric is 0.6353 of the version that was trained last"
    parts = ["".join(each.text for each in part) for part in wrapped(([], [Segment(line)]), 18)]
    assert "".join(parts) == line and all(len(part) <= 18 for part in parts)
    assert any("0.6353" in part for part in parts)
    assert all(part.endswith(" ") for part in parts[:-1])
    long = ["".join(each.text for each in part) for part in wrapped(([], [Segment("x" * 45)]), 18)]
    assert [len(part) for part in long] == [18, 18, 9]
    wide = ["".join(each.text for each in part) for part in wrapped(([], [Segment("世界" * 10)]), 15)]
    assert "".join(wide) == "世界" * 10 and all(len(part) <= 7 for part in wide)


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("ERROR disk is full", 2),
        ("2025 [error] x", 2),
        ('{"level": "warning", "message": "x"}', 1),
        ("UserWarning: 1,204 rows", 1),
        ("KeyError: 'x'", 2),
        ("Traceback (most recent call last):", 2),
        ("0 errors", 0),
        ("terror and warned", 0),
        ("all is well", 0),
    ],
)
def test_the_level_of_a_line(line: str, level: int) -> None:
    assert level_of(line) == level


BIG, SMALL = (LogLine(0, None, "o", text) for text in ("aBc", "abc"))


def test_a_capital_makes_a_search_case_sensitive_a_class_of_a_pattern_does_not() -> None:
    assert Match("error").ignore_case and not Match("Error").ignore_case
    assert Match(r"\Serror", regex=True).ignore_case and not Match("Error", regex=True).ignore_case
    assert Chooser(Wanted(Match("b"))).places([BIG]) and not Chooser(Wanted(Match("B"))).places([SMALL])


def test_moments() -> None:
    assert moment_of("5m", NOW) == NOW - 300 and moment_of("2h ago", NOW) == NOW - 7200
    assert moment_of("10:05", NOW) == NOW - 300 and moment_of("10:15", NOW) == NOW + 300 - 86_400
    assert moment_of("2025-11-22", NOW) == NOW - 86_400 - 36_600
    for wrong in ("", "soon", "25:00", "2025-13-01", "10:61", "2025-02-29", "2025-11-31", "2025-11-00"):
        assert moment_of(wrong, NOW) is None, wrong


@pytest.mark.timeout(60)
def test_a_long_line_is_opened_at_once() -> None:
    assert opened("a" * 65_536) == [("", "a" * 65_536)]
    assert opened('a=1 b.c=2 d-e="3 4"') == [("a", "1"), ("b.c", "2"), ("d-e", "3 4")]
    fields = json.dumps({"k" * 30_000: 1} | {str(number): number for number in range(3_000)})
    assert sum(len(text) for line in lines_of(LogLine(0, None, "o", fields)) for text, _ in line) < 300_000


def test_a_clock_time_is_that_of_the_day_before_where_the_clock_is_changed_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        now = time.mktime((2026, 3, 29, 10, 0, 0, 0, 0, -1))  # eight hours after the hour that is left out
        at = moment_of("14:05", now)
        assert at is not None and time.localtime(at)[:5] == (2026, 3, 28, 14, 5)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_same_keys_on_a_merged_log(docked: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("m", "l")
        await until(pilot, lambda: "960 lines" in text(pilot.app), "all of them")
        await pilot.press("v", "v", "k", "y")
        await until(pilot, lambda: pilot.app._clipboard.count("\n") == 1, "two lines")
        await pilot.press("escape", "exclamation_mark")
        await until(pilot, lambda: "filter: warnings and errors" in text(pilot.app), "the filter")

    app: PodiumApp = make_app(docked, screen="containers")
    drive(app, script)


def test_a_bar_is_one_line_by_which_one_moves_in_one_step(cockpit: SeededCockpit) -> None:
    run = next(each for each in cockpit.runs.list() if str(each.state) == "running")
    for step in cockpit.journal.steps.of(run.id):
        path = step_log(cockpit.home / ".podium", run.id, step.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with StepLog(path) as log:
            for number in range(40):
                log.feed("o", f"before {number}\n".encode())
            for number in range(60):
                log.feed("e", f"\rbar {number}/60".encode())
                log.flush()
            log.feed("e", b"\rbar 60/60\nthe end\n")

    async def script(pilot: Pilot[Any]) -> None:
        view = log_of(pilot)
        seen = text(pilot.app)
        assert "bar 60/60" in seen and "bar 59/60" not in seen and "before 39" in seen and "before 38" in seen
        assert view.follow and view.copy_text().splitlines()[-2:] == ["bar 60/60", "the end"]
        top = view.copy_text().splitlines()[0]
        view.move("up")
        await settled(pilot)
        assert view.copy_text().splitlines()[1] == top and "the end" not in view.copy_text() and not view.follow
        view.move("bottom")
        view.toggle_select()
        view.move("up")
        assert view.copy_text() == "bar 60/60"
        view.move("up")
        assert view.copy_text() == "before 39"
        view.clear()
        view.search("bar 7/60")
        await until(pilot, lambda: "bar 7/60" in text(pilot.app), "what was found is shown, written over or not")
        await until(pilot, lambda: "hit 1 of 1" in text(pilot.app), "and counted")
        view.search("bar")
        await until(pilot, lambda: "hit 1 of 1" in text(pilot.app) and "bar 60/60" in text(pilot.app), "one bar")
        view.search("r")  # 103 lines before the bar, and one of it
        await until(pilot, lambda: "of 104" in text(pilot.app), "lines that are seen")
        view.move("top")
        view.search("r")
        await until(pilot, lambda: "hit 1 of 104" in text(pilot.app), "from the top")
        view.search_step(-1)
        await until(
            pilot, lambda: "hit 104 of 104" in text(pilot.app) and "bar 60/60" in text(pilot.app), "round the end"
        )
        view.search_step(1)
        await until(pilot, lambda: "hit 1 of 104" in text(pilot.app), "and on")

    drive(make_app(cockpit, screen="runs"), at_log(script))
