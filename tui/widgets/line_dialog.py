"""One line of a log, opened: when and where it was written, and its fields one below the other."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from ...core.cockpit import LogLine
from ...core.domain.text import format as fmt
from .log_text import opened
from .text_pane import Line, TextPane

_MAX_NAME = 40  # letters that values stand behind; a longer name has its value right after it
_STREAMS = {"o": "standard output", "e": "standard error", "p": "a note of Podium's"}


class LineDialog(ModalScreen[None]):
    DEFAULT_CSS = """
    LineDialog { align: center middle; }
    LineDialog #box { width: 90%; height: 80%; max-width: 140; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "close", show=False),
        Binding("j,down", "move('down')", show=False),
        Binding("k,up", "move('up')", show=False),
        Binding("g,home", "move('top')", show=False),
        Binding("G,end", "move('bottom')", show=False),
        Binding("ctrl+d,pagedown", "move('half_down')", show=False),
        Binding("ctrl+u,pageup", "move('half_up')", show=False),
        Binding("y", "copy", show=False),
    ]

    def __init__(self, line: LogLine) -> None:
        super().__init__()
        self.line = line

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield TextPane(wrap=True)

    def on_mount(self) -> None:
        pane = self.query_one(TextPane)
        pane.title(f"Line {self.line.number + 1:,}", "y copies  esc closes")
        pane.set_lines(lines_of(self.line))
        pane.focus()

    def action_close(self) -> None:
        self.dismiss(None)

    def action_move(self, how: str) -> None:
        self.query_one(TextPane).move(how)

    def action_copy(self) -> None:
        pane = self.query_one(TextPane)
        pane.podium.copy(self.line.text)


def lines_of(line: LogLine) -> list[Line]:
    """Returns what there is to say of a line."""
    when = fmt.when(line.at) if line.at is not None else "at a time that nobody noted"
    lines: list[Line] = [((f"{when}   {_STREAMS.get(line.stream, '')}", "muted"),), ()]
    fields = opened(line.text)
    width = min(_MAX_NAME, max((len(name) for name, _ in fields), default=0))
    for name, value in fields:
        first, *rest = value.splitlines() or [""]
        lines.append((((f"{name.ljust(width)}  " if name else ""), "accent"), (first, "")))
        lines += [(((" " * (width + 2)), ""), (each, "")) for each in rest]
    return lines
