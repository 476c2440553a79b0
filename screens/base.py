"""What all screens share: the frame, keys through the registry of actions, and the data they ask for.

A screen names its queries (`queries`), draws what the store holds (`show`), and does what its actions say
(`do_<id>`). It owns its work; the app only carries it out.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingsMap
from textual.containers import Container
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Input

from ..core.domain.delivery import EnvironmentStatus
from ..core.domain.runs import Run, RunState
from ..core.errors import ConfigError, PodiumError
from ..tui.actions import ACTIONS, Action
from ..tui.confirmations import Confirmation
from ..tui.context import Context
from ..tui.glyphs import Glyphs
from ..tui.places.crumbs import crumbs
from ..tui.places.sought import Sought
from ..tui.places.trail import Place
from ..tui.pool import CHANGE, SLOW
from ..tui.queries import AGENT, PROJECT, ProjectView, Query
from ..tui.screens import BY_NAME as SCREENS
from ..tui.store import Snapshot, Store
from ..tui.widgets.footer import Footer
from ..tui.widgets.header import Header, stale_words
from ..tui.widgets.pane import READING, Pane, Span
from ..tui.widgets.prompt import Prompt
from ..tui.widgets.table import Table
from .navigation import Navigation

if TYPE_CHECKING:
    from ..tui.palette import Entry
    from ..tui.projects.session import Session
    from ..tui.protocol import CockpitApp
    from ..tui.widgets.log_view import LogView


_JOBS = count()
# What these do depends on nothing that has to be read first.
_ALWAYS_READY = frozenset(
    {"help", "palette", "quit", "back", "escape", "theme", "suspend", "refresh", "agent", "zoom", "pane_next"}
    | {"pane_previous", "history_back", "history_forward", "projects", "board"}
    | {action.id for action in ACTIONS if action.goes_to}
)


class PodiumScreen(Screen[None], inherit_bindings=False):
    title_id: ClassVar[str] = ""
    first_pane: ClassVar[str] = ""
    has_crumbs: ClassVar[bool] = True
    """Whether what its keys are about is what is under the cursor."""
    ALLOW_SELECT = False
    HORIZONTAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-narrow"), (100, "-wide"), (160, "-huge")]
    VERTICAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-low"), (32, "-tall")]
    ESCAPE_TO_MINIMIZE = False
    DEFAULT_CSS = """
    PodiumScreen { background: $background; layers: base; }
    PodiumScreen #body { height: 1fr; width: 1fr; }
    PodiumScreen.-zoomed #body Pane { display: none; }
    PodiumScreen.-zoomed #body Pane.-zoom { display: block; width: 1fr; height: 1fr; max-height: 100%;
        max-width: 100%; }
    PodiumScreen.-zoomed #body .group { display: none; }
    PodiumScreen.-zoomed #body .group.-zoom { display: block; width: 1fr; height: 1fr; max-height: 100%;
        max-width: 100%; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._bindings = BindingsMap()
        self.AUTO_FOCUS = f"#{self.first_pane}" if self.first_pane else "*"
        self._frame_timer: Timer | None = None
        self._asked: tuple[str, ...] = ()
        self._heights: dict[Any, int | None] = {}
        self._sought: tuple[Sought, ...] = ()
        self._drawn_once = False
        self._hurried = False
        self._focus_then = ""
        self._session: Session | None = None
        self.navigation = Navigation(self)

    def fit(self, width: int, height: int) -> None:
        """Take the classes of the terminal's size before the first layout: else everything would be laid out, and
        painted, twice."""
        for size, points in ((width, self.HORIZONTAL_BREAKPOINTS), (height, self.VERTICAL_BREAKPOINTS)):
            self.add_class(max((point for point in points if point[0] <= size), default=points[0])[1])

    # Parts

    @property
    def podium(self) -> CockpitApp:
        return cast("CockpitApp", self.app)

    @property
    def ready(self) -> bool:
        """Tells whether the screen has its panes, so that it can be drawn. It has none before they are made, nor while
        the app ends: a screen that is opened then gets none (Textual does not attach it), and those of other screens
        are removed one by one."""
        return self.is_mounted and self.is_attached and self.app.is_running

    @property
    def store(self) -> Store:
        """What was read of the project that the screen is about, also while another one is shown."""
        return self._session.store if self._session is not None else self.podium.store

    @property
    def glyphs(self) -> Glyphs:
        return self.podium.glyphs

    @property
    def project(self) -> ProjectView | None:
        value: ProjectView | None = self.store.value("project")
        return value

    def compose(self) -> ComposeResult:
        yield Header(self.title_id)
        with Container(id="body"):
            yield from self.body()
        yield Footer(self.title_id)
        yield Prompt()

    def body(self) -> ComposeResult:
        """The screen's panes."""
        yield from ()

    def queries(self) -> Iterable[Query]:
        """What is to be read for what is on screen now, the frame apart."""
        return ()

    def show(self) -> None:
        """Draw what the store holds."""

    def tick(self) -> None:
        """A few times a second while on screen."""
        for log in self._logs:
            if log.is_attached:
                log.poll()

    @cached_property
    def _logs(self) -> Sequence[LogView]:
        """Returns the logs on the screen. All are there from the start; a search of the tree costs more than a poll."""
        return tuple(cast("LogView", each) for each in self.query("LogView"))

    def pass_time(self) -> None:
        """Draw what changes with time alone. Once a second, so it must cost next to nothing."""
        self.update()

    @property
    def ticking(self) -> bool:
        """Whether something on screen changes with time alone (a running step's duration)."""
        return False

    def several_models(self) -> bool:
        """Tells whether podium.yaml names more than one model: then what is shown of a version has its model."""
        return self.project is not None and len(self.project.models) > 1

    def context(self) -> Context:
        """What the actions' availability depends on."""
        return Context()

    def make_context(self, *subjects: object, marked: int = 0, chosen: tuple[object, ...] = ()) -> Context:
        """Returns the context of this screen; `subjects` are what is under the cursor (None: nothing of its kind), and
        `chosen` what is marked to be done something with at once."""
        pane = self.pane
        rows = pane.shown if isinstance(pane, Table) else 0
        broken = isinstance(self.store.get("project").error, ConfigError) or bool(
            self.project and self.project.problems
        )
        models = self.project.models if self.project is not None else ()
        return Context(
            screen=self.title_id,
            pane=pane.kind if pane else "",
            read_only=self.podium.read_only,
            rows=rows,
            project=not broken,
            models=models,
            subjects=tuple(subject for subject in subjects if subject is not None),
            marked=marked or len(chosen),
            chosen=chosen,
        )

    # Life

    def on_mount(self) -> None:
        self._session = self.podium.session
        for key, action_id in self.podium.keymap.bindings():
            first = action_id == "quit"
            self._bindings._add_binding(Binding(key, f"perform('{action_id}')", action_id, show=False, priority=first))

    def on_screen_resume(self) -> None:
        if self.ready:
            self.ask(force=True)
            self.update()

    def all_queries(self) -> list[Query]:
        return [PROJECT, AGENT, *self.queries()]

    def ask(self, *, force: bool = False) -> None:
        """Have what is on screen read, where it is older than the journal."""
        self.podium.read(self.all_queries(), force=force)

    def update(self) -> None:
        """Shows what is known, and has read what was not asked for yet."""
        if not self.ready or not self.is_current:
            return
        self._show_frame()
        self.show()
        self._drawn_once = True
        self._go_to_sought()
        self.show_footer()
        # One answer tells what else is needed: the project names the model, a row the version under the cursor.
        self.podium.read_new(self.all_queries())

    # Where it is

    def place(self) -> Place:
        """Returns this screen with its cursors, to come back to."""
        tables = [table for table in self.query(Table) if table.id and table.current is not None]
        words = " › ".join((SCREENS[self.title_id].title, *(crumbs(self.context()) if self.has_crumbs else ())))
        cursors = tuple((str(table.id), table.current_key) for table in tables)
        return Place(self.title_id, words, str(self.pane.id) if self.pane is not None else "", cursors)

    def return_to(self, place: Place) -> None:
        """Puts the cursors where they were."""

        def at(id: str, key: Hashable) -> Sought:
            table: Table[Any] = self.query_one(f"#{id}", Table)
            return Sought(id, lambda row: table.key_of(row) == key, needed=False)

        self._focus_then = place.pane
        self.seek(*(at(id, key) for id, key in place.cursors))

    def do_history_back(self) -> None:
        self.podium.go_back()

    def do_history_forward(self) -> None:
        self.podium.go_forward()

    # What the cursor is to go to

    def seek(self, *sought: Sought) -> None:
        """Puts the cursors of tables on rows, one after the other, as soon as they have come."""
        self._sought = sought
        if self.ready:
            self.ask(force=True)
            self.update()

    def _go_to_sought(self) -> None:
        while self._sought:
            first, *rest = self._sought
            table: Table[Any] = self.query_one(f"#{first.table}", Table)
            if table.go_to_first(first.matches):
                self.focus_pane(table)
            elif self._still_reading():
                return
            elif first.needed:
                self._sought = ()
                self._not_found(first)
                return
            self._sought = tuple(rest)
        if self._focus_then:
            pane, self._focus_then = self._focus_then, ""
            for each in self.query(f"#{pane}").results(Pane):
                self.focus_pane(each)

    def _still_reading(self) -> bool:
        """Tells whether something of what the screen asked for has not come."""
        queries = self.all_queries()
        return any(self.store.get(query.key).loading or self.podium.pool.busy(query.key) for query in queries)

    def _not_found(self, sought: Sought) -> None:
        if sought.otherwise is not None:
            sought.otherwise()
        elif sought.name:
            self.podium.say(f"{sought.name} is not in the list (any more)", "warn")

    def awaits(self, key: str) -> bool:
        """Tells whether what a key would act on has not come yet."""
        action = self.podium.keymap.action_of(key)
        if isinstance(self.focused, Input) or (action is not None and action.id in _ALWAYS_READY):
            return False
        to_a_match = action is not None and action.id in ("next", "previous")
        return not self._drawn_once or self.loading or (to_a_match and self.podium.pool.busy("log-search"))

    @property
    def loading(self) -> bool:
        """Whether the rows or lines that keys act on are still being read."""
        return bool(self._sought) or (self.pane is not None and self.pane.reading)

    def touched(self) -> None:
        """A person has chosen something: the focus stays where they are."""

    def show_footer(self) -> None:
        context = self.context()
        self.query_one(Footer).show(context)
        self.query_one(Header).show_crumbs(crumbs(context) if self.has_crumbs else ())

    def _show_frame(self) -> None:
        project = self.project
        stale, since = self.podium.stale()
        environment = self.context().find(EnvironmentStatus)
        protected = environment.name if environment is not None and environment.protected else ""
        words = stale_words(since, self.podium.clock(), stale) if stale else _trouble(project)
        self.query_one(Header).show(
            project=project.name if project else self.podium.cockpit.home.name,
            protected=protected,
            agent=self.store.value("agent"),
            stale=words,
        )

    def second(self, runs: Iterable[Run]) -> int:
        """What the times in a list of runs depend on: the second while one of them goes on, else no more than the
        quarter of a minute."""
        now = self.podium.clock()
        return int(now) if any(run.state is RunState.RUNNING for run in runs) else int(now // 15) * 15

    def notice_for(self, snapshot: Snapshot, empty: tuple[Span, ...], what: str = "") -> tuple[Span, ...]:
        """What stands in a pane that has no rows: loading, the error with its hint, or what to do when there is
        nothing yet."""
        if snapshot.error is not None and not snapshot.value:
            return error_lines(snapshot.error)
        if snapshot.loading:
            return READING
        return empty

    # Keys

    def on_idle(self) -> None:
        """Paints at once what a key has changed. Textual paints at fixed moments, sixty times a second: a key that
        comes just after something else was painted (a log that grows, a second that went by) would wait for the
        next one."""
        changed = bool(self._dirty_widgets) or self._layout_required or self._scroll_required
        if self._hurried and changed and self.is_current and not self.app.message_queue_size:
            self._hurried = False
            self._on_timer_update()

    def action_perform(self, action_id: str) -> None:
        if not self.ready:
            return
        self._hurried = True
        action = self.podium.keymap.find(action_id)
        if action is None:
            return
        footer = self.query_one(Footer)
        footer.say("")
        refused = action.refusal(self.context())
        if refused:
            self.podium.say(f"{action.label_on(self.title_id)}: {refused}", "warn")
            return
        self._do(action)
        self.show_footer()

    @classmethod
    def can(cls, action: Action) -> bool:
        """Whether this screen does anything for an action."""
        name = f"do_{action.id}"
        return hasattr(cls, name) or hasattr(Navigation, name) or bool(action.goes_to or action.confirm or action.own)

    def _do(self, action: Action) -> None:
        name = f"do_{action.id}"
        if action.id == "open" and self.navigation.open_line():
            return
        handler = getattr(self, name, None) or getattr(self.navigation, name, None)
        if handler is not None:
            handler()
        elif action.goes_to:
            self.podium.go(action.goes_to)
        elif action.confirm is not None:
            self.confirm(action.confirm(self.context()))
        elif action.own is not None:
            from .verbs.own import run

            run(self, action.own)
        else:
            self.podium.say(f"{action.label_on(self.title_id)}: nothing to do here", "warn")

    def on_prompt_answered(self, message: Prompt.Answered) -> None:
        message.stop()
        self.answered(message)

    def answered(self, message: Prompt.Answered) -> None:
        """Does what was typed into the prompt; a screen that asks for something of its own does that instead. It is no
        handler of Textual's, which calls those of each class by itself: the answer would count twice."""
        self.navigation.answered(message)

    @property
    def panes(self) -> list[Pane]:
        """The panes that can be focused, in the order of tab."""
        return [pane for pane in self.query(Pane) if pane.focusable]

    @property
    def pane(self) -> Pane | None:
        return self.focused if isinstance(self.focused, Pane) else None

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        if self.ready:
            self.show_footer()
            if self.pane is not None:
                self.pane.refresh()

    def _focus_step(self, direction: int) -> None:
        panes = self.panes
        if not panes:
            return
        pane = self.pane
        zoomed = self.has_class("-zoomed")
        if zoomed:
            self.unzoom()
            panes = self.panes
        at = panes.index(pane) if pane in panes else -direction if direction < 0 else -1
        self.focus_pane(panes[(at + direction) % len(panes)])
        if zoomed:
            self.do_zoom()

    def focus_pane(self, pane: Pane) -> None:
        """At once: `Widget.focus` does it a little later, and whatever follows would still mean the pane before."""
        self.set_focus(pane)

    def do_pane_next(self) -> None:
        self._focus_step(1)

    def do_pane_previous(self) -> None:
        self._focus_step(-1)

    def do_zoom(self) -> None:
        if self.has_class("-zoomed"):
            self.unzoom()
        elif self.pane is not None:
            self.add_class("-zoomed")
            for node in self.pane.ancestors_with_self:
                if node is self:
                    break
                node.add_class("-zoom")
                if node in self._heights:
                    node.styles.height = None

    def set_height(self, pane: Pane, cells: int | None) -> None:
        """So high is the pane, unless it has the whole screen; None leaves it to the style sheet."""
        self._heights[pane] = cells
        if not pane.has_class("-zoom"):
            pane.styles.height = cells

    def unzoom(self) -> None:
        """Gives the other panes their room back."""
        self.remove_class("-zoomed")
        for pane, cells in self._heights.items():
            pane.styles.height = cells
        for node in self.query(".-zoom"):
            node.remove_class("-zoom")

    def do_agent(self) -> None:
        self._put_above("agent")

    def do_board(self) -> None:
        self._put_above("board")

    def do_projects(self) -> None:
        self._put_above("projects")

    def _put_above(self, name: str) -> None:
        """Shows a screen on top of Overview."""
        self.podium.go("overview")
        screen = SCREENS[name].make()
        screen.fit(*self.app.size)
        self.app.push_screen(screen)

    def do_why(self) -> None:
        from .verbs.reasons import ask

        ask(self)

    def do_help(self) -> None:
        from ..tui.widgets.help import HelpScreen

        self.app.push_screen(HelpScreen(self.podium.keymap, self.context()))

    def do_palette(self) -> None:
        from ..tui.widgets.palette_dialog import PaletteDialog

        self.app.push_screen(PaletteDialog(self.named()), self.chosen)

    def named(self) -> list[Entry]:
        """Returns what has a name beside the things of the project: other projects, screens, actions."""
        from ..tui.palette import actions, projects

        several = len(self.podium.projects) > 1
        known = projects(self.podium.project_labels()) if several else []
        return [*known, *actions(self.context(), self.podium.keymap)]

    def chosen(self, entry: Entry | None) -> None:
        """Goes to what was chosen by its name, or does it."""
        if entry is None:
            return
        self.podium.history.add(entry.name)
        if entry.compare or entry.at:
            from .verbs.asked import ask_in_words

            ask_in_words(self, entry)
        elif entry.project:
            self.podium.open_project(Path(entry.project))
        elif entry.found is not None:
            from .places import show

            self.podium.leave_for_new()
            show(self.podium, entry.found)
        else:
            self.action_perform(entry.action)

    def do_theme(self) -> None:
        self.podium.toggle_theme()

    def do_suspend(self) -> None:
        self.app.action_suspend_process()

    def do_quit(self) -> None:
        self.app.exit(0)

    def do_escape(self) -> None:
        """Clear, then leave zoom, then back; never out of the program."""
        pane = self.pane
        if pane is not None and pane.clear():
            return
        if self.has_class("-zoomed"):
            self.unzoom()
            return
        self.leave(quit_at_root=False)

    def do_back(self) -> None:
        if self.has_class("-zoomed"):
            self.unzoom()
            return
        self.leave(quit_at_root=True)

    def leave(self, *, quit_at_root: bool) -> None:
        self.podium.back(quit_at_root=quit_at_root)

    def do_refresh(self) -> None:
        self.ask(force=True)
        self.podium.say("reading the registry again")

        def done(_value: Any, error: BaseException | None) -> None:
            if error is None:
                self.podium.say_later("everything is up to date")
            else:
                reason = str(error) if isinstance(error, PodiumError) else "see `podium doctor`"
                self.podium.say_later(
                    f"the registry cannot be read: {reason}; what is shown is as it was last seen", "warn"
                )

        cockpit = self.podium.cockpit
        self.podium.pool.submit("refresh-versions", lambda _job: cockpit.models.refresh_apart(), done, lane=SLOW)

    def do_browser(self) -> None:
        address = self.address()
        if not address:
            self.podium.say("nothing here has an address to open", "warn")
            return
        self.podium.open_address(address)

    def address(self) -> str:
        """The web address of what is under the cursor."""
        project = self.project
        return project.tracking_uri if project is not None and not project.embedded else ""

    # Work that changes something

    def confirm(self, asked: Confirmation) -> None:
        """Asks, and after a yes does it; a run that comes of it is shown."""
        from ..tui.widgets.confirm import ConfirmDialog

        def decided(why: str | None) -> None:
            if why is not None:
                self.carry_out(asked.what, lambda cockpit: asked.work(cockpit, why), done, awaited=False)

        def done(value: object) -> None:
            if isinstance(value, Run):
                self.show_started(value)
            else:
                self.podium.say(asked.said)

        dialog = ConfirmDialog(
            asked.question,
            asked.lines,
            asked.yes,
            keep=asked.no,
            command=asked.command,
            needs_reason=asked.needs_reason,
        )
        self.app.push_screen(dialog, decided)

    def show_started(self, run: Run) -> None:
        """Goes to a run that was just started."""
        self.podium.go_to_run(run.id)
        self.podium.say(f"run {run.id} started: {run.title}")

    def carry_out(self, what: str, work: Any, done: Any = None, *, awaited: bool | None = None) -> None:
        """Run `work(cockpit)` in the pool; say how it went, and hand its value to `done` on this thread. `awaited`
        (default: if there is a `done`): what is typed meanwhile is meant for what comes, and waits for it."""
        self.podium.say(f"{what} …")
        podium, cockpit = self.podium, self.podium.cockpit
        number = podium.await_answer(what) if (done is not None if awaited is None else awaited) else None

        def finished(value: Any, error: BaseException | None) -> None:
            shows = done if podium.cockpit is cockpit else None  # nothing of one project is shown in another
            podium.call_soon(self._came, number, what, value, error, shows)

        # A key of its own for what nobody waits for: a job that waits is replaced by one with the same key.
        key = f"work:{what}" if number is not None else f"work:{what}:{next(_JOBS)}"
        podium.pool.submit(key, lambda _job: work(cockpit), finished, lane=CHANGE)

    def _came(self, number: int | None, what: str, value: Any, error: BaseException | None, done: Any) -> None:
        """What was awaited is here, or cannot be made; nobody sees it who has left it meanwhile."""
        if number is None:
            self._carried_out(what, value, error, done)
        elif self.podium.came(number):
            dropped = self.podium.typed.drop() if error is not None else 0
            self._carried_out(what, value, error, done, dropped)

    def _carried_out(self, what: str, value: Any, error: BaseException | None, done: Any, dropped: int = 0) -> None:
        lost = f" ({dropped} keys that were typed for it are dropped)" if dropped else ""
        if error is None:
            self.podium.say("")
            if done is not None:
                done(value)
        elif isinstance(error, PodiumError):
            self.podium.say(f"{what}: {error.message}" + (f"; {error.hint}" if error.hint else "") + lost, "bad")
        else:
            self.podium.say(f"{what}: {type(error).__name__}: {error}{lost}", "bad")
        self.ask(force=True)

    def show_run(self, run: Run) -> None:
        """Go to Runs, on this run."""
        self.podium.go_to_run(run.id)


def error_lines(error: PodiumError) -> tuple[Span, ...]:
    """An error and what to do about it, for a pane that has nothing better to show."""
    if isinstance(error, ConfigError):
        lines: list[Span] = [("podium.yaml cannot be used", "bad!")]
        for problem in error.problems[:8]:
            lines.append((str(problem), "text"))
            if problem.hint:
                lines.append((f"  {problem.hint}", "muted"))
        lines += [("", ""), ("Runs and their logs can still be read. Correct the file, then press r.", "muted")]
        return tuple(lines)
    return tuple(
        line for line in ((error.message, "bad!"), ("", ""), (error.hint, "muted")) if line[0] or line[1] == ""
    )


def _trouble(project: ProjectView | None) -> str:
    """Returns what every screen says of the project's own state; empty while all is well."""
    if project is None:
        return ""
    if project.problems:
        return project.problems[0]
    return f"a copy of {project.copy_of}" if project.copy_of else ""
