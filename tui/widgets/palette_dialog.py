"""The palette: a name is typed, and enter goes to what has it. What is typed before the answer has come waits for
it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from ...core.domain.find.found import Found
from ..palette import MAX_ROWS, Entry, best, recent, things
from .pane import Cell
from .table import Column, Table

if TYPE_CHECKING:
    from ..protocol import CockpitApp

_MOVES = {
    "down": "down",
    "up": "up",
    "ctrl+n": "down",
    "ctrl+p": "up",
    "pagedown": "half_down",
    "pageup": "half_up",
    "tab": "down",
    "shift+tab": "up",
}
_ROLES = {"action": "muted", "screen": "accent"}


class Names(Table[Entry]):
    """The rows below what is typed. The cursor is drawn as where the keys go, although the letters go elsewhere."""

    can_focus = False

    @property
    def has_focus(self) -> bool:  # type: ignore[override]
        return True

    @has_focus.setter
    def has_focus(self, value: bool) -> None: ...


class PaletteDialog(ModalScreen[Entry | None]):
    """Answers with the entry that was chosen, or None."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    PaletteDialog { align: center top; background: $background 60%; }
    PaletteDialog > Vertical { width: 100; max-width: 96%; height: auto; max-height: 90%; margin-top: 1;
        background: $surface; border: round $frame-focus; border-title-color: $accent; border-subtitle-color: $muted; }
    PaletteDialog Input { border: none; height: 1; background: $panel; padding: 0 1; }
    PaletteDialog Input:focus { border: none; background: $panel; }
    PaletteDialog Names, PaletteDialog Names:focus { height: 16; border: none; }
    PaletteDialog.-low Names, PaletteDialog.-low Names:focus { height: 14; }
    """
    VERTICAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-low"), (32, "-tall")]

    def __init__(self, verbs: Sequence[Entry]) -> None:
        super().__init__()
        self.verbs = verbs
        self._shown: str | None = None
        """What the rows are the answer to."""
        self._chosen = False
        self._moved = False

    @property
    def podium(self) -> CockpitApp:
        return cast("CockpitApp", self.app)

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = "Go to, or do"
            box.border_subtitle = "enter go  up down choose  esc close"
            entry = Input(id="name", placeholder="v7, run 41, production, a step, a commit, an action …")
            entry.cursor_blink = False
            yield entry
            yield Names(
                "",
                (
                    Column("", self._named, width=20, flex=2),
                    Column("", lambda each: ((each.kind, _ROLES.get(each.kind, "wait")),), width=11),
                    Column("", lambda each: ((each.words, "faint" if each.refused else "muted"),), width=10, flex=3),
                    Column("", lambda each: ((each.keys, "warn"),), width=8, from_width=60),
                ),
                key=lambda each: (each.kind, each.name, each.words),
                text=lambda each: each.name,
                header=False,
                id="names",
            )

    def _named(self, entry: Entry) -> Cell:
        return ((entry.name, "muted" if entry.refused else "text!"),)

    def on_mount(self) -> None:
        self.set_focus(self.entry)
        self._ask()

    @property
    def entry(self) -> Input:
        return self.query_one("#name", Input)

    @property
    def typed(self) -> str:
        """What is looked for: a colon before it is the key that opens the palette, typed once more."""
        return self.entry.value.strip().removeprefix(":").lstrip()

    @property
    def names(self) -> Names:
        return self.query_one("#names", Names)

    @property
    def awaits_answer(self) -> bool:
        """Whether enter was pressed before the answer came: what is typed after it is for where it leads."""
        return self._chosen

    # Asking

    def _ask(self) -> None:
        text, history = self.typed, self.podium.history
        cockpit = self.podium.cockpit

        def work(_job: Any) -> tuple[Sequence[Found], Sequence[str]]:
            if text:
                return cockpit.finder.find(text, limit=MAX_ROWS), ()
            return cockpit.finder.all(), history.names()

        def done(value: Any, error: BaseException | None) -> None:
            self.podium.call_soon(self._came, text, *(value if error is None else ((), ())))

        self.podium.pool.submit("palette", work, done)

    def _came(self, text: str, found: Sequence[Found], names: Sequence[str]) -> None:
        if not self.is_attached or text != self.typed:
            return  # another answer is on its way
        entries = [*things(found), *self.verbs]
        rows = best(text, entries) if text else [*recent(names, entries), *self.verbs]
        self._shown = text
        self.names.set_notice((f"Nothing has the name {text!r}." if text else "", "muted"))
        self.names.set_rows(tuple(dict.fromkeys(rows)))
        if not self._moved:
            self.names.move("top")
        if self._chosen:
            self._chosen = False
            self._choose()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._moved = False
        self._ask()

    # Choosing

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self._shown == self.typed:
            self._choose()
        else:
            self._chosen = True

    def _choose(self) -> None:
        entry = self.names.current
        if entry is not None:
            self.dismiss(entry)

    def on_key(self, event: events.Key) -> None:
        if event.key == "escape":
            event.stop()
            self.dismiss(None)
        elif event.key in _MOVES:
            event.stop()
            event.prevent_default()
            self._moved = True
            self.names.move(_MOVES[event.key])

    def on_table_opened(self, message: Table.Opened) -> None:
        message.stop()
        self._choose()

    def on_table_moved(self, message: Table.Moved) -> None:
        message.stop()

    def on_click(self, event: events.Click) -> None:
        if event.widget is self.names:
            self._choose()
