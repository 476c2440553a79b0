"""A pane of lines that were made elsewhere: details that are scrolled, wrapped and searched when they do not fit."""

from __future__ import annotations

from collections.abc import Sequence

from textual.strip import Strip

from ...core.domain.text import one_line
from .log_text import highlight
from .pane import Pane, Span, cells_of, scrollbar

Line = tuple[Span, ...]
_STEP = 20  # cells that one key scrolls to the side


class TextPane(Pane):
    """With `wrap` long lines continue on the next one at first; `w` changes that."""

    kind = "text"

    def __init__(
        self, title: str = "", *, wrap: bool = False, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(title, id=id, classes=classes)
        self.wrap = wrap
        self._lines: tuple[Line, ...] = ()
        self._rows: list[tuple[int, Line]] = []
        """What is drawn: the number of the line, and the part of it."""
        self._top = 0
        self._left = 0
        self._pattern = ""
        self._hit: int | None = None

    def set_lines(self, lines: Sequence[Line]) -> None:
        if tuple(lines) != self._lines:
            self._lines = tuple(lines)
            if self._hit is not None and self._hit >= len(self._lines):
                self._hit = None
            self._arrange()

    @property
    def lines(self) -> tuple[Line, ...]:
        return self._lines

    @property
    def _room(self) -> int:
        """Cells for text: one is left before it, and one is for the scroll bar."""
        return max(1, self.size.width - 2)

    def _arrange(self) -> None:
        cleaned = [tuple((self.glyphs.text(one_line(text)), role) for text, role in line) for line in self._lines]
        self._rows = [
            (number, part)
            for number, line in enumerate(cleaned)
            for part in (wrapped(line, self._room) if self.wrap else [line])
        ]
        self._scroll(self._top, self._left)

    def toggle_wrap(self) -> bool:
        self.wrap = not self.wrap
        self._left = 0
        self._arrange()
        return self.wrap

    def move(self, how: str) -> None:
        page = max(1, self.size.height // 2)
        by = {"down": 1, "up": -1, "half_down": page, "half_up": -page, "top": -(10**9), "bottom": 10**9}.get(how, 0)
        self._scroll(self._top + by, self._left + {"right": _STEP, "left": -_STEP}.get(how, 0))

    def wheel(self, lines: int) -> None:
        self._scroll(self._top + lines, self._left)

    def _scroll(self, top: int, left: int) -> None:
        longest = max((_width(line) for _, line in self._rows), default=0)
        self._top = max(0, min(top, len(self._rows) - self.size.height))
        self._left = max(0, min(left, longest - self._room))
        self.refresh()

    def on_resize(self) -> None:
        self._arrange()

    # Search

    def search(self, text: str) -> None:
        self._pattern = text.lower()
        self._hit = None
        if self._pattern and self._rows:
            self._go_to_hit(self._rows[self._top][0], 1)
        self.refresh()

    def search_step(self, direction: int) -> None:
        if not self._pattern:
            self.podium.say("search first, with /")
            return
        start = self._rows[self._top][0] if self._rows else 0
        self._go_to_hit(start if self._hit is None else self._hit + direction, direction)

    def _go_to_hit(self, start: int, direction: int) -> None:
        """Goes to the nearest line from `start` on that has the pattern, round the end if there is none."""
        length = len(self._lines)
        for number in range(start, start + direction * length, direction):
            if self._pattern in _text(self._lines[number % length]).lower():
                self._hit = number % length
                row = next(row for row, (owner, _) in enumerate(self._rows) if owner == self._hit)
                if not self._top <= row < self._top + self.size.height:
                    self._scroll(row - self.size.height // 3, self._left)
                self.refresh()
                return
        self.podium.say(f"no line has {self._pattern!r}", "warn")

    def clear(self) -> bool:
        had = bool(self._pattern)
        self._pattern, self._hit = "", None
        self.refresh()
        return had

    def copy_text(self) -> str:
        return "\n".join(_text(line).rstrip() for line in self._lines)

    # Drawing

    def render_line(self, y: int) -> Strip:
        width, height = self.size
        if self.notice and not self._lines:
            return self.notice_line(y, width, height)
        index = self._top + y
        if index >= len(self._rows):
            return self.blank(width)
        number, spans = self._rows[index]
        line = self.strip(spans, max(self._room, _width(spans)))
        if self._pattern:
            found = highlight(list(line), self._pattern, self.palette["match"], current=number == self._hit)
            line = Strip(found, line.cell_length)
        line = line.crop(self._left, self._left + self._room).adjust_cell_length(self._room, self.palette["ground"])
        bar = scrollbar(self.glyphs, y, height, self._top, len(self._rows))
        return Strip.join([self.strip([(" ", "")], 1), line, self.strip([bar], 1)])


def wrapped(line: Line, width: int) -> list[Line]:
    """Returns the line in parts of at most `width` cells, cut between words where that is possible; what continues is
    indented a little further than the line itself."""
    text = "".join(each for each, _ in line)
    if cells_of(text) <= width:
        return [line]
    indent = min(len(text) - len(text.lstrip()) + 2, width // 3)
    parts: list[Line] = []
    start = 0
    while start < len(text):
        room = width - (indent if parts else 0)
        end = _end_of(text, start, max(2, room))
        part = _part(line, start, end)
        parts.append((((" " * indent), ""), *part) if parts else part)
        start = end + len(text[end:]) - len(text[end:].lstrip())
    return parts


def _end_of(text: str, start: int, room: int) -> int:
    """Returns where the part that begins at `start` ends: after as many letters as fit, or before the last word of
    them."""
    end = start + 1
    while end < len(text) and cells_of(text[start : end + 1]) <= room:
        end += 1
    if end == len(text):
        return end
    space = text.rfind(" ", start, end + 1)
    return space if space > start + room // 3 else end


def _part(line: Line, start: int, end: int) -> Line:
    parts: list[Span] = []
    at = 0
    for text, role in line:
        piece = text[max(0, start - at) : max(0, end - at)]
        if piece:
            parts.append((piece, role))
        at += len(text)
    return tuple(parts)


def _text(line: Line) -> str:
    return "".join(one_line(text) for text, _ in line)


def _width(line: Line) -> int:
    return sum(cells_of(text) for text, _ in line)
