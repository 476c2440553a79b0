"""The cockpit: opens the screens, carries data from the pool's threads to them, and leaves the terminal as it found it.

Small on purpose: screens own their work. Here are the start (paint first, then load), the one timer, signals, and
the end.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from textual.message import Message
from textual.screen import ModalScreen, Screen
from textual.widgets import Input

from ..core.cockpit import Cockpit, is_project
from ..core.cockpit.glances import Glances
from ..core.domain.monitoring import Ring
from ..core.domain.text import clean
from ..core.errors import UsageError
from .actions import BY_ID
from .glyphs import Glyphs
from .keys import Keymap
from .personal.history import History
from .personal.tables import Tables
from .personal.themes import OwnTheme
from .places.trail import Place, Trail
from .pool import POLL, SLOW, Job, Pool
from .projects.known import labels
from .projects.session import Session, as_podium_error
from .queries import Query
from .ringing import sequences
from .screens import BY_NAME, FIRST, MAIN
from .store import Store
from .terminal import clipboard_sequence, over_ssh, plain_glyphs
from .themes.theme import Themes, theme_name
from .typing.keyed_app import KeyedApp
from .widgets.charts.turns import Turns
from .widgets.footer import Footer

_INTERVAL, _INTERVAL_SSH = 0.25, 0.5
_STALE_SECONDS = 3.0  # seconds without an answer from the journal, after which what is shown is called stale
_TICK_INTERVAL = 1.0
_AGES_INTERVAL = 15.0
_DEBOUNCE = 0.015
MOST_OPEN = 4  # projects whose screens are kept


class PodiumApp(KeyedApp):
    """`begun` is the project's session with the pool that reads for it, where that began before Textual was there;
    `clock` gives the time (tests fix it); `interval` is the timer's period in seconds, 0 for none."""

    TITLE = "Podium"
    ENABLE_COMMAND_PALETTE = False  # ours finds things, and asks no more than it can answer at once
    BINDINGS: ClassVar[list[Any]] = [("ctrl+c", "say_quit", "Quit")]
    CLOSE_TIMEOUT = 0.3
    unseen: ClassVar[tuple[int, int] | None] = None
    """The size of a picture that no terminal shows; None for one that is drawn."""
    DEFAULT_MODE = "first"  # of the screen that is shown first; the others are modes of their own names
    CSS = """
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
        projects: Sequence[Path] = (),
        begun: tuple[Session, Pool] | None = None,
        clock: Callable[[], float] = time.time,
        interval: float | None = None,
        plain: bool | None = None,
        browser: bool = False,
        themes: Sequence[OwnTheme] = (),
    ) -> None:
        super().__init__()
        self.read_only, self.browser = read_only, browser
        self.keymap = keymap or Keymap()
        self.clock = clock
        self.glyphs = Glyphs(plain=plain_glyphs() if plain is None else plain)
        self._session, self.pool = begun or (Session(0, cockpit, clock), Pool())
        self.store.on_change = self._store_changed
        self._opened = [self._session]
        self.projects: tuple[Path, ...] = tuple(dict.fromkeys((cockpit.home, *projects)))
        self._glances = Glances()
        self._first = screen or FIRST.name
        self._interval = (_INTERVAL_SSH if over_ssh() else _INTERVAL) if interval is None else interval
        self._ticked = 0.0
        self._renewed = 0.0
        self._loaded = False
        self.history = History()
        self.tables = Tables()
        self.themes = Themes(themes)
        self.turns = Turns(self)
        for each in self.themes.textual():
            self.register_theme(each)
        self.theme = theme_name(theme)
        self.stylesheet.set_variables(self.get_css_variables())
        self._styled_for = self.theme

    # Life

    @property
    def cockpit(self) -> Cockpit:
        """The façade of the project that is shown."""
        return self._session.cockpit

    @property
    def store(self) -> Store:
        return self._session.store

    @property
    def session(self) -> Session:
        return self._session

    @property
    def trail(self) -> Trail:
        return self._session.trail

    def on_mount(self) -> None:
        self.store.take_changes()  # the first picture has what came before it
        if self.glyphs.plain:
            self.add_class("-ascii")
        self._add_modes(self._session)
        self.handle_signals()
        self.app_resume_signal.subscribe(self, lambda _app: self.refresh(layout=True))
        if self._interval:
            self.set_interval(self._interval, self._tick)
        self.call_after_refresh(self._begin)

    def refresh_css(self, animate: bool = True) -> None:
        """Nothing has changed when Textual asks for it at the start: the style sheet was made for this theme, and would
        be parsed, and everything laid out, a second time before the first picture."""
        if self._loaded or self.theme != self._styled_for:
            super().refresh_css(animate)

    def get_default_screen(self) -> Screen[Any]:
        """The first screen is the one at the bottom of the stack, not one on top of an empty one that would be
        painted before it."""
        return self._screen_named(self._first)

    def _begin(self) -> None:
        """After the first paint: load."""
        self._loaded = True
        if self.store.take_changes():  # while the first picture was drawn
            self._draw_changes()
        self._load()
        self._poll()
        self._say_of_theme()
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

    def _add_modes(self, session: Session) -> None:
        for each in MAIN:
            self.add_mode(self._mode_of(each.name, session), partial(self._screen_named, each.name))

    def _mode_of(self, name: str, session: Session | None = None) -> str:
        session = session or self._session
        return self.DEFAULT_MODE if name == self._first and not session.number else session.mode(name)

    # Projects

    def glance(self, home: Path) -> Query:
        """The query of what one look tells of a project."""
        glances = self._glances
        return Query(f"project:{home}", lambda _cockpit: glances.look(home), every=2.0, lane=SLOW)

    def project_labels(self) -> Mapping[Path, str]:
        """What names each project, as far as they were looked at."""
        known = {home: self.store.value(self.glance(home).key) for home in self.projects}
        return labels(self.projects, {home: each for home, each in known.items() if each is not None})

    def open_project(self, home: Path) -> None:
        """Shows another project: its own screens, with their cursors as they were if it is open already. Whatever was
        awaited of the one before is not shown in this one."""
        if home == self._session.cockpit.home:
            self.go(self._session.screen or FIRST.name)
            return
        if not is_project(home):
            self.say(f"there is no podium.yaml in {home} (any more)", "warn")
            return
        if self.awaited:
            self.abandon()
        screen = self.podium_screen
        if screen is not None and BY_NAME[screen.title_id].above:
            self.pop_screen()
        self._session.screen = self.podium_screen.title_id
        session = next((each for each in self._opened if each.cockpit.home == home), None)
        self._session = session or self._new_session(home)
        self._opened.sort(key=lambda each: each is self._session)  # the last one is the newest in use
        self.switch_mode(self._mode_of(self._session.screen or FIRST.name))
        self._ask(force=True)
        self._poll()
        self.say(f"{self.project_labels().get(home, home.name)}, in {home}")

    def _new_session(self, home: Path) -> Session:
        number = max(each.number for each in self._opened) + 1
        session = Session(number, Cockpit(home), self.clock, self._store_changed)
        self._opened.append(session)
        self._add_modes(session)
        while len(self._opened) > MOST_OPEN:
            self._close_session(next(each for each in self._opened if each.number and each is not session))
        return session

    def _close_session(self, session: Session) -> None:
        """Forgets the screens of a project; it is opened anew when somebody goes there."""
        self._opened.remove(session)
        for each in MAIN:
            mode = self._mode_of(each.name, session)
            if mode in self._modes and mode != self.current_mode:
                self.remove_mode(mode)

    def leave_for_new(self) -> None:
        """Notes where a person is, to come back to."""
        screen = self.podium_screen
        if screen is not None and screen.ready and not BY_NAME[screen.title_id].above:
            self.trail.leave(screen.place())

    def go_back(self) -> None:
        self._go_along(self.trail.back, "this is where you began")

    def go_forward(self) -> None:
        self._go_along(self.trail.forward, "you have not come back from anywhere")

    def _go_along(self, step: Callable[[Place], Place | None], nowhere: str) -> None:
        screen = self.podium_screen
        place = step(screen.place())
        if place is None:
            self.say(nowhere)
            return
        self._show_screen(place.screen).return_to(place)
        self.say(f"{place.words}   ({self.trail.behind} further back, {self.trail.ahead} forward)")

    def go(self, name: str) -> Any:
        """Show one of the main screens. Each is a mode: made when it is first shown, then kept with its cursor."""
        current = self.podium_screen
        if current is not None and current.title_id != name:
            self.leave_for_new()
        return self._show_screen(name)

    def _show_screen(self, name: str) -> Any:
        if name not in BY_NAME:
            raise UsageError(f"there is no screen {name!r}", hint=f"there are: {', '.join(BY_NAME)}")
        current = self.podium_screen
        if current is not None and current.title_id != name and BY_NAME[current.title_id].above:
            self.pop_screen()
            current = self.podium_screen
        if current is not None and current.title_id != name:
            self.switch_mode(self._mode_of(name))
            self._session.screen = name
        return self.podium_screen

    def go_to_run(self, run_id: int) -> None:
        # A dialog that a person types into stays where it is, and its keys with it; and at the end there is no screen
        # any more, and none is to be opened.
        if not self.is_running or not self.screen_stack or isinstance(self.screen_stack[-1], ModalScreen):
            return
        if isinstance(self.focused, Input):  # so does what is typed into the prompt
            return
        self.leave_for_new()
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

    def action_suspend_process(self) -> None:
        if self.browser:
            self.say("in a browser there is no shell to go back to; leave the tab as it is, or close it")
        else:
            super().action_suspend_process()

    def action_say_quit(self) -> None:
        self.say(
            f"{self.keymap.shown(BY_ID['back'])} goes back and quits on Overview, ctrl+q quits from anywhere; runs go"
            " on without the cockpit"
        )

    def toggle_theme(self) -> None:
        self.theme = self.themes.after(self.theme)
        self._say_of_theme()
        for screen in self.screen_stack:
            screen.refresh(layout=True)
            for widget in screen.query("Pane"):
                widget.refresh()

    def _say_of_theme(self) -> None:
        warning = self.themes.warning(self.theme)
        if warning:
            self.say(warning, "warn")

    def run_outside(self, argv: Sequence[str], words: str, **given: Any) -> int:
        """Give the terminal to another program until it ends; its exit code. `given` as `external_program` has it."""
        from .external_program import run_outside

        return run_outside(self, argv, words, **given)

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
        # A terminal obeys what is pasted into it: no escape goes onto the clipboard.
        text = "\n".join(map(clean, text.split("\n")))
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
        why = "to be opened in another tab" if self.browser else why
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
        if self._loaded:
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
            last = self._session.read_at.get(query.key)
            if not force and last is not None and now - last < query.every:
                self._session.due[query.key] = query
                continue
            self._session.due.pop(query.key, None)
            self._submit(query)

    def read_new(self, queries: Iterable[Query]) -> None:
        """Has those queries read that were never asked for."""
        self.read([query for query in queries if query.key not in self._session.read_at])

    def _submit(self, query: Query) -> None:
        self._session.submit(query, self.pool)

    def _load(self) -> None:
        """Has read what the first screen shows, but for what was asked for before it was there."""
        screen = self.podium_screen
        if screen is not None and screen.ready:
            self.read_new(screen.all_queries())
        self._listen()

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

        cockpit, ringer = self.cockpit, self._session.ringer
        self.pool.submit("rings", lambda _job: ringer.look(cockpit), done)

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
        if self._session.due:
            due, self._session.due = list(self._session.due.values()), {}
            self.read(due)
        screen = self.podium_screen
        if screen is None or not screen.ready:
            return
        screen.tick()
        now = time.monotonic()
        if now - self._renewed >= _TICK_INTERVAL:
            self._renewed = now
            self.read([query for query in screen.all_queries() if self._session.expired(query)])
        silent = self._session.poll_asked is not None and now - self._session.poll_asked > _STALE_SECONDS
        if now - self._ticked >= (_TICK_INTERVAL if screen.ticking or silent else _AGES_INTERVAL):
            self._ticked = now
            if silent or not screen.ticking:
                screen.update()
            else:
                screen.pass_time()

    def _poll(self) -> None:
        """Ask whether the journal changed. A poll that does not come back is not asked again: the journal is locked,
        and the frame says so."""
        session = self._session
        if session.poll_asked is not None:
            return
        session.poll_asked = time.monotonic()
        cockpit = session.cockpit

        def work(_job: Job) -> int:
            return cockpit.changed()

        def done(value: int | None, error: BaseException | None) -> None:
            (
                self.call_soon(self._polled_journal, session, value, error)
                if error is not None or value != session.seen or session.poll_error
                else self._quiet(session)
            )

        self.pool.submit(f"poll:{session.number}", work, done, lane=POLL)

    def _quiet(self, session: Session) -> None:
        """Nothing changed (called in the pool's thread, so that a quiet journal wakes nobody)."""
        session.polled = self.clock()
        session.poll_asked = None

    def _polled_journal(self, session: Session, value: int | None, error: BaseException | None) -> None:
        session.poll_asked = None
        if session is not self._session:
            return  # whoever goes back there has it read again
        if error is not None:
            before, session.poll_error = session.poll_error, as_podium_error(error)
            if before is None or before.message != session.poll_error.message:
                self._update()
            return
        recovered = session.poll_error is not None
        session.poll_error = None
        session.polled = self.clock()
        if value != session.seen or recovered:
            session.seen = value
            self._ask(force=recovered)
            if recovered:
                self._update()

    def _update(self) -> None:
        screen = self.podium_screen
        if screen is not None and screen.ready:
            screen.update()

    def stale(self) -> tuple[str, float | None]:
        """(why what is shown may be out of date, as of when it is true); the first is empty while all is well."""
        if self._session.poll_error is not None:
            return self._session.poll_error.message, self._session.polled
        if self._session.poll_asked is not None and time.monotonic() - self._session.poll_asked > _STALE_SECONDS:
            return "the journal does not answer", self._session.polled
        return "", self._session.polled


def _has_display() -> bool:
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or sys.platform == "darwin")


def _collect_again() -> None:
    """The start's objects live as long as the program: take them out of the collector's sight, then let it work."""
    gc.freeze()
    gc.enable()
