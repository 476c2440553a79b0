"""The cockpit: opens the screens, carries data from the pool's threads to them, and leaves the terminal as it found it.

Small on purpose: screens own their work. Here are the start (paint first, then load), the one timer, signals, and
the end.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, ClassVar

from textual.message import Message
from textual.screen import ModalScreen, Screen

from ..core.cockpit import Cockpit
from ..core.domain.monitoring import Ring
from ..core.errors import PodiumError, UsageError
from .actions import BY_ID
from .glyphs import Glyphs
from .keys import Keymap
from .palette import ActionProvider
from .pool import POLL, Job, Pool
from .queries import Query
from .ringing import Ringer, sequences
from .screens import BY_NAME, FIRST, MAIN
from .shutdown import EndingApp
from .store import Store
from .terminal import clipboard_sequence, over_ssh, plain_glyphs
from .theme import DARK, LIGHT, THEMES, theme_name
from .widgets.footer import Footer

_INTERVAL, _INTERVAL_SSH = 0.25, 0.5
_STALE_SECONDS = 3.0  # seconds without an answer from the journal, after which what is shown is called stale
_TICK_INTERVAL = 1.0
_AGES_INTERVAL = 15.0
_DEBOUNCE = 0.015


class PodiumApp(EndingApp):
    """`clock` gives the time (tests fix it); `interval` is the timer's period in seconds, 0 for none."""

    TITLE = "Podium"
    COMMANDS: ClassVar[set[Any]] = {ActionProvider}
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[Any]] = [("ctrl+c", "say_quit", "Quit")]
    CLOSE_TIMEOUT = 0.3
    DEFAULT_MODE = "first"  # of the screen that is shown first; the others are modes of their own names
    CSS = """
    CommandPalette > Vertical { max-width: 100; }
    .-ascii Pane { border: ascii $frame; }
    .-ascii Pane:focus { border: ascii $frame-focus; }
    .-ascii Header, .-ascii Footer { border: none; }
    .-ascii #status.-protected { border: ascii $protected; }
    .-ascii #status.-protected:focus { border: ascii $protected; }
    .-ascii #canary, .-ascii #canary:focus { border: ascii $wait; }
    .-ascii .dialog, .-ascii HelpScreen > VerticalScroll { border: ascii $warning; }
    .-ascii .dialog.-protected { border: ascii $protected; }
    """

    class StoreChanged(Message):
        """Something new is in the store. Comes once, however much is new."""

    class Call(Message):
        """A pool thread wants a function called here."""

        def __init__(self, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
            super().__init__()
            self.function, self.arguments = function, arguments

    def __init__(
        self,
        cockpit: Cockpit,
        *,
        read_only: bool = False,
        screen: str | None = None,
        theme: str | None = None,
        keymap: Keymap | None = None,
        clock: Callable[[], float] = time.time,
        interval: float | None = None,
        plain: bool | None = None,
    ) -> None:
        super().__init__()
        self.cockpit = cockpit
        self.read_only = read_only
        self.keymap = keymap or Keymap()
        self.clock = clock
        self.glyphs = Glyphs(plain=plain_glyphs() if plain is None else plain)
        self.pool = Pool()
        self.store = Store(clock, self._store_changed)
        self._first = screen or FIRST.name
        self._interval = (_INTERVAL_SSH if over_ssh() else _INTERVAL) if interval is None else interval
        self._read_at: dict[str, float] = {}
        self._due: dict[str, Query] = {}
        self._seen: int | None = None
        self._poll_asked: float | None = None
        self._poll_error: PodiumError | None = None
        self._polled: float | None = None
        self._ticked = 0.0
        self._loaded = False
        self._run_shown: int | None = None
        self._ringer = Ringer()
        for theme_ in THEMES:
            self.register_theme(theme_)
        self.theme = theme_name(theme)

    # Life

    def on_mount(self) -> None:
        if self.glyphs.plain:
            self.add_class("-ascii")
        for each in MAIN:
            self.add_mode(self._mode_of(each.name), partial(self._screen_named, each.name))
        self.handle_signals()
        self.app_resume_signal.subscribe(self, lambda _app: self.refresh(layout=True))
        if self._interval:
            self.set_interval(self._interval, self._tick)
        self.call_after_refresh(self._begin)

    def get_default_screen(self) -> Screen[Any]:
        """The first screen is the one at the bottom of the stack, not one on top of an empty one that would be
        painted before it."""
        return self._screen_named(self._first)

    def _begin(self) -> None:
        """After the first paint: load."""
        self._loaded = True
        self._ask(force=True)
        self._poll()
        self.set_timer(1.0, _collect_again)

    def on_unmount(self) -> None:
        self.pool.close()

    @property
    def few_colours(self) -> bool:
        """Whether the terminal has 16 colours at most. A picture of the app has them all, wherever it is drawn."""
        return not self.is_headless and self.console.color_system in (None, "standard", "windows")

    # Screens

    def _screen_named(self, name: str) -> Screen[Any]:
        screen = BY_NAME[name].make()
        screen.fit(*self.size)
        return screen

    @property
    def podium_screen(self) -> Any:
        """The screen under any dialog: a `CockpitScreen`, None at the very end."""
        return next((screen for screen in reversed(self.screen_stack) if not isinstance(screen, ModalScreen)), None)

    def _mode_of(self, name: str) -> str:
        return self.DEFAULT_MODE if name == self._first else name

    def go(self, name: str) -> Any:
        """Show one of the main screens. Each is a mode: made when it is first shown, then kept with its cursor."""
        if name not in BY_NAME:
            raise UsageError(f"there is no screen {name!r}", hint=f"there are: {', '.join(BY_NAME)}")
        current = self.podium_screen
        if current is not None and current.title_id != name and BY_NAME[current.title_id].above:
            self.pop_screen()
            current = self.podium_screen
        if current is not None and current.title_id != name:
            self.switch_mode(self._mode_of(name))
        return self.podium_screen

    def go_to_run(self, run_id: int) -> None:
        # A dialog that a person types into stays where it is, and its keys with it; and at the end there is no screen
        # any more, and none is to be opened.
        if not self.is_running or not self.screen_stack or isinstance(self.screen_stack[-1], ModalScreen):
            return
        screen = self.go("runs")
        screen.select(run_id)

    def back(self, *, quit_at_root: bool) -> None:
        screen = self.podium_screen
        if screen is not None and BY_NAME[screen.title_id].above:
            self.pop_screen()
        elif screen is not None and screen.title_id != FIRST.name:
            self.go(FIRST.name)
        elif quit_at_root:
            self.exit(0)
        else:
            self.say("q quits; runs go on without the cockpit")

    def action_say_quit(self) -> None:
        self.say(
            f"{self.keymap.shown(BY_ID['back'])} goes back and quits on Overview, ctrl+q quits from anywhere; runs go"
            " on without the cockpit"
        )

    def toggle_theme(self) -> None:
        self.theme = LIGHT if self.theme == DARK else DARK
        for screen in self.screen_stack:
            screen.refresh(layout=True)
            for widget in screen.query("Pane"):
                widget.refresh()

    def run_outside(self, argv: Sequence[str], words: str) -> int:
        """Give the terminal to another program until it ends; its exit code."""
        from .external_program import run_outside

        return run_outside(self, argv, words)

    # Words to the person

    def say(self, text: str, role: str = "accent") -> None:
        """One line in the footer, until the next key."""
        screen = self.podium_screen
        if screen is not None and screen.ready:
            for footer in screen.query(Footer):
                footer.say(text, role)

    def say_later(self, text: str, role: str = "accent") -> None:
        """The same, from any thread."""
        self.call_soon(self.say, text, role)

    def copy(self, text: str) -> None:
        if not text:
            self.say("there is nothing to copy here", "warn")
            return
        sequence = clipboard_sequence(text)
        if sequence is None:
            self.say("too much for the clipboard of a terminal; filter first", "warn")
            return
        if self._driver is not None and not self.is_headless:
            self._driver.write(sequence)
        self._clipboard = text
        lines = text.count("\n") + 1
        self.say(f"copied {lines} line{'s' if lines != 1 else ''}")

    def open_address(self, address: str) -> None:
        """Over SSH, or with no display, a browser here is of no use to anybody: show the address and copy it."""
        if not address.startswith(("http://", "https://")):
            self.say("only an http(s) address is opened", "warn")
            return
        why = "over SSH no browser of yours is here" if over_ssh() else "" if _has_display() else "there is no display"
        if why:
            self.copy(address)
            self.say(f"{why}: copied {address}")
            return
        self.open_url(address)
        self.say(f"opened {address}")

    # Data

    def call_soon(self, function: Callable[..., None], *arguments: Any) -> None:
        """From any thread: call it on the UI thread. Nothing happens when the app is ending."""
        self.post_message(self.Call(function, arguments))

    def on_podium_app_call(self, message: Call) -> None:
        message.function(*message.arguments)

    def _store_changed(self) -> None:
        self.post_message(self.StoreChanged())

    def on_podium_app_store_changed(self) -> None:
        # What comes within the blink of an eye is drawn at once.
        self.set_timer(_DEBOUNCE, self._draw_changes)

    def _draw_changes(self) -> None:
        self.store.take_changes()
        screen = self.podium_screen
        if screen is not None and screen.ready:
            screen.update()

    def read(self, queries: Iterable[Query], *, force: bool = False) -> None:
        """Have queries read in the pool, those that were read too recently a little later."""
        if not self._loaded:
            return
        now = time.monotonic()
        for query in queries:
            last = self._read_at.get(query.key)
            if not force and last is not None and now - last < query.every:
                self._due[query.key] = query
                continue
            self._due.pop(query.key, None)
            self._read_at[query.key] = now
            self._submit(query)

    def read_new(self, queries: Iterable[Query]) -> None:
        """Has those queries read that were never asked for."""
        self.read([query for query in queries if query.key not in self._read_at])

    def _submit(self, query: Query) -> None:
        def done(value: Any, error: BaseException | None) -> None:
            if error is None:
                self.store.put(query.key, value)
            else:
                self.store.fail(query.key, as_podium_error(error))

        cockpit = self.cockpit
        self.pool.submit(query.key, lambda _job: query.read(cockpit), done, lane=query.lane)

    def _ask(self, *, force: bool = False) -> None:
        screen = self.podium_screen
        if screen is not None and screen.ready:
            screen.ask(force=force)
        self._listen()

    def _listen(self) -> None:
        """Has the alerts that are new looked for in the pool, and rings for them."""

        def done(found: Sequence[Ring] | None, error: BaseException | None) -> None:
            if error is None and found:
                self.call_soon(self._ring, found)

        cockpit = self.cockpit
        self.pool.submit("rings", lambda _job: self._ringer.look(cockpit), done)

    def _ring(self, found: Sequence[Ring]) -> None:
        if self._driver is not None and not self.is_headless:
            self._driver.write(sequences(found))
        self.say(found[-1].text, "warn")

    def _tick(self) -> None:
        """The one timer."""
        if not self._loaded:
            return
        if self.end_if_cut_off():
            return
        self._poll()
        if self._due:
            due, self._due = list(self._due.values()), {}
            self.read(due)
        screen = self.podium_screen
        if screen is None or not screen.ready:
            return
        screen.tick()
        now = time.monotonic()
        silent = self._poll_asked is not None and now - self._poll_asked > _STALE_SECONDS
        if now - self._ticked >= (_TICK_INTERVAL if screen.ticking or silent else _AGES_INTERVAL):
            self._ticked = now
            if silent or not screen.ticking:
                screen.update()
            else:
                screen.pass_time()

    def _poll(self) -> None:
        """Ask whether the journal changed. A poll that does not come back is not asked again: the journal is locked,
        and the frame says so."""
        if self._poll_asked is not None:
            return
        self._poll_asked = time.monotonic()
        cockpit = self.cockpit

        def work(_job: Job) -> int:
            return cockpit.changed()

        def done(value: int | None, error: BaseException | None) -> None:
            (
                self.call_soon(self._polled_journal, value, error)
                if error is not None or value != self._seen or self._poll_error
                else self._quiet()
            )

        self.pool.submit("poll", work, done, lane=POLL)

    def _quiet(self) -> None:
        """Nothing changed (called in the pool's thread, so that a quiet journal wakes nobody)."""
        self._polled = self.clock()
        self._poll_asked = None

    def _polled_journal(self, value: int | None, error: BaseException | None) -> None:
        self._poll_asked = None
        if error is not None:
            before, self._poll_error = self._poll_error, as_podium_error(error)
            if before is None or before.message != self._poll_error.message:
                self._update()
            return
        recovered = self._poll_error is not None
        self._poll_error = None
        self._polled = self.clock()
        if value != self._seen or recovered:
            self._seen = value
            self._ask(force=recovered)
            if recovered:
                self._update()

    def _update(self) -> None:
        screen = self.podium_screen
        if screen is not None and screen.ready:
            screen.update()

    def stale(self) -> tuple[str, float | None]:
        """(why what is shown may be out of date, as of when it is true); the first is empty while all is well."""
        if self._poll_error is not None:
            return self._poll_error.message, self._polled
        if self._poll_asked is not None and time.monotonic() - self._poll_asked > _STALE_SECONDS:
            return "the journal does not answer", self._polled
        return "", self._polled


def _has_display() -> bool:
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or sys.platform == "darwin")


def as_podium_error(error: BaseException) -> PodiumError:
    """Whatever a query raised, as something that can be shown."""
    if isinstance(error, PodiumError):
        return error
    return PodiumError(
        f"{type(error).__name__}: {error}", hint="this is a fault of Podium's; `podium doctor` may say more"
    )


def _collect_again() -> None:
    """The start's objects live as long as the program: take them out of the collector's sight, then let it work."""
    gc.freeze()
    gc.enable()
