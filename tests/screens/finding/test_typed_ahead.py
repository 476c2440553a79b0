"""What is typed while a screen or a plan loads goes to it: nothing is lost, and nothing acts on something else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from podium.core.errors import Refused
from podium.tui.application import PodiumApp
from podium.tui.keys import Keymap
from podium.tui.widgets.log_reader import Reader
from podium.tui.widgets.log_view import LogView
from podium.tui.widgets.palette_dialog import PaletteDialog
from podium.tui.widgets.plan_dialog import PlanDialog
from textual.pilot import Pilot
from textual.screen import ModalScreen

from tests.runner.scale import scaled
from tests.tui.driving import burst, drive, make_app, settled, text, until
from tests.tui.seed import SeededCockpit

App = Callable[..., PodiumApp]


class Gate:
    """Holds a method of the façade until it is opened."""

    def __init__(self, owner: Any, name: str) -> None:
        self._open, self.asked = threading.Event(), threading.Event()
        whole = getattr(owner, name)

        def held(*values: Any, **named: Any) -> Any:
            self.asked.set()
            self._open.wait(scaled(60))
            return whole(*values, **named)

        setattr(owner, name, held)

    def open(self) -> None:
        self._open.set()


def at_once(app: PodiumApp, keys: tuple[str, ...], then: Callable[[Pilot[Any]], Any], before: Any = None) -> None:
    """Types all keys as soon as the app is there, before anything was read."""

    async def run() -> None:
        async with app.run_test(size=(120, 40)) as pilot:
            burst(pilot, *keys)
            if before is not None:
                await before(pilot)
            await then(pilot)

    asyncio.run(run())


async def the_log(pilot: Pilot[Any]) -> LogView:
    """Returns the log of the screen that is shown, which is there a moment before its widgets are."""
    await until(pilot, lambda: pilot.app.podium_screen.query(LogView), "its widgets")
    return pilot.app.podium_screen.query_one(LogView)


def test_keys_typed_right_after_the_start_go_where_they_would_go_later(app: App) -> None:
    """Ends on the log of the step that was meant, in the oldest run that has steps."""

    async def then(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: not pilot.app.typed and pilot.app.podium_screen.title_id == "runs", "Runs")
        screen = pilot.app.podium_screen
        await until(pilot, lambda: screen.pane.id == "log", "the log")
        assert screen.run.id == 10 and screen.step.name == "train[depth=4,rate=0.1]"

    at_once(app(screen="overview"), ("2", "j", "j", "j", "j", "enter", "g", "j", "j", "j", "enter"), then)


def test_a_search_that_is_typed_ahead_is_made_in_the_log_that_was_meant(app: App) -> None:
    async def then(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: not pilot.app.typed and pilot.app.podium_screen.title_id == "runs", "Runs")
        log = await the_log(pilot)
        await until(pilot, lambda: log._hit == 42, "the second checkpoint")

    at_once(app(screen="overview"), ("2", "l", "g", "slash", *"checkpoint", "enter", "n"), then)


def test_keys_in_a_log_wait_until_its_rows_are_counted(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end is shown before the rest is read: rows do not count from its beginning yet."""
    monkeypatch.setattr(Reader, "window", Reader.window)  # to be put back
    gate = Gate(Reader, "window")

    async def then(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: pilot.app.podium_screen.title_id == "runs", "Runs")
        log = await the_log(pilot)
        await until(pilot, lambda: gate.asked.is_set() and log.window is not None, "its end is shown")
        burst(pilot, "g")
        await until(pilot, lambda: pilot.app.typed, "the key waits")
        gate.open()
        await until(pilot, lambda: not pilot.app.typed and not log.follow, "done")
        assert log._total == 63 and log._top == 0

    at_once(app(screen="overview"), ("2", "l"), then)


def test_what_is_typed_while_a_list_is_read_waits_for_it(cockpit: SeededCockpit) -> None:
    gate = Gate(cockpit.runs, "list")

    async def before(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: gate.asked.is_set() and len(pilot.app.typed) == 3, "three keys wait")
        await until(pilot, lambda: "3 keys wait for what is being read; esc drops them" in text(pilot.app), "said")
        gate.open()

    async def then(pilot: Pilot[Any]) -> None:
        screen = pilot.app.podium_screen
        await until(pilot, lambda: screen.run is not None and screen.run.id == 11, "three down")

    at_once(make_app(cockpit, screen="runs"), ("j", "j", "j"), then, before)


