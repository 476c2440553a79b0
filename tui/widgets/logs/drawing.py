"""The rows of a log as they are put on screen. Those of a line are kept while all lines look the same: a key or a new
line mostly changes where they stand."""

from __future__ import annotations

from collections.abc import Callable

from rich.segment import Segment
from textual.strip import Strip

from ....core.domain.frozen import Frozen
from ..log_draw import Look, shifted, wrapped
from ..pane import Span
from .folding import Hidden, laid_down, laid_up

_MOST_KEPT = 300  # lines: some screens of them


class Page(Frozen):
    """What of a log is on screen."""

    hidden: Hidden
    top: int | None
    """The row that it begins with; None where it ends with the last one."""
    left: int
    """Cells of each line that are to the left of the screen."""
    wrap: bool
    width: int
    """Cells of a row, without the scroll bar's."""
    height: int


class DrawnRow:
    """A row, but for the scroll bar's cell."""

    def __init__(self, strip: Strip) -> None:
        self._strip = strip
        self._whole: dict[Span, Strip] = {}

    def with_bar(self, bar: Span, draw: Callable[[Span], Strip]) -> Strip:
        found = self._whole.get(bar)
        if found is None:
            found = self._whole[bar] = Strip.join([self._strip, draw(bar)])
        return found


class Drawing:
    """Belongs to the UI thread."""

    def __init__(self) -> None:
        self._face: object = None  # what the look of all lines depends on
        self._kept: dict[object, list[DrawnRow]] = {}

    def rows(self, look: Look, page: Page) -> tuple[list[DrawnRow], list[int]]:
        """Returns the rows from the top down, or from the end up, and which line of the log each of them belongs to."""
        face = (
            (look.styles, look.glyphs, look.times, look.numbered, look.pattern, look.names, look.owners),
            (look.selecting, page.wrap, page.left, page.width),
        )
        if face != self._face:
            self._face = face
            self._kept.clear()

        def drawn(index: int) -> list[DrawnRow]:
            return self._line(look, page, index)

        # From the end up, so that the very last line is seen however long those before it are.
        if page.top is None:
            return laid_up(page.hidden, look.window.total, page.height, drawn)
        return laid_down(page.hidden, page.top, look.window.total, page.height, drawn)

    def _line(self, look: Look, page: Page, index: int) -> list[DrawnRow]:
        line = look.window.row(index)
        if line is None:  # on its way
            return [_row(look, page, index, [Segment(look.glyphs["dot"], look.styles["faint"])])]
        if look.matched is not None:  # where it stands may become known later
            return _draw(look, page, index)
        name = look.window.name(index) if look.names else ""
        marked = (index == look.cursor, index in look.selected)
        found = (line.number == look.hit, line.number in look.window.around)
        own = (line, name, marked, found)
        rows = self._kept.get(own)
        if rows is None:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            rows = self._kept[own] = _draw(look, page, index)
        return rows


def _draw(look: Look, page: Page, index: int) -> list[DrawnRow]:
    line = look.window.row(index)
    assert line is not None
    found = look.line(line, index)
    parts = wrapped(found, page.width) if page.wrap else [shifted(found, page.left)]
    return [_row(look, page, index, part) for part in parts]


def _row(look: Look, page: Page, index: int, segments: list[Segment]) -> DrawnRow:
    ground = look.styles["ground"]
    if index in look.selected:
        ground = ground + look.styles["cursor" if index == look.cursor else "blurred"]
    return DrawnRow(Strip(segments).apply_style(ground).adjust_cell_length(page.width, ground))
