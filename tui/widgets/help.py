"""Help: every action with its keys, by group, and why those that cannot be done now cannot."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from ..actions import ACTIONS, SCREEN_TITLES, Context, Keymap

_GROUPS = ("Here", "Changes", "Find", "Log", "Move", "Screens", "Podium")


def help_text(keymap: Keymap, context: Context) -> Content:
    parts: list[str | tuple[str, str] | Content] = []
    for group in _GROUPS:
        parts.append((f"{group}\n", "bold $accent"))
        for action in ACTIONS:
            if action.group != group:
                continue
            refused = action.refusal(context)
            keys = keymap.all_shown(action) or "palette"
            parts.append((f"  {keys:<16}", "bold $warning" if action.danger else "bold $foreground"))
            parts.append((action.help, "$muted" if refused else "$foreground"))
            if refused and action.group in ("Here", "Changes"):
                parts.append((f"  ({refused})", "$faint"))
            parts.append("\n")
        parts.append("\n")
    return Content.assemble(*parts)


class HelpScreen(ModalScreen[None]):
    DEFAULT_CSS = """
    HelpScreen { align: center middle; background: $background 70%; }
    HelpScreen > VerticalScroll { width: 92; max-width: 96%; height: 90%; background: $surface; border: round $frame-focus; padding: 0 2;
        border-title-color: $accent; border-subtitle-color: $muted; }
    .-ascii HelpScreen > VerticalScroll { border: ascii $frame-focus; }
    """
    BINDINGS = [("escape,q,question_mark,f1", "dismiss_help", "Close"), ("j", "scroll(1)"), ("k", "scroll(-1)")]

    def __init__(self, keymap: Keymap, context: Context) -> None:
        super().__init__()
        self._keymap, self._situation = keymap, context

    def compose(self) -> ComposeResult:
        with VerticalScroll() as scroll:
            scroll.border_title = f"Help: {SCREEN_TITLES.get(self._situation.screen, 'Podium')}"
            scroll.border_subtitle = "j k scroll  esc close"
            yield Static(help_text(self._keymap, self._situation))

    def action_dismiss_help(self) -> None:
        self.dismiss()

    def action_scroll(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines * 3, animate=False)
