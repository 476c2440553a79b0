"""What a person may type: a number, a name, an action by its key or its name."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from textual.keys import _character_to_key

from ..actions import ACTIONS, Action
from ..screens import MAIN
from ..widgets.log_view import LogView
from ..widgets.table import Table
from ..widgets.text_pane import TextPane
from .asking import choose_named
from .spoken import pane_lines, plain

if TYPE_CHECKING:
    from ...screens.base import PodiumScreen
    from .app import LinearApp

HELP = (
    "A number opens what is listed under it. An empty line tells the screen again.",
    "An action is done by its name or its key: promote, or P. A number after it is what it is done with: cancel 3.",
    "runs, models, environments and so on go to a screen; tab to the next list, detail or log on it; q goes back.",
    ": and a name goes to anything: : run 41. f and a word shows only what has it; f alone shows all again.",
    "/ and a word looks for it in what is told. more tells more rows. j, k, g and G go through a log; follow tells its"
    " lines as they come.",
    "quiet keeps changes to itself, loud tells them as they come. quit leaves; runs go on without it.",
)
_OWN = ("more", "follow", "quiet", "loud", "mark", "quit", "tab")


class Commands:
    def __init__(self, app: LinearApp) -> None:
        self._app = app

    @property
    def _screen(self) -> PodiumScreen:
        return self._app.podium_screen

    async def do(self, text: str) -> None:
        """Does what was typed, or says why not."""
        if not text:
            self._app.teller.forget()
        elif text.isdecimal():
            await self._open(int(text))
        elif text[0] == ":":
            await self._go_to(text[1:].strip())
        elif text[0] == "/" and len(text) > 1:
            self._search(text[1:].strip())
        elif text == "?" or text.casefold() == "help":
            for line in HELP:
                self._app.tell(line)
            self._screen.do_help()
        else:
            await self._words(text)

    async def _words(self, text: str) -> None:
        word, _, rest = text.partition(" ")
        if word in ("f", "filter"):
            self._filter(rest.strip())
        elif word.casefold() in _OWN:
            await self._own(word.casefold(), rest.split())
        elif (screen := _screen_of(text)) is not None:
            self._app.go(screen)
        else:
            await self._action(text)

    # Rows

    async def _choose(self, number: int) -> bool:
        """Puts the cursor on what is under a number; tells whether there is something."""
        numbered = self._app.teller.numbered
        if not 1 <= number <= len(numbered):
            self._app.tell(f"there is no number {number}; an empty line tells what there is")
            return False
        table, key = numbered[number - 1]
        self._screen.touched()
        self._screen.focus_pane(table)
        if not table.go_to(key):
            self._app.tell(f"number {number} is not in the list any more; an empty line tells what there is")
            return False
        await self._app.idle()
        return True

    async def _open(self, number: int) -> None:
        if await self._choose(number):
            self._screen.action_perform("open")

    async def _mark(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            if not await self._choose(number):
                return
            self._screen.action_perform("mark")
            await self._app.idle()

    # Names

    async def _go_to(self, name: str) -> None:
        if not name:
            self._screen.do_palette()
            return
        entry = await choose_named(self._app, name, self._screen.named())
        if entry is not None:
            self._screen.chosen(entry)

    def _search(self, word: str) -> None:
        pane = self._screen.pane
        if isinstance(pane, TextPane):
            found = [line for line in pane_lines(pane) if word.casefold() in line.casefold()]
            for line in found or [f"no line has {plain(word)}"]:
                self._app.tell(line)
        elif isinstance(pane, Table):
            self._filter(word)
        elif pane is not None:
            pane.search(word)

    def _filter(self, word: str) -> None:
        pane = self._screen.pane
        if isinstance(pane, (Table, LogView)):
            pane.set_filter(word)
        else:
            self._app.tell("only a list or a log can be filtered; / and a word looks for it here")

    # Commands of linear mode alone

    async def _own(self, word: str, rest: Sequence[str]) -> None:
        app, pane = self._app, self._screen.pane
        if word == "more":
            if not (isinstance(pane, Table) and app.teller.more(pane)):
                app.tell("that is all")
        elif word == "mark":
            numbers = [int(each) for each in rest if each.isdecimal()]
            await self._mark(numbers) if numbers else self._screen.action_perform("mark")
        elif word == "follow":
            await app.follow_log()
        elif word == "tab":
            self._screen.do_pane_next()
        elif word == "quit":
            app.exit(0)
        else:
            app.quiet = word == "quiet"
            app.tell("changes are kept to themselves" if app.quiet else "changes are told as they come")

    # Actions

    async def _action(self, text: str) -> None:
        action, numbers = self._action_of(text)
        if action is None:
            self._app.tell(f"nothing here is called {plain(text)}; ? tells what can be done, : and a name goes to it")
            return
        if action.id in ("suspend", "theme", "zoom"):
            self._app.tell(f"{action.label}: that is for the drawn cockpit")
            return
        if len(numbers) > 1:
            await self._mark(numbers)
        elif numbers and not await self._choose(numbers[0]):
            return
        self._screen.action_perform(action.id)

    def _action_of(self, text: str) -> tuple[Action | None, list[int]]:
        """Returns what is done by a key or a name, and the numbers that stand behind it."""
        try:
            words = shlex.split(text)
        except ValueError:
            words = text.split()
        numbers: list[int] = []
        while len(words) > 1 and words[-1].isdecimal():
            numbers.insert(0, int(words.pop()))
        name = " ".join(words)
        key = _character_to_key(name) if len(name) == 1 else name
        by_key = self._app.keymap.action_of(key)
        return by_key or named(name, self._screen.title_id, self._app.keymap.actions), numbers


def named(name: str, screen: str, actions: Sequence[Action] = ACTIONS) -> Action | None:
    """Returns the action of that name, or the only one whose name begins so."""
    name = name.casefold()
    called = [(each, {each.label_on(screen).casefold(), each.id, each.id.replace("_", " ")}) for each in actions]
    whole = [each for each, names in called if name in names]
    if whole:
        return next((each for each in whole if not each.screens or screen in each.screens), whole[0])
    begun = [each for each, names in called if any(one.startswith(name) for one in names)]
    here = [each for each in begun if not each.screens or screen in each.screens]
    return here[0] if len(here) == 1 else None


def _screen_of(text: str) -> str | None:
    name = text.casefold().removeprefix("go ").strip()
    found: list[Any] = [each for each in MAIN if name in (each.name, each.title.casefold())]
    return found[0].name if found else None
