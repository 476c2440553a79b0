"""Linear mode: the app with the same screens on a picture that nobody sees, and a person who reads and types lines."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen

from ...core.cockpit import Cockpit
from ..application import PodiumApp
from ..widgets.log_view import LogView
from ..widgets.prompt import Prompt
from .asking import answer
from .commands import Commands
from .console import Console
from .news import News
from .spoken import SpokenGlyphs, plain
from .telling import Teller

_ROUND_SECONDS = 0.03
_QUIET_ROUNDS = 3
_PATIENCE_SECONDS = 10.0
_MOST_COPIED = 60


class LinearApp(PodiumApp):
    unseen: ClassVar[tuple[int, int] | None] = (200, 60)  # so that every pane has room

    def __init__(self, cockpit: Cockpit, *, console: Console | None = None, **options: Any) -> None:
        super().__init__(cockpit, **options)
        self.glyphs = SpokenGlyphs()
        self.console = console or Console(sys.__stdin__ or sys.stdin, sys.__stdout__ or sys.stdout)
        self.teller = Teller(self.tell, self.keymap)
        self.quiet = False
        self._commands = Commands(self)
        self._news = News()
        self._questions: deque[tuple[ModalScreen[Any], Callable[[Any], Any] | None]] = deque()
        self._held: list[str] = []
        self._busy = True
        self._said_before = ""

    # Life

    def on_mount(self) -> None:
        self.console.open()
        self.console.on_interrupt = self._interrupted
        self.run_worker(self._converse(), exit_on_error=True, name="linear")

    def on_unmount(self) -> None:
        self.console.close()

    async def _converse(self) -> None:
        """Tells, asks, does, until a person leaves."""
        self.tell("Podium, linear mode. ? tells what can be done, quit leaves.")
        await self._settle()
        while self._exit is False:
            self.teller.screen(self.podium_screen)
            self._busy = False
            self.console.tell(self._take_news())
            text = await self.console.ask("> ")
            self._busy = True
            if text is None:
                self.exit(0)
                return
            await self._commands.do(text)
            await self._settle()

    def _interrupted(self) -> None:
        if self.awaited:
            self.abandon()
        else:
            self.console.tell(["quit leaves; runs go on without it"])

    # Waiting

    async def idle(self) -> None:
        """Waits until what was asked for has come and is on the picture; not for ever."""
        quiet = waited = 0.0
        while quiet < _QUIET_ROUNDS and self._exit is False:
            await asyncio.sleep(_ROUND_SECONDS)
            waited += _ROUND_SECONDS
            quiet = quiet + 1 if self._is_idle() else 0
            if waited > _PATIENCE_SECONDS and not self.awaited:
                self.tell("still being read; an empty line tells what has come")
                return

    def _is_idle(self) -> bool:
        screen = self.podium_screen
        if self.awaited or not self._loaded or screen is None or not screen.ready:
            return False
        if any(self.pool.busy(key) for key in ("log", "log-filter", "log-search", "diff")):
            return False
        keys = [query.key for query in screen.all_queries()]
        return not screen.loading and not any(self.store.get(key).loading or self.pool.busy(key) for key in keys)

    async def _settle(self) -> None:
        """Waits, and asks what is to be asked, until nothing is left of what a person wanted."""
        await self.idle()
        while self._exit is False:
            if self._questions:
                dialog, then = self._questions.popleft()
                value = await answer(self, dialog)
                if then is not None:
                    then(value)
            elif (prompt := self._prompt_open()) is not None:
                await self._answer(prompt)
            else:
                return
            await self.idle()

    def _prompt_open(self) -> Prompt | None:
        screen = self.podium_screen
        if screen is None or not screen.ready:
            return None
        return next((prompt for prompt in screen.query(Prompt) if prompt.is_open), None)

    async def _answer(self, prompt: Prompt) -> None:
        """An empty line takes what stands in brackets."""
        words, value = prompt.asked
        given = await self.ask(f"{plain(words)}{f' [{plain(value)}]' if value else ''}: ")
        prompt.post_message(Prompt.Answered(prompt.purpose, given or value, final=True))

    # What screens say and ask

    def push_screen(self, screen: Any, callback: Any = None, *arguments: Any, **options: Any) -> Any:
        """A dialog is asked line by line; another screen is one to go to."""
        if isinstance(screen, ModalScreen):
            self._questions.append((screen, callback))
            return AwaitComplete.nothing()
        return super().push_screen(screen, callback, *arguments, **options)

    def say(self, text: str, role: str = "accent") -> None:
        words = plain(text)
        if words and words != self._said_before:
            self.console.tell([words])
        self._said_before = words

    def tell(self, line: str) -> None:
        self.console.line(line)

    async def ask(self, prompt: str) -> str:
        return (await self.console.ask(prompt)) or ""

    def perform(self, action: str) -> None:
        self.podium_screen.action_perform(action)

    async def find(self, text: str) -> Sequence[Any]:
        """Asks the façade what has a name, in the pool."""
        found: asyncio.Future[Sequence[Any]] = asyncio.get_running_loop().create_future()
        cockpit = self.cockpit

        def done(value: Any, error: BaseException | None) -> None:
            self.call_soon(found.set_result, value if error is None else ())

        self.pool.submit("palette", lambda _job: cockpit.finder.find(text), done)
        return await found

    def copy(self, text: str) -> None:
        """There is no clipboard that could be reached without an escape sequence: it is told instead."""
        lines = text.splitlines()
        for line in lines[:_MOST_COPIED]:
            self.tell(plain(line))
        if len(lines) > _MOST_COPIED:
            self.tell(f"and {len(lines) - _MOST_COPIED} more lines; e saves them to a file")

    def run_outside(self, argv: Sequence[str], words: str, **given: Any) -> int:
        return self.console.lend(argv, plain(words), given.get("environ"), given.get("directory"))

    # Changes

    def _load(self) -> None:
        super()._load()
        self.read_new(self._news.queries(self.store))

    def _ask(self, *, force: bool = False) -> None:
        super()._ask(force=force)
        self.read(list(self._news.queries(self.store)), force=force)

    def _draw_changes(self) -> None:
        super()._draw_changes()
        self._held += self._news.look(self.store, self.clock())
        if not self._busy:
            self.console.tell(self._take_news())

    def _take_news(self) -> list[str]:
        news, self._held = self._held, []
        return [] if self.quiet else news

    # A log as it grows

    async def follow_log(self) -> None:
        """Tells the lines of the log in the focus as they come, until a line is typed."""
        screen = self.podium_screen
        log = screen.pane if isinstance(screen.pane, LogView) else None
        if log is None:
            self.tell("only a log is followed; l goes to one")
            return
        log.move("bottom")
        told = log.window.total if log.window is not None else 0
        self.tell("New lines are told as they come; an empty line ends that.")
        answer = asyncio.ensure_future(self.console.ask(""))
        while not answer.done() and self._exit is False:
            told = self._tell_new(log, told)
            await asyncio.wait([answer], timeout=0.2)
        if answer.done() and answer.result() is None:
            self.exit(0)

    def _tell_new(self, log: LogView, told: int) -> int:
        window = log.window
        if window is None:
            return told
        if told < window.first:
            self.tell(f"{window.first - told:,} lines came faster than they are told")
        for index in range(max(told, window.first), window.total):
            line = window.row(index)
            if line is not None:
                self.tell(plain(line.text))
        return max(told, window.total)
