"""A form for the parameters of a pipeline. The focus is on Cancel, as wherever something is started."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input, Static

from ...core.domain.frozen import Frozen
from ...core.domain.text import one_line
from .confirm import DIALOG_CSS, KEYS, Dialog
from .pane import escaped


class Filled(Frozen):
    """What a person gave: every parameter, and why."""

    params: Mapping[str, str]
    why: str


class FormDialog(Dialog):
    """Answers with what was filled in, or None."""

    DEFAULT_CSS = (
        "FormDialog { align: center middle; background: $background 60%; }"
        "FormDialog VerticalScroll { height: auto; max-height: 24; scrollbar-size-vertical: 1; }"
        "FormDialog.-low VerticalScroll { max-height: 11; }" + DIALOG_CSS
    )
    VERTICAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-low"), (32, "-tall")]

    def __init__(
        self, pipeline: str, params: Mapping[str, str], defaults: Mapping[str, str], lines: Sequence[str] = ()
    ) -> None:
        """`defaults` are the parameters that need not be given."""
        super().__init__()
        self.pipeline, self.params, self.defaults, self.said = pipeline, params, defaults, lines

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as box:
            box.border_title = escaped(one_line(f"Start {self.pipeline}"))
            box.border_subtitle = KEYS
            if self.said:
                yield Static(Content("\n".join(one_line(line) for line in self.said)))
            with VerticalScroll(can_focus=False):
                for number, (name, value) in enumerate(self.params.items()):
                    yield Static(Content(one_line(name)), classes="label")
                    yield self._field(f"param-{number}", value)
                if not self.params:
                    yield Static(Content("It has no parameters."), classes="label")
            yield Static("why (kept in the audit; may be empty)", classes="label")
            yield self._field("why", "")
            yield Static("", id="command", classes="label")
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="keep", compact=True)
                yield Button("Start", id="yes", classes="danger", compact=True)

    def _field(self, id: str, value: str) -> Input:
        entry = Input(one_line(value), id=id)
        entry.cursor_blink = False
        return entry

    def on_mount(self) -> None:
        self.set_focus(self.query_one("#keep", Button))
        self._show_command()

    @property
    def filled(self) -> Filled:
        params = {name: self.query_one(f"#param-{at}", Input).value for at, name in enumerate(self.params)}
        return Filled(params, self.query_one("#why", Input).value.strip())

    def command_for(self, params: Mapping[str, str]) -> str:
        """Returns what starts the pipeline with these parameters from a shell."""
        changed = {name: value for name, value in params.items() if value != self.defaults.get(name)}
        flags = "".join(f" -p {shlex.quote(f'{name}={value}')}" for name, value in changed.items())
        return f"podium run {shlex.quote(self.pipeline)}{flags}"

    def _show_command(self) -> None:
        command = self.command_for(self.filled.params)
        words = ("the same from a shell:  ", "$muted"), (command, "$accent")
        self.query_one("#command", Static).update(Content.assemble(*words))

    def on_input_changed(self) -> None:
        self._show_command()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in a field goes on to the next, and never starts anything."""
        event.stop()
        self.focus_next()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.dismiss(self.filled if event.button.id == "yes" else None)
