"""A pane of lines that were made elsewhere: details that fit on a screen, scrolled when they do not."""

from __future__ import annotations

from collections.abc import Sequence

from textual.strip import Strip

from .pane import Pane, Span, safe, scrollbar

Line = tuple[Span, ...]


class TextPane(Pane):
    kind = "text"

    def __init__(self, title: str = "", *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(title, id=id, classes=classes)
        self._lines: tuple[Line, ...] = ()
        self._top = 0

    def set_lines(self, lines: Sequence[Line]) -> None:
        if tuple(lines) != self._lines:
            self._lines = tuple(lines)
            self._scroll(self._top)

    @property
    def lines(self) -> tuple[Line, ...]:
        return self._lines

    def move(self, how: str) -> None:
        page = max(1, self.size.height // 2)
        by = {"down": 1, "up": -1, "half_down": page, "half_up": -page, "top": -(10**9), "bottom": 10**9}.get(how, 0)
        self._scroll(self._top + by)

    def wheel(self, lines: int) -> None:
        self._scroll(self._top + lines)

    def _scroll(self, top: int) -> None:
        self._top = max(0, min(top, len(self._lines) - self.size.height))
        self.refresh()

    def on_resize(self) -> None:
        self._scroll(self._top)

    def copy_text(self) -> str:
        return "\n".join("".join(safe(text) for text, _ in line).rstrip() for line in self._lines)

    def render_line(self, y: int) -> Strip:
        width, height = self.size
        if self.notice and not self._lines:
            return self.notice_line(y, width, height)
        index = self._top + y
        if index >= len(self._lines):
            return self.blank(width)
        line = self.strip(
            [(self.glyphs.text(safe(text)), role) for text, role in ((" ", ""), *self._lines[index])], width - 1
        )
        return Strip.join([line, self.strip([scrollbar(self.glyphs, y, height, self._top, len(self._lines))], 1)])
