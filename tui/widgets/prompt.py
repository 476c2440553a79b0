"""The one-line question above the footer: what to search for, what to filter by."""

from __future__ import annotations

from textual import events
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Label

from ...core.domain.text import one_line


class Prompt(Horizontal):
    DEFAULT_CSS = """
    Prompt { height: 1; dock: bottom; display: none; background: $panel; }
    Prompt.-open { display: block; }
    Prompt Label { color: $accent; text-style: bold; padding: 0 1; width: auto; }
    Prompt Input { border: none; height: 1; padding: 0; background: $panel; width: 1fr; }
    Prompt Input:focus { border: none; height: 1; background: $panel; }
    """

    class Answered(Message):
        """`text` is None when the question was left."""

        def __init__(self, purpose: str, text: str | None, *, final: bool) -> None:
            super().__init__()
            self.purpose, self.text, self.final = purpose, text, final

    purpose = ""
    asked = ("", "")
    """What stands before the line, and what stands in it at first."""

    @property
    def is_open(self) -> bool:
        return self.has_class("-open")

    def ask(self, purpose: str, value: str = "", label: str = "") -> None:
        """Asks for one line; `label` (default: the purpose) stands before it."""
        if not self.children:
            self._fill()
        self.purpose = purpose
        self.asked = (label or purpose, value)
        self.query_one(Label).update(Content(one_line(label or purpose)))
        entry = self.query_one(Input)
        self.add_class("-open")
        with entry.prevent(Input.Changed):
            entry.value = value
        entry.cursor_position = len(value)
        self.screen.set_focus(entry)  # at once: keys may have been typed already

    def _fill(self) -> None:
        """Makes the line when it is first asked for: most screens come and go without one."""
        entry = Input(id="prompt-input", select_on_focus=True)
        entry.cursor_blink = False
        self.mount(Label(), entry)

    def close(self) -> None:
        self.remove_class("-open")

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.is_open and self.purpose == "filter":
            self.post_message(self.Answered(self.purpose, event.value, final=False))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Answered(self.purpose, event.value, final=True))

    def on_key(self, event: events.Key) -> None:
        if event.key == "escape":
            event.stop()
            event.prevent_default()
            self.post_message(self.Answered(self.purpose, None, final=True))
