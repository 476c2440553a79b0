from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from podium.core.domain.runs import PIPELINE, Step, StepState, Trigger
from podium.core.errors import NotFound
from podium.core.journal import Journal
from podium.tui.application import PodiumApp
from podium.tui.widgets.log_view import LogView
from textual.pilot import Pilot
from textual.screen import ModalScreen

from tests.tui.driving import drive, make_app, settled, text, until
from tests.tui.seed import NOW, SeededCockpit, seed, write_log

App = Callable[..., PodiumApp]


def test_the_graph_opens_on_what_matters_and_the_log_follows_its_cursor(app: App) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        shown = text(pilot.app)
        assert "4 of 11 done" in shown
        assert "Log of train[depth=8,rate=0.05]" in shown, "the running step is under the graph's cursor"
        assert "roc_auc=0.7387" in shown, "a JSON line is readable"
        await pilot.press("tab", "g")
        await until(pilot, lambda: "19 passed" in text(pilot.app), "the log of the first step")
        assert "\x1b" not in text(pilot.app)

    drive(app(screen="runs"), script)


def test_the_failed_step_and_its_reason(app: App) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("j", "j", "j", "j")
        await settled(pilot)
        await until(pilot, lambda: "quality: comparing v4" in text(pilot.app), "the log of the failed gate")
        assert "skipped" in text(pilot.app)

    drive(app(screen="runs"), script)


def test_back_goes_through_the_panes(app: App) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        screen = pilot.app.podium_screen
        await pilot.press("l")
        await until(pilot, lambda: screen.pane.id == "log", "l goes to the log")
        await pilot.press("q")
        assert screen.pane.id == "graph"
        await pilot.press("q")
        assert screen.pane.id == "list"
        await pilot.press("q")
        await until(pilot, lambda: pilot.app.podium_screen.title_id == "overview", "Overview")

    drive(app(screen="runs"), script)


def test_search_in_a_log_keeps_the_lines_around_it(app: App) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        log = pilot.app.screen.query_one(LogView)
        await pilot.press("l", "slash", *"round   7", "enter")
        await until(pilot, lambda: "round   7 " in text(pilot.app), "the hit")
        assert "round   6" in text(pilot.app) and "round   9" in text(pilot.app)
        assert not log.follow
        await pilot.press("slash", *"checkpoint", "enter")
        await until(pilot, lambda: log._hit is not None and log._hit == 22, "the first checkpoint")
        await pilot.press("n")
        await until(pilot, lambda: log._hit == 42, "the next")
        await pilot.press("N")
        await until(pilot, lambda: log._hit == 22, "and back")
        await pilot.press("slash", *"nowhere", "enter")
        await until(pilot, lambda: "no line has 'nowhere'" in text(pilot.app), "nothing found is said")
        await pilot.press("escape", "G")
        await until(pilot, lambda: log.follow, "G follows again")

    drive(app(screen="runs"), script)


def test_filter_of_a_log_shows_only_what_matches_and_escape_shows_all(app: App) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("l", "f", *"warning", "enter")
        await until(
            pilot, lambda: "without weather" in text(pilot.app) and "round  59" not in text(pilot.app), "the one line"
        )
        assert "filter: warning" in text(pilot.app)
        await pilot.press("escape")
        await until(pilot, lambda: "round  59" in text(pilot.app), "everything again")

    drive(app(screen="runs"), script)


def test_a_growing_log_is_followed_and_scrolling_up_stops_it(cockpit: SeededCockpit) -> None:
    path = cockpit.runs.log(14, "train[depth=8,rate=0.05]")

    async def script(pilot: Pilot[Any]) -> None:
        log = pilot.app.screen.query_one(LogView)
        with path.open("a") as file:
            file.write("2025-11-23T10:10:00.000Z o line that came later\n")
        await until(pilot, lambda: "line that came later" in text(pilot.app), "the new line", timeout=2)
        await pilot.press("l", "k", "k")
        assert not log.follow
        with path.open("a") as file:
            file.write("2025-11-23T10:10:01.000Z o and one more\n" * 30)
        await until(pilot, lambda: log.window.total > 90, "it was read")
        assert "and one more" not in text(pilot.app), "what one reads does not run away"
        await pilot.press("G")
        await until(pilot, lambda: "and one more" in text(pilot.app), "followed again")

    drive(make_app(cockpit, screen="runs"), script)


