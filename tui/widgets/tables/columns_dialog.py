"""Which columns a table has: shown or hidden, in which order, and which stay in place."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen

from ..pane import Cell
from ..table import Column, Table
from .arranging import Arrangement, titles_of

_KEYS = "space show  J K move  p pin up to here  r as it was  esc close"


class ColumnsDialog(ModalScreen[None]):
    """What is changed is seen at once behind it, and kept."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    ColumnsDialog { align: right middle; }
    ColumnsDialog #columns { width: 66; max-width: 96%; height: auto; max-height: 80%; min-height: 6; }
    """
    BINDINGS: ClassVar[list[Any]] = [
        ("escape,q,enter,full_stop", "close", "Close"),
        ("j,down", "go('down')", ""),
        ("k,up", "go('up')", ""),
        ("space", "toggle", ""),
        ("J,shift+down", "shift(1)", ""),
        ("K,shift+up", "shift(-1)", ""),
        ("p", "pin", ""),
        ("r", "reset", ""),
    ]

    def __init__(self, table: Table[Any]) -> None:
        super().__init__()
        self.table = table

    @property
    def titles(self) -> tuple[str, ...]:
        return titles_of(self.table.given, self.table.arrangement)

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Table[str](
                "Columns",
                (Column("", self._shown, width=10), Column("", lambda title: ((title, "text"),), width=20, flex=1)),
                key=lambda title: title,
                text=lambda title: title,
                header=False,
                id="columns",
            )

    def _shown(self, title: str) -> Cell:
        arrangement = self.table.arrangement
        pinned = self.titles.index(title) < arrangement.pinned
        if title in arrangement.hidden:
            return (("hidden", "faint"),)
        return (("shown", "ok"), (", pinned" if pinned else "", "accent"))

    @property
    def names(self) -> Table[str]:
        return self.query_one("#columns", Table)

    def on_mount(self) -> None:
        self.names.title("Columns", _KEYS)
        self._draw()
        self.names.styles.height = len(self.titles) + 2
        self.set_focus(self.names)

    def _draw(self) -> None:
        self.names.set_rows(self.titles, self.table.arrangement)

    def change(self, arrangement: Arrangement) -> None:
        self.table.arrange(arrangement)
        self._draw()

    def action_close(self) -> None:
        self.dismiss(None)

    def action_go(self, how: str) -> None:
        self.names.move(how)

    def action_toggle(self) -> None:
        if self.names.current is not None:
            self.change(self.table.arrangement.toggled(self.names.current))

    def action_shift(self, by: int) -> None:
        title = self.names.current
        if title is not None:
            self.change(self.table.arrangement.moved(self.titles, title, by))
            self.names.go_to(title)

    def action_pin(self) -> None:
        title = self.names.current
        if title is not None:
            self.change(self.table.arrangement.with_pinned(self.titles.index(title) + 1))

    def action_reset(self) -> None:
        self.change(Arrangement())
