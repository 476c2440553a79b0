"""docs/tasks.md is true: its keys are pressed, in one walk, and its last column is looked for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from podium.core.domain.frozen import Frozen
from podium.tui.keys import Keymap
from podium.tui.own.commands import OwnCommand
from podium.tui.widgets.table import Table
from textual.pilot import Pilot
from textual.screen import ModalScreen

from tests.screens.running.test_matrix_and_pair import trained
from tests.screens.test_curves import kept
from tests.tui.driving import drive, make_app, settled, text, until
from tests.tui.seed import PROJECT, SeededCockpit, empty
from tests.tui.seed_monitors import seed_monitors
from tests.tui.seed_repository import seed_repository

PAGE = Path(__file__).resolve().parents[3] / "docs" / "tasks.md"
ROW = re.compile(r"\| (\d+) \| (.+?) \| (.+?) \| `(.+?)` \|")
TOKEN = re.compile(r"`([^`]+)`|\"([^\"]+)\"")
MOST_KEYS = 5
APPROVAL = 15


class Task(Frozen):
    number: int
    what: str
    keys: tuple[tuple[str, str], ...]
    """(a key, what is typed): one of both is empty."""
    seen: str


def tasks() -> list[Task]:
    found = [ROW.fullmatch(line) for line in PAGE.read_text(encoding="utf-8").splitlines()]
    return [Task(int(row[1]), row[2], tuple(TOKEN.findall(row[3])), row[4]) for row in found if row is not None]


def test_each_takes_five_keys_at_most() -> None:
    assert [task.number for task in tasks()] == list(range(1, 31))
    for task in tasks():
        pressed = [key for key, _ in task.keys if key]
        assert 1 <= len(pressed) <= MOST_KEYS, task


async def back_to_overview(pilot: Pilot[Any]) -> None:
    """As after the start: nothing is marked, filtered, or open."""
    app = pilot.app
    while isinstance(app.screen, ModalScreen):
        app.pop_screen()
        await pilot.pause()
    for _ in range(3):
        app.podium_screen.do_escape()
        await pilot.pause()
    app.go("overview")
    await settled(pilot)
    app.podium_screen.focus_pane(app.podium_screen.query_one("#needs", Table))
    await pilot.pause()


async def do(pilot: Pilot[Any], task: Task) -> None:
    for key, typed in task.keys:
        await pilot.press(*(typed or (key,)))
        if key in ("enter", "space", "l", "e"):
            await settled_or_asked(pilot)
    await until(pilot, lambda: task.seen in text(pilot.app), f"{task.number}. {task.what}: {task.seen}", 20)


async def settled_or_asked(pilot: Pilot[Any]) -> None:
    await until(pilot, lambda: not pilot.app.awaited and not len(pilot.app.typed), "what was typed is done")
    if not isinstance(pilot.app.screen, ModalScreen):
        await settled(pilot)


def test_the_keys_of_the_page_do_what_it_says(docked: SeededCockpit, tmp_path: Path) -> None:
    cockpit = docked
    seed_repository(cockpit)
    seed_monitors(cockpit)
    trained(cockpit.home)
    kept(cockpit)
    empty(tmp_path / "prices", config=PROJECT.replace("project: flight-delay", "project: prices"))
    own = OwnCommand(
        "say", 'echo "version $THIS_VERSION of $THIS_MODEL"', "Say it", ("models",), "ctrl+n", background=True
    )
    app = make_app(cockpit, keymap=Keymap().with_own([own.action]), projects=(tmp_path / "prices",))
    failed: list[str] = []

    async def script(pilot: Pilot[Any]) -> None:
        # A run that is started is a real one, whose worker looks after those that seem to go on: it comes last.
        for task in sorted(tasks(), key=lambda task: "Start a pipeline" in task.what):
            if task.number == APPROVAL:
                continue
            await back_to_overview(pilot)
            try:
                await do(pilot, task)
            except AssertionError as error:
                failed.append(f"{task.number}. {task.what}\n{error}")

    drive(app, script, size=(200, 50))
    assert not failed, "\n\n".join(failed)


def test_what_waits_is_approved_by_its_plan(cockpit: SeededCockpit) -> None:
    """In a project of its own: the plan is a real one, and asks the engines of what it would change."""

    async def script(pilot: Pilot[Any]) -> None:
        await do(pilot, next(task for task in tasks() if task.number == APPROVAL))

    drive(make_app(cockpit), script)