def test_wrap_and_timestamps(cockpit: SeededCockpit) -> None:
    path = cockpit.runs.log(14, "train[depth=8,rate=0.05]")
    with path.open("a") as file:
        file.write("2025-11-23T10:10:00.250Z o " + "abcdefghij" * 40 + "END\n")

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("l")
        await pilot.pause()
        assert "jEND" not in text(pilot.app)
        await pilot.press("w")
        await until(pilot, lambda: "END" in text(pilot.app), "the end of the long line")
        await pilot.press("w", "t")
        await until(pilot, lambda: "10:10:00.250" in text(pilot.app), "the time of a line")

    drive(make_app(cockpit, screen="runs"), script)


def test_escapes_in_a_log_cannot_steer_the_terminal(cockpit: SeededCockpit) -> None:
    path = cockpit.runs.log(14, "train[depth=8,rate=0.05]")
    with path.open("a") as file:
        file.write("2025-11-23T10:10:00.000Z o \x1b]52;c;aGFja2Vk\x07\x1b[2J\x1b[31mred\x1b[0m plain\x9b1m\n")
        file.write("2025-11-23T10:10:00.000Z o [link=x]markup[/link]\n")

    async def script(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "red plain" in text(pilot.app), "the words")
        assert "\x1b" not in text(pilot.app) and "aGFja2Vk" not in text(pilot.app)
        assert "[link=x]markup[/link]" in text(pilot.app)

    drive(make_app(cockpit, screen="runs"), script)


def test_copy_takes_the_lines_on_screen(app: App) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("l", "y")
        await pilot.pause()
        assert "round  59" in pilot.app.clipboard
        assert "copied" in text(pilot.app)

    drive(app(screen="runs"), script)


def test_list_filter_and_search(app: App) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        screen = pilot.app.podium_screen
        await pilot.press("f", *"promote")
        await until(pilot, lambda: screen.table.shown == 1, "one run is left while typing")
        await pilot.press("enter")
        assert screen.run.id == 9
        await pilot.press("escape")
        assert screen.table.shown == 14
        await pilot.press("g", "slash", *"cancelled", "enter")
        assert screen.run.id == 11, "search moves, and hides nothing"
        assert screen.table.shown == 14

    drive(app(screen="runs"), script)


def test_cancel_asks_first_and_enter_alone_changes_nothing(cockpit: SeededCockpit) -> None:
    called: list[tuple[int, str]] = []
    cockpit.runs.cancel = lambda run_id, *, why="": called.append((run_id, why))  # type: ignore[method-assign]

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("X")
        await until(pilot, lambda: "Cancel run 14" in text(pilot.app), "the question")
        await pilot.press("enter")
        await until(pilot, lambda: "Cancel run 14" not in text(pilot.app), "left by the safe answer")
        assert not called
        await pilot.press("X")
        await until(pilot, lambda: "Cancel run 14" in text(pilot.app), "again")
        await pilot.press("right", "enter")
        await until(pilot, lambda: called == [(14, "")], "told to stop")

    drive(make_app(cockpit, screen="runs"), script)


def test_what_cannot_be_done_says_why(app: App) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("A")
        assert "run 14 is not waiting for approval" in text(pilot.app)
        await pilot.press("U")
        assert "run 14 is running" in text(pilot.app)
        await pilot.press("c")
        assert "mark two runs or more with space first" in text(pilot.app)

    drive(app(screen="runs"), script)


