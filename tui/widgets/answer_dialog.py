"""The answer to *why?*: a line, and what it rests on."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from ...core.domain.text import one_line
from ...core.domain.why.answers import Answer
from .pane import escaped


class AnswerDialog(ModalScreen[None]):
    ALLOW_SELECT = False
    DEFAULT_CSS = """
    AnswerDialog { align: center middle; background: $background 60%; }
    AnswerDialog > VerticalScroll { width: 92; max-width: 96%; height: auto; max-height: 90%; background: $surface;
        border: round $frame-focus; padding: 0 2; border-title-color: $accent; border-subtitle-color: $muted; }
    """
    BINDINGS: ClassVar[list[Any]] = [
        ("escape,q,W,enter", "close", "Close"),
        ("j,down", "scroll(2)"),
        ("k,up", "scroll(-2)"),
    ]

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog") as scroll:
            scroll.border_title = escaped(f"Why: {one_line(self.answer.subject)}")
            scroll.border_subtitle = "j k scroll  esc close"
            parts: list[tuple[str, str]] = [(one_line(self.answer.short) + "\n", "bold $foreground")]
            parts += [("\n" + one_line(line), "$muted") for line in self.answer.because]
            yield Static(Content.assemble(*parts))

    def on_mount(self) -> None:
        self.set_focus(self.query_one(VerticalScroll))

    def action_close(self) -> None:
        self.dismiss()

    def action_scroll(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)
