"""What every pane of a screen has in common: a frame with a title, and the verbs that keys reach it by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from ...core.domain.text import one_line
from ..glyphs import Glyphs
from ..themes.theme import Palette

if TYPE_CHECKING:
    from ..protocol import CockpitApp

Span = tuple[str, str]
Cell = str | tuple[Span, ...]
READING: tuple[Span, ...] = (("reading …", "faint"),)
"""The notice of a pane whose content has not come yet."""


def cells_of(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)


def fit(text: str, width: int, glyphs: Glyphs, align: str = "left") -> str:
    """Text from anywhere, cleaned, in exactly `width` cells; what does not fit ends in an ellipsis."""
    text = one_line(text)
    length = cells_of(text)
    if length > width:
        return set_cell_size(text, max(0, width - 1)) + glyphs["ellipsis"] if width > 0 else ""
    return text.rjust(width - length + len(text)) if align == "right" else text + " " * (width - length)


def fit_both_ends(text: str, width: int, glyphs: Glyphs) -> str:
    """Returns text from anywhere, cleaned, in exactly `width` cells. Of what does not fit both ends stay: that is where
    names of one kind differ (`train[depth=4]`, `train[depth=8]`)."""
    text = one_line(text)
    if cells_of(text) <= width or width < 3:
        return fit(text, width, glyphs)
    tail, room = "", (width - 1) // 2
    for letter in reversed(text):
        if cells_of(letter + tail) > room:
            break
        tail = letter + tail
    return set_cell_size(text, width - 1 - cells_of(tail)) + glyphs["ellipsis"] + tail


class Pane(Widget, can_focus=True, inherit_bindings=False):
    """Draws line by line (`render_line`) from data it already holds; never asks anybody for anything while drawing."""

    kind: ClassVar[str] = "pane"
    ALLOW_SELECT = False
    DEFAULT_CSS = """
    Pane { height: 1fr; width: 1fr; background: $surface; color: $foreground;
           border: round $frame; border-title-color: $muted; border-title-style: none;
               border-subtitle-color: $muted; padding: 0; }
    Pane:focus { border: round $frame-focus; border-title-color: $accent; border-title-style: bold; }
    """

    def __init__(self, title: str = "", *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.border_title = title
        self.notice: tuple[Span, ...] = ()

    @property
    def podium(self) -> CockpitApp:
        return cast("CockpitApp", self.app)

    @property
    def palette(self) -> Palette:
        return self.podium.themes.palette(self.app.theme, self.podium.few_colours)

    @property
    def glyphs(self) -> Glyphs:
        return self.podium.glyphs

    def title(self, title: str, subtitle: str = "") -> None:
        """The frame's words. They may hold names from outside: no markup, no control characters."""
        if self.border_title != (wanted := escaped(one_line(self.glyphs.text(title)))):
            self.border_title = wanted
        if self.border_subtitle != (wanted := escaped(one_line(self.glyphs.text(subtitle)))):
            self.border_subtitle = wanted

    def set_notice(self, *lines: Span) -> None:
        """Lines in place of content: empty, loading and error states. No lines: back to the content."""
        if lines != self.notice:
            self.notice = lines
            self.refresh()

    @property
    def reading(self) -> bool:
        """Whether its content has not come yet, so that keys have nothing to act on."""
        return self.notice == READING

    # The verbs. A pane does what it can; `False` says that it could not.

    def move(self, how: str) -> None:
        """`down up top bottom half_down half_up left right`."""

    def search(self, text: str) -> None:
        """Go to the first hit from here on."""

    def search_step(self, direction: int) -> None:
        """Go to the next (1) or previous (-1) hit."""

    def set_filter(self, text: str) -> None:
        """Show only what matches; empty shows all."""

    def clear(self) -> bool:
        """Drop search and filter; whether there was anything to drop."""
        return False

    def copy_text(self) -> str:
        """What `y` copies."""
        return ""

    @property
    def filter_text(self) -> str:
        return ""

    # Drawing

    def notice_line(self, y: int, width: int, height: int) -> Strip:
        lines = _wrapped(self.notice, max(8, width - 4))
        start = max(0, (height - len(lines)) // 3)
        if start <= y < start + len(lines):
            text, role = lines[y - start]
            return self.strip([("  " + self.glyphs.text(text), role)], width)
        return self.blank(width)

    def strip(self, spans: Sequence[Span], width: int, base: Style | None = None) -> Strip:
        """One drawn line of exactly `width` cells. Whatever is drawn passes here: nothing in it steers the terminal."""
        styles = self.palette
        ground = styles["ground"] if base is None else styles["ground"] + base
        default = styles[""]
        segments = [
            Segment(one_line(text), ground + (styles[role] if role else default)) for text, role in spans if text
        ]
        return Strip(segments).adjust_cell_length(width, ground)

    def blank(self, width: int) -> Strip:
        return Strip.blank(width, self.palette["ground"])

    def on_mouse_scroll_down(self) -> None:
        self.wheel(3)

    def on_mouse_scroll_up(self) -> None:
        self.wheel(-3)

    def wheel(self, lines: int) -> None:
        """The mouse wheel was turned."""


def scrollbar(glyphs: Glyphs, y: int, height: int, first: int, total: int) -> Span:
    """The scroll bar's cell on line `y` of `height`, for a view that begins at `first` of `total`."""
    if total <= height or height <= 0:
        return (" ", "faint")
    size = max(1, height * height // total)
    start = round(first / max(1, total - height) * (height - size))
    return (glyphs["thumb"], "faint") if start <= y < start + size else (" ", "faint")


def text_of(cell: Cell) -> str:
    """Returns the text of a cell or a line, without its colours."""
    return cell if isinstance(cell, str) else "".join(text for text, _ in cell)


def escaped(text: str) -> str:
    """Returns a text for a frame's title, which Textual reads as markup."""
    return text.replace("[", r"\[")


def _wrapped(lines: Sequence[Span], width: int) -> list[Span]:
    import textwrap

    return [(piece, role) for text, role in lines for piece in textwrap.wrap(one_line(text), width) or [""]]
