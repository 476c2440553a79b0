"""The bottom line: what can be done here (dimmed where it cannot be now), or what there is to say."""

from __future__ import annotations

from textual.strip import Strip

from ...core.domain.text import one_line
from ..actions import footer_actions
from ..context import Context
from .pane import Pane, Span, fit
from .text_pane import wrapped

MAX_LINES = 3  # of a message


class Footer(Pane, can_focus=False):
    DEFAULT_CSS = """
    Footer { height: 1; border: none; background: $panel; dock: bottom; }
    """

    def __init__(self, screen: str) -> None:
        super().__init__()
        self._screen = screen
        self._situation = Context()
        self._items: list[Span] = []
        self._message: Span | None = None
        self._lines: list[str] = []

    def show(self, context: Context) -> None:
        self._situation = context
        items = self._build()
        if items != self._items:
            self._items = items
            self.refresh()

    def say(self, text: str, role: str = "accent") -> None:
        """A message in place of the keys, until the next key; empty: the keys again. One that is longer than the line
        takes as many lines as it needs, up to `MAX_LINES`."""
        message = (text, role) if text else None
        if message != self._message:
            self._message = message
            self._wrap()
            self.refresh()

    def _wrap(self) -> None:
        line = () if self._message is None else ((self.glyphs.text(one_line(self._message[0])), ""),)
        self._lines = ["".join(text for text, _ in part) for part in wrapped(line, max(8, self.size.width - 2))]
        if len(self._lines) > MAX_LINES:
            self._lines[MAX_LINES - 1 :] = [" ".join(each.strip() for each in self._lines[MAX_LINES - 1 :])]
        self.styles.height = max(1, len(self._lines))

    @property
    def message(self) -> str:
        return self._message[0] if self._message else ""

    def on_resize(self) -> None:
        self._items = self._build()
        self._wrap()
        self.refresh()  # what was drawn for the width before would stay

    def _build(self) -> list[Span]:
        keymap, width = self.podium.keymap, self.size.width
        chosen: list[tuple[int, int, list[Span]]] = []
        for action in footer_actions(self._screen):
            key = keymap.shown(action)
            if not key:
                continue
            refused = action.refusal(self._situation)
            spans: list[Span] = [
                (f" {key}", "faint" if refused else "accent!" if not action.danger else "warn!"),
                (f" {action.label_on(self._screen)} ", "faint" if refused else "muted"),
            ]
            # What can be done goes before what cannot, help and back stay whatever the width.
            rank = -1 if action.id in ("help", "back") else 1 if not refused else 2
            chosen.append((rank, action.footer, spans))
        left = width
        kept: list[tuple[int, list[Span]]] = []
        for _, order, spans in sorted(chosen, key=lambda item: item[:2]):
            cells = sum(len(text) for text, _ in spans)
            if cells <= left:
                kept.append((order, spans))
                left -= cells
        return [span for _, spans in sorted(kept, key=lambda item: item[0]) for span in spans]

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        base = self.palette["bar"]
        if self._message is not None:
            text = self._lines[y] if y < len(self._lines) else ""
            return self.strip([(" " + fit(text, width - 2, self.glyphs), f"{self._message[1]}!")], width, base)
        return self.strip(self._items or self._build(), width, base)
