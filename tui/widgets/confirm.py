"""A question before something changes. The focus is on the answer that changes nothing; `escape` is that answer too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from ...core.domain.text import one_line
from .pane import escaped

DIALOG_CSS = """
    .dialog { width: 84; max-width: 96%; height: auto; max-height: 96%; background: $surface;
        border: round $warning; padding: 0 2;
        border-title-color: $warning; border-title-style: bold; border-subtitle-color: $muted; }
    .dialog Input { border: none; height: 1; background: $panel; padding: 0 1; }
    .dialog Input:focus { border: none; background: $cursor-line; }
    .dialog .label { color: $muted; height: 1; margin-top: 1; }
    .dialog .buttons { height: 1; margin: 1 0 0 0; align-horizontal: right; }
    .dialog Button { margin-left: 2; background: $panel; color: $foreground; padding: 0 2; }
    .dialog Button:focus { background: $accent; color: $background; text-style: bold; }
    .dialog Button.danger { color: $warning; }
    .dialog Button.danger:focus { background: $warning; color: $background; }
    .dialog Button:disabled { color: $faint; background: $panel; text-style: none; }
"""


KEYS = "tab next  j k scroll  esc close"


class Dialog(ModalScreen):
    """Keys that both dialogs share: tab and arrows move between answers, escape and q keep things as they are."""

    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[Any]] = [
        ("escape", "keep", "Keep"),
        ("tab,down", "app.focus_next", ""),
        ("shift+tab,up", "app.focus_previous", ""),
        ("j", "scroll(1)", ""),
        ("k", "scroll(-1)", ""),
        ("ctrl+d,pagedown", "scroll(4)", ""),
        ("ctrl+u,pageup", "scroll(-4)", ""),
    ]

    def action_scroll(self, by: int) -> None:
        """What does not fit is reached without leaving the safe answer."""
        for scroll in self.query(VerticalScroll):
            scroll.scroll_relative(y=by * 2, animate=False)

    def action_keep(self) -> None:
        self.dismiss(None)

    def on_key(self, event: events.Key) -> None:
        if isinstance(self.focused, Button):
            if event.key in ("left", "right"):
                event.stop()
                (self.focus_next if event.key == "right" else self.focus_previous)(Button)
            elif event.key == "q":
                event.stop()
                self.dismiss(None)


class ConfirmDialog(Dialog):
    """Answers with the reason (perhaps empty), or None for no."""

    DEFAULT_CSS = (
        "ConfirmDialog { align: center middle; background: $background 60%; }"
        "ConfirmDialog VerticalScroll { height: auto; max-height: 13; scrollbar-size-vertical: 1; }" + DIALOG_CSS
    )

    def __init__(
        self,
        question: str,
        lines: Sequence[str],
        yes: str,
        *,
        keep: str = "Cancel",
        command: str = "",
        needs_reason: bool = False,
    ) -> None:
        super().__init__()
        self.needs_reason = needs_reason
        self.question, self.said, self.yes, self.keep, self.command = question, lines, yes, keep, command

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as box:
            box.border_subtitle = KEYS
            box.border_title = escaped(one_line(self.question))
            with VerticalScroll(can_focus=False):
                yield Static(Content("\n".join(one_line(line) for line in self.said)))
                if self.command:
                    yield Static(
                        Content.assemble(("\nthe same from a shell:  ", "$muted"), (one_line(self.command), "$accent"))
                    )
            needed = "needed" if self.needs_reason else "may be empty"
            yield Static(f"why (kept in the audit; {needed})", classes="label")
            entry = Input(id="why")
            entry.cursor_blink = False
            yield entry
            with Horizontal(classes="buttons"):
                yield Button(self.keep, id="keep", compact=True)
                yield Button(self.yes, id="yes", classes="danger", compact=True)

    def on_mount(self) -> None:
        self.set_focus(self.query_one("#keep", Button))  # at once: keys may have been typed already

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        why = self.query_one("#why", Input)
        if event.button.id != "yes":
            self.dismiss(None)
        elif self.needs_reason and not why.value.strip():
            why.placeholder = "say why"
            why.focus()
        else:
            self.dismiss(why.value.strip())

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.query_one("#keep", Button).focus()