def test_escape_drops_what_waits(cockpit: SeededCockpit) -> None:
    gate = Gate(cockpit.runs, "list")

    async def before(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "2 keys wait" in text(pilot.app), "said")
        burst(pilot, "escape")
        await until(pilot, lambda: not pilot.app.typed, "dropped")
        gate.open()

    async def then(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        assert pilot.app.podium_screen.title_id == "runs"
        assert pilot.app.podium_screen.run.id == 14, "the cursor was not moved"

    at_once(make_app(cockpit, screen="runs"), ("j", "j"), then, before)


def test_who_leaves_a_screen_that_does_not_come_is_not_held(cockpit: SeededCockpit) -> None:
    gate = Gate(cockpit.runs, "list")

    async def before(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: len(pilot.app.typed) == 1, "a key waits")
        pilot.app.typed._since -= 10
        burst(pilot, "3")
        await until(pilot, lambda: pilot.app.podium_screen.title_id == "models", "gone there")
        gate.open()

    async def then(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        assert not pilot.app.typed

    at_once(make_app(cockpit, screen="runs"), ("X",), then, before)


def test_digits_behind_a_key_that_asks_for_a_line_leave_no_screen(cockpit: SeededCockpit) -> None:
    """The keymap knows which keys those are, a person's own too."""
    gate = Gate(cockpit.runs, "list")
    app = make_app(cockpit, screen="runs", keymap=Keymap({"export": ("ctrl+t",)}))

    async def before(pilot: Pilot[Any]) -> None:
        for key in ("E", "ctrl+t", "at"):
            burst(pilot, key)
            await until(pilot, lambda: len(pilot.app.typed) == 1, "a key waits")
            pilot.app.typed._since -= 10
            burst(pilot, "3")
            await until(pilot, lambda: len(pilot.app.typed) == 2, "the digit too")
            assert pilot.app.typed.drop() == 2
        gate.open()

    async def then(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        assert pilot.app.podium_screen.title_id == "runs"

    at_once(app, (), then, before)


def test_what_is_typed_while_a_plan_is_made_goes_to_the_plan(cockpit: SeededCockpit) -> None:
    """The name that a protected environment asks for opened another environment and copied its address."""
    gate = Gate(cockpit.changes, "plan")

    async def script(pilot: Pilot[Any]) -> None:
        screen = pilot.app.podium_screen
        screen.select("production")
        before = screen.table.current.name
        burst(pilot, "P", "tab", *"because", "tab", *"production", "tab", "tab", "enter")
        await until(pilot, lambda: gate.asked.is_set(), "the plan is being made")
        assert not isinstance(pilot.app.screen, ModalScreen)
        assert screen.table.current.name == before and not pilot.app.clipboard
        gate.open()
        await until(pilot, lambda: cockpit.applied, "the plan, applied by what was typed")
        plan, _why, _ = cockpit.applied[0]
        assert (plan.verb, plan.target) == ("promote", "production")

    drive(make_app(cockpit, screen="environments"), script)


def test_what_was_typed_for_a_plan_that_cannot_be_made_acts_on_nothing(cockpit: SeededCockpit) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        asked.wait(scaled(60))
        raise Refused("no version is challenger", hint="name one")

    asked = threading.Event()
    cockpit.changes.plan = refuse  # type: ignore[method-assign]

    async def script(pilot: Pilot[Any]) -> None:
        burst(pilot, "P", *"1quy")
        await until(pilot, lambda: len(pilot.app.typed) == 4, "they wait")
        asked.set()
        await until(pilot, lambda: "no version is challenger" in text(pilot.app), "why not")
        assert "4 keys that were typed for it are dropped" in text(pilot.app)
        assert pilot.app.podium_screen.title_id == "environments" and not pilot.app.clipboard

    drive(make_app(cockpit, screen="environments"), script)


def test_escape_leaves_a_plan_that_is_being_made(cockpit: SeededCockpit) -> None:
    gate = Gate(cockpit.changes, "plan")

    async def script(pilot: Pilot[Any]) -> None:
        burst(pilot, "P", *"production")
        await until(pilot, lambda: pilot.app.awaited and len(pilot.app.typed) == 10, "they wait")
        burst(pilot, "escape")
        await until(pilot, lambda: not pilot.app.awaited, "left")
        gate.open()
        await until(pilot, lambda: not pilot.app.pool.busy("work:promote"), "it was made all the same")
        await pilot.pause()
        assert not isinstance(pilot.app.screen, PlanDialog)
        await pilot.press("1")
        assert pilot.app.podium_screen.title_id == "overview"

    drive(make_app(cockpit, screen="environments"), script)


@pytest.mark.parametrize("typed", ["run 9", "production"])
def test_a_name_and_enter_in_one_go_wait_for_the_answer(cockpit: SeededCockpit, typed: str) -> None:
    gate = Gate(cockpit.finder, "find")

    async def script(pilot: Pilot[Any]) -> None:
        burst(pilot, "colon", *typed, "enter", "tab")
        await until(pilot, lambda: gate.asked.is_set() and len(pilot.app.typed) == 1, "what follows waits")
        assert isinstance(pilot.app.screen, PaletteDialog)
        gate.open()
        await until(pilot, lambda: not isinstance(pilot.app.screen, PaletteDialog), "gone there")
        screen = pilot.app.podium_screen
        await until(pilot, lambda: not pilot.app.typed, "the key after it")
        await settled(pilot)
        if typed == "run 9":
            assert screen.run.id == 9 and screen.pane.id == "graph"
        else:
            assert screen.title_id == "environments" and screen.table.current.name == "production"

    drive(make_app(cockpit, screen="overview"), script)


def test_a_question_answered_in_one_go(cockpit: SeededCockpit) -> None:
    called: list[int] = []
    cockpit.runs.cancel = lambda run_id, *, why="": called.append(run_id)  # type: ignore[method-assign]

    async def script(pilot: Pilot[Any]) -> None:
        burst(pilot, "X", "tab", "enter")
        await until(pilot, lambda: called == [14], "told to stop")

    drive(make_app(cockpit, screen="runs"), script)


def test_quitting_waits_for_nothing(cockpit: SeededCockpit) -> None:
    gate = Gate(cockpit.runs, "list")

    async def before(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: len(pilot.app.typed) == 2, "they wait")
        burst(pilot, "ctrl+q")

    async def then(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: not pilot.app.is_running or pilot.app._exit, "the end")
        gate.open()

    at_once(make_app(cockpit, screen="runs"), ("j", "j"), then, before)
