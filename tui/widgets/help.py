"""Help: every action with its keys, by group, and why those that cannot be done now cannot."""

from __future__ import annotations

import textwrap
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from ..actions import Action
from ..context import Context
from ..keys import Keymap
from ..screens import BY_NAME

_KEYS = 18
_GROUPS = ("Here", "Changes", "Yours", "Find", "Log", "Move", "Screens", "Podium")


def help_text(keymap: Keymap, context: Context, width: int = 84) -> Content:
    parts: list[str | tuple[str, str] | Content] = []
    groups = [each for each in _GROUPS if any(action.group == each for action in keymap.actions)]
    for group in groups:
        parts.append((f"{group}\n", "bold $accent"))
        for action in keymap.actions:
            if action.group == group:
                parts += _lines(
                    action,
                    action.help_on(context.screen),
                    keymap.all_shown(action) or "palette",
                    action.refusal(context),
                    width,
                )
        parts.append("\n")
    return Content.assemble(*parts)


def _lines(action: Action, words: str, keys: str, refused: str, width: int) -> list[str | tuple[str, str] | Content]:
    """An action's keys and help, and below, where it would be of use to know, why not now."""
    indent = " " * _KEYS
    said = textwrap.wrap(words, max(20, width - _KEYS)) or [""]
    lines: list[str | tuple[str, str] | Content] = [
        (f"  {keys:<{_KEYS - 2}}", "bold $warning" if action.danger else "bold $foreground"),
        (f"\n{indent}".join(said) + "\n", "$muted" if refused else "$foreground"),
    ]
    if refused and action.group in ("Here", "Changes", "Yours"):
        lines += [(indent + piece + "\n", "$faint") for piece in textwrap.wrap(refused, max(20, width - _KEYS))]
    return lines


class HelpScreen(ModalScreen[None]):
    DEFAULT_CSS = """
    HelpScreen { align: center middle; background: $background 70%; }
    HelpScreen > VerticalScroll { width: 92; max-width: 96%; height: 90%; background: $surface;
        border: round $frame-focus; padding: 0 2;
        border-title-color: $accent; border-subtitle-color: $muted; }
    """
    BINDINGS: ClassVar[list[Any]] = [
        ("escape,q,question_mark,f1", "dismiss_help", "Close"),
        ("j", "scroll(1)"),
        ("k", "scroll(-1)"),
    ]

    def __init__(self, keymap: Keymap, context: Context) -> None:
        super().__init__()
        self.keymap, self.situation = keymap, context

    def compose(self) -> ComposeResult:
        with VerticalScroll() as scroll:
            shown = BY_NAME.get(self.situation.screen)
            scroll.border_title = f"Help: {shown.title if shown is not None else 'Podium'}"
            scroll.border_subtitle = "j k scroll  esc close"
            yield Static(help_text(self.keymap, self.situation, min(84, self.app.size.width - 12)))

    def action_dismiss_help(self) -> None:
        self.dismiss()

    def action_scroll(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines * 3, animate=False)