def test_approve_names_the_waiting_step(cockpit: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("j")
        await settled(pilot)
        await pilot.press("A")
        await until(
            pilot, lambda: "Approve step production of run 13" in text(pilot.app), "the question names the step"
        )
        assert "traffic of production" in text(pilot.app), "and what it changes"
        await pilot.press("shift+tab", "shift+tab", *"looks good", "tab", *"production", "tab", "tab", "enter")
        await until(pilot, lambda: cockpit.continued, "approved")
        plan, why = cockpit.continued[0]
        assert (plan.target, plan.arguments["step"], why) == ("13", "production", "looks good")

    drive(make_app(cockpit, screen="runs"), script)


def test_read_only_refuses_every_change_and_says_so(cockpit: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        assert "read-only" in text(pilot.app)
        for key in "XRUA":
            await pilot.press(key)
            assert "--read-only" in text(pilot.app), key
            assert len(pilot.app.screen_stack) == 1

    drive(make_app(cockpit, screen="runs", read_only=True), script)


def test_ten_thousand_runs_are_read_in_pages(tmp_path: Any) -> None:
    cockpit = seed(tmp_path / "many", runs=700)

    async def script(pilot: Pilot[Any]) -> None:
        screen = pilot.app.podium_screen
        assert "newest 200 of 700" in text(pilot.app)
        await pilot.press("G")
        await until(pilot, lambda: len(screen.table.rows) == 400, "the next page")
        await pilot.press("G")
        await until(pilot, lambda: len(screen.table.rows) == 700, "all")

    drive(make_app(cockpit, screen="runs"), script)


def test_a_step_that_finishes_is_shown_at_once(cockpit: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        with Journal.open(cockpit.home / ".podium" / "journal.db") as journal:
            journal.steps.update(
                14, "train[depth=8,rate=0.1]", state=StepState.FAILED, ended=NOW, message="out of memory"
            )
        await until(
            pilot,
            lambda: "5 of 11 done" in text(pilot.app) and "✗ train[depth=8,rate=0.1]" in text(pilot.app),
            "the change",
            timeout=2,
        )

    drive(make_app(cockpit, screen="runs"), script)


def test_a_step_without_a_log_says_why_it_has_none(app: App) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("tab", "G")
        await until(pilot, lambda: "production has not started; it needs smoke" in text(pilot.app), "why")

    drive(app(screen="runs"), script)


def test_zoom_gives_the_log_the_whole_screen(app: App) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("l", "plus")
        await pilot.pause()
        log = pilot.app.screen.query_one(LogView)
        assert log.region.width == 120 and log.region.height >= 36
        await pilot.press("escape")
        await pilot.pause()
        assert log.region.width < 120

    drive(app(screen="runs"), script)


def test_long_log_jumps_and_stays_small(cockpit: SeededCockpit) -> None:
    path = write_log(
        cockpit.home / ".podium", 14, "train[depth=8,rate=0.05]", NOW - 60, StepState.RUNNING, rounds=50_000
    )
    assert path.stat().st_size > 2_000_000

    async def script(pilot: Pilot[Any]) -> None:
        log = pilot.app.screen.query_one(LogView)
        await until(pilot, lambda: log.window is not None and log.window.total > 50_000, "indexed")
        await pilot.press("l", "g")
        await until(pilot, lambda: "step train[depth=8,rate=0.05], run 14" in text(pilot.app), "the first line")
        for _ in range(30):
            await pilot.press("ctrl+d")
        await until(pilot, lambda: log.window.row(log._top + 5) is not None, "lines where it was scrolled to")
        assert len(log.window.lines) < 1000

    drive(make_app(cockpit, screen="runs"), script)


def test_the_graph_stays_with_what_goes_on_until_it_is_moved(cockpit: SeededCockpit) -> None:
    def finish(name: str) -> None:
        with Journal.open(cockpit.home / ".podium" / "journal.db") as journal:
            journal.steps.update(14, name, state=StepState.SUCCEEDED, ended=NOW)

    async def script(pilot: Pilot[Any]) -> None:
        screen = pilot.app.podium_screen
        assert screen.step.name == "train[depth=8,rate=0.05]"
        finish("train[depth=8,rate=0.05]")
        await until(pilot, lambda: screen.step.name == "train[depth=8,rate=0.1]", "the other one, which still runs")
        await pilot.press("tab", "g")
        finish("train[depth=8,rate=0.1]")
        await until(pilot, lambda: "6 of 11 done" in text(pilot.app), "the change")
        assert screen.step.name == "unit", "it was moved, so it stays"

    drive(make_app(cockpit, screen="runs"), script)


def test_a_failed_step_offers_a_shell_and_others_say_why_not(cockpit: SeededCockpit) -> None:
    ran: list[list[str]] = []

    async def script(pilot: Pilot[Any]) -> None:
        pilot.app.run_outside = lambda argv, words: ran.append([*argv, words]) or 0  # type: ignore[attr-defined]
        await pilot.press("j", "j")
        await settled(pilot)
        await pilot.press("enter", "slash", *"rate=0.1]", "enter")
        await until(pilot, lambda: "Log of train[depth=8,rate=0.1]" in text(pilot.app), "the one that was interrupted")
        await pilot.press("S")
        await until(pilot, lambda: ran, "the terminal was handed over")
        assert ran[0][:3] == ["shell-of", "12", "train[depth=8,rate=0.1]"]
        await until(pilot, lambda: "back from train[depth=8,rate=0.1] of run 12" in text(pilot.app), "back")
        await pilot.press("n")
        await until(pilot, lambda: "Log of train[depth=4,rate=0.1]" in text(pilot.app), "a step that succeeded")
        await pilot.press("S")
        await until(pilot, lambda: "a shell needs a failed or running step" in text(pilot.app), "nothing to look into")
        await pilot.press("G", "S")
        await until(pilot, lambda: "is a built-in step" in text(pilot.app), "no built-in")

    drive(make_app(cockpit, screen="runs"), script)


def test_a_shell_that_cannot_be_had_says_why(cockpit: SeededCockpit) -> None:
    def refuse(run: int, step: str, *, program: Sequence[str]) -> list[str]:
        raise NotFound(f"nothing is left of the container of step {step}", hint="podium resume does it again")

    cockpit.runs.shell_command = refuse  # type: ignore[method-assign]

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("j", "j")
        await settled(pilot)
        await pilot.press("enter", "slash", *"8,rate=0.1]", "enter", "S")
        await until(
            pilot,
            lambda: (
                "nothing is left of the container" in text(pilot.app)
                and "podium resume does it again" in text(pilot.app)
            ),
            "why",
        )

    drive(make_app(cockpit, screen="runs"), script, size=(200, 40))


def test_a_run_again_with_many_parameters_shows_its_buttons_and_none_of_their_escapes(cockpit: SeededCockpit) -> None:
    params = {f"parameter{number}": "x" * 70 for number in range(18)} | {"note": "\x1b]0;owned\x07 it's"}
    with Journal.open(cockpit.home / ".podium" / "journal.db") as journal:
        journal.runs.create(
            kind=PIPELINE, name="release", trigger=Trigger.PERSON, who="anna", params=params, created=NOW
        )

    async def script(pilot: Pilot[Any]) -> None:
        await until(
            pilot, lambda: pilot.app.screen.run is not None and pilot.app.screen.run.params.get("note"), "the new run"
        )  # type: ignore[attr-defined]
        await pilot.press("R")
        await until(pilot, lambda: "Run release again?" in text(pilot.app), "the question")
        shown = text(pilot.app)
        assert "Do not" in shown and "Run again" in shown, "the buttons are on the screen"
        assert "\x1b" not in shown and "\x07" not in shown
        await pilot.press(*["ctrl+d"] * 30)
        await until(pilot, lambda: "-p 'note= it" in text(pilot.app), "its end")
        await pilot.press("q")

    drive(make_app(cockpit, screen="runs"), script, size=(80, 24))


def test_keys_that_come_together_do_not_mix_two_runs(cockpit: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        screen: Any = pilot.app.screen
        await until(pilot, lambda: screen.step is not None, "a step")
        screen.table.move("down")  # the graph has not heard of it yet
        assert screen.run.id != screen.graph.step.run_id
        assert screen.step is None and screen.context().find(Step) is None
        await until(
            pilot, lambda: screen.step is not None and screen.step.run_id == screen.run.id, "the step of the other run"
        )

    drive(make_app(cockpit, screen="runs"), script)


def test_a_run_that_starts_leaves_the_dialog_alone_that_is_open(cockpit: SeededCockpit) -> None:
    async def script(pilot: Pilot[Any]) -> None:
        app: Any = pilot.app
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, ModalScreen), "the help")
        stack = [type(screen).__name__ for screen in app.screen_stack]
        app.podium_screen.show_started(cockpit.journal.runs.get(14))
        await pilot.pause()
        assert [type(screen).__name__ for screen in app.screen_stack] == stack
        await pilot.press("escape")
        await until(pilot, lambda: "run 14 started" in text(app), "it was said")

    drive(make_app(cockpit, screen="overview"), script)


def test_a_log_that_is_given_more_room_fills_it(cockpit: SeededCockpit) -> None:
    write_log(cockpit.home / ".podium", 14, "train[depth=8,rate=0.05]", NOW - 60, StepState.RUNNING, rounds=10)

    async def script(pilot: Pilot[Any]) -> None:
        log = pilot.app.podium_screen.query_one(LogView)  # type: ignore[attr-defined]
        await pilot.press("l", "G", "k")
        await until(pilot, lambda: not log.follow and log._top > 0, "a line above the end")
        await pilot.press("plus")
        await until(pilot, lambda: "from line 1" in text(pilot.app), "all lines, now that there is room for them")

    drive(make_app(cockpit, screen="runs"), script, size=(80, 24))


def test_a_log_is_not_called_empty_before_it_was_read(cockpit: SeededCockpit, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[tuple[Any, ...]] = []

    async def script(pilot: Pilot[Any]) -> None:
        submit = pilot.app.pool.submit

        def slow(key: str, *rest: Any, **more: Any) -> Any:
            return held.append(rest) if key == "log" else submit(key, *rest, **more)

        with monkeypatch.context() as disk:
            disk.setattr(pilot.app.pool, "submit", slow)
            await pilot.press("tab", "g")
            await until(pilot, lambda: held, "the log is asked for")
            await until(
                pilot, lambda: "Log of unit" in text(pilot.app) and "reading …" in text(pilot.app), "it is read"
            )
            assert "written nothing" not in text(pilot.app)
        submit("log", *held[-1])
        await until(pilot, lambda: "19 passed" in text(pilot.app), "what it has")

    drive(make_app(cockpit, screen="runs"), script)


def test_an_empty_log_is_called_empty_once_it_was_read(cockpit: SeededCockpit) -> None:
    cockpit.runs.log(14, "unit").write_text("")

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("tab", "g")
        await until(pilot, lambda: "unit has written nothing." in text(pilot.app), "the words")

    drive(make_app(cockpit, screen="runs"), script)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_operations_and_cells_of_a_matrix_can_be_told_apart(cockpit: SeededCockpit, size: tuple[int, int]) -> None:
    names = [f"train-with-a-rather-long-name-of-its-own[depth={depth},rate=0.05]" for depth in (4, 8, 12)]
    with Journal.open(cockpit.home / ".podium" / "journal.db") as journal:
        runs = [
            journal.runs.create(
                kind=kind,
                name="production",
                trigger=Trigger.PERSON,
                who="anna",
                params={"version": number},
                created=NOW,
            )
            for kind, number in (("promote", "17"), ("rollback", "16"))
        ]
        run = journal.runs.create(kind=PIPELINE, name="release", trigger=Trigger.PERSON, who="anna", created=NOW)
        journal.steps.add(run.id, [Step(run.id, name, 0, StepState.PENDING) for name in names])

    async def script(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "depth=12" in text(pilot.app), "the new run")
        shown = text(pilot.app)
        assert all(f"depth={depth}," in shown or f"depth={depth},rate=0.05]" in shown for depth in (4, 8, 12))
        rows = [line for line in shown.splitlines() if f" {runs[0].id} " in line or f" {runs[1].id} " in line]
        assert [("v17" in row, "v16" in row) for row in rows] == [(False, True), (True, False)], rows

    drive(make_app(cockpit, screen="runs"), script, size=size)
