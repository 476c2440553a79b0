"""A table that draws only the lines on screen, over rows that somebody else holds: 100,000 rows cost no more than 20.

Textual's DataTable renders every row when it is added (10 s for 100,000) and all of them again when a cell changes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar

from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from ...core.domain.frozen import Frozen
from ...core.domain.text import one_line
from .pane import Cell, Pane, Span, cells_of, fit, fit_both_ends, scrollbar

Row = TypeVar("Row")
_MEASURED = 30  # rows from the first on that say how wide the columns have to be


class Column(Frozen, Generic[Row]):
    """`width` cells, plus a share `flex` of what is left over; what flexible columns do not need goes to those that
    have too few. Not shown while the table is narrower than `from_width`, or `when` returns False.
    `draw` takes the place of `cell` where what is shown depends on how many cells there are for it. With `both_ends`
    what does not fit is cut in its middle, not at its end; so is the title."""

    title: str
    cell: Callable[[Row], Cell]
    width: int = 8
    flex: int = 0
    align: str = "left"
    sort: Callable[[Row], Any] | None = None
    from_width: int = 0
    draw: Callable[[Row, int], Cell] | None = None
    both_ends: bool = False
    when: Callable[[], bool] | None = None


class Table(Pane, Generic[Row]):
    """`key` identifies a row across refreshes, so that the cursor stays on the same thing; `text` is what search and
    filter look at."""

    kind = "table"

    class Moved(Message):
        """The cursor is on another row, or the row under it is another one now."""

        def __init__(self, table: Table[Any]) -> None:
            super().__init__()
            self.table = table

        @property
        def control(self) -> Table[Any]:
            return self.table

    class Opened(Moved):
        """A row was clicked twice."""

    def __init__(
        self,
        title: str,
        columns: Sequence[Column[Row]],
        *,
        key: Callable[[Row], Hashable],
        text: Callable[[Row], str],
        header: bool = True,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(title, id=id, classes=classes)
        self.columns: tuple[Column[Row], ...] = tuple(columns)
        self.header = header
        self._key = key
        self._text = text
        self._rows: Sequence[Row] = ()
        self._order: Sequence[int] = ()
        self._cursor = 0
        self._top = 0
        self._filter = ""
        self._pattern = ""
        self._sort: tuple[int, bool] | None = None
        self._widths_cache: tuple[int, tuple[Column[Row], ...], list[tuple[Column[Row], int]]] | None = None
        self.marks: frozenset[Hashable] = frozenset()
        self._announced: Row | None = None
        self._stamp: object = None
        self._drawn: dict[int, list[Span]] = {}

    # Data

    @property
    def rows(self) -> Sequence[Row]:
        return self._rows

    @property
    def shown(self) -> int:
        return len(self._order)

    @property
    def cursor(self) -> int:
        """Where the cursor is, counted from 0 among the rows that are shown."""
        return self._cursor

    def width_of(self, title: str) -> int:
        """Returns how many cells a column has now; 0 while it is not shown."""
        return next((cells for column, cells in self._columns(self.size.width) if column.title == title), 0)

    @property
    def current(self) -> Row | None:
        """The row under the cursor."""
        return self._rows[self._order[self._cursor]] if 0 <= self._cursor < len(self._order) else None

    def set_rows(self, rows: Sequence[Row], stamp: object = None) -> None:
        """New data. The cursor stays on the row with the same key, or else at the same place. Nothing is drawn again
        when neither the rows nor `stamp` differ: `stamp` stands for whatever else the cells depend on, the time for
        example."""
        if stamp == self._stamp and len(rows) == len(self._rows) and rows == self._rows:
            return
        current = self.current
        key = None if current is None else self._key(current)
        at_top = self._cursor == 0
        before = (self._cursor, self._top, len(self._order))
        same = rows is self._rows or rows == self._rows
        self._rows = rows
        self._stamp = stamp
        widths = self._widths_cache and self._widths_cache[2]
        self._widths_cache = None
        if not same:
            self._arrange()
            # Whoever stands on the newest row wants the newest row, unless he has chosen another one by moving.
            if key is not None and not (at_top and self._sort is None and not self.has_focus):
                self._seek(key)
        self._place(min(self._cursor, max(0, len(self._order) - 1)))
        if before == (self._cursor, self._top, len(self._order)) and widths == self._columns(self.size.width):
            self._refresh_lines()
        else:
            self.refresh()

    def _refresh_lines(self) -> None:
        """Draw again only the lines that read differently now: over SSH every line counts."""
        width = self.size.width
        offset = 1 if self.header else 0
        for y in range(max(0, self._body)):
            position = self._top + y
            if position >= len(self._order):
                break
            row = self._rows[self._order[position]]
            if self._drawn.get(y) != self._row_spans(row, width):
                self.refresh(Region(0, y + offset, width, 1))

    def set_columns(self, columns: Sequence[Column[Row]]) -> None:
        if len(columns) != len(self.columns):
            self._sort = None
        self.columns = tuple(columns)
        self._widths_cache = None
        self.refresh()

    def go_to(self, key: Hashable) -> bool:
        """Put the cursor on the row with that key; whether there is one."""
        found = self._seek(key)
        self._place(self._cursor)
        self.refresh()
        return found

    def _seek(self, key: Hashable) -> bool:
        rows, find = self._rows, self._key
        for position, index in enumerate(self._order):
            if find(rows[index]) == key:
                self._cursor = position
                return True
        return False

    def _arrange(self) -> None:
        rows = self._rows
        order: Sequence[int] = range(len(rows))
        if self._filter:
            needle, text = self._filter.lower(), self._text
            order = [index for index in order if needle in text(rows[index]).lower()]
        if self._sort is not None and self._sort[0] < len(self.columns):
            sort = self.columns[self._sort[0]].sort
            if sort is not None:
                order = sorted(order, key=lambda index: _sortable(sort(rows[index])), reverse=self._sort[1])
        self._order = order
        self._widths_cache = None

    # Verbs

    def move(self, how: str) -> None:
        page = max(1, self._body // 2)
        target = {
            "down": self._cursor + 1,
            "up": self._cursor - 1,
            "top": 0,
            "bottom": len(self._order) - 1,
            "half_down": self._cursor + page,
            "half_up": self._cursor - page,
        }.get(how, self._cursor)
        self._place(target)
        self.refresh()

    def wheel(self, lines: int) -> None:
        self._place(self._cursor + lines)
        self.refresh()

    def _place(self, cursor: int) -> None:
        self._cursor = max(0, min(cursor, len(self._order) - 1))
        self._clamp()
        current = self.current
        if current != self._announced:
            self._announced = current
            if self.is_mounted:
                self.post_message(self.Moved(self))

    def _clamp(self) -> None:
        """Keep the cursor on screen, and no more blank lines below the last row than there must be."""
        body = self._body
        if body > 0:
            self._top = max(min(self._top, self._cursor, max(0, len(self._order) - body)), self._cursor - body + 1)

    def search(self, text: str) -> None:
        self._pattern = text.lower()
        if self._pattern:
            self._hit(range(self._cursor, self._cursor + len(self._order)))
        self.refresh()

    def search_step(self, direction: int) -> None:
        if not self._pattern:
            self.podium.say("search first, with /")
            return
        start, length = self._cursor, len(self._order)
        self._hit(range(start + direction, start + direction * (length + 1), direction))
        self.refresh()

    def _hit(self, positions: range) -> None:
        length = len(self._order)
        for position in positions if length else ():
            if self._pattern in self._text(self._rows[self._order[position % length]]).lower():
                self._place(position % length)
                return
        self.podium.say(f"no row has {self._pattern!r}", "warn")

    @property
    def filter_text(self) -> str:
        return self._filter

    def set_filter(self, text: str) -> None:
        current = self.current
        self._filter = text
        self._arrange()
        self._top = 0
        if current is None or not self._seek(self._key(current)):
            self._cursor = 0
        self._place(self._cursor)
        self._say_filter()
        self.refresh()

    def _say_filter(self) -> None:
        self.border_subtitle = (
            f"filter: {self._filter}  {len(self._order)} of {len(self._rows)}".replace("[", r"\[")
            if self._filter
            else ""
        )

    def clear(self) -> bool:
        had = bool(self._filter or self._pattern)
        self._pattern = ""
        if self._filter:
            self.set_filter("")
        self.refresh()
        return had

    def sort_next(self) -> str:
        """Sort by the next column that can be; each one up, then down, then none. What it is sorted by, in words."""
        choices: list[tuple[int, bool] | None] = [None]
        for index, column in enumerate(self.columns):
            if column.sort is not None:
                choices += [(index, False), (index, True)]
        at = choices.index(self._sort) if self._sort in choices else 0
        self._sort_by(choices[(at + 1) % len(choices)])
        return (
            "as it came"
            if self._sort is None
            else f"by {self.columns[self._sort[0]].title.strip() or 'name'}{', turned round' if self._sort[1] else ''}"
        )

    def _sort_by(self, choice: tuple[int, bool] | None) -> None:
        current = self.current
        self._sort = choice
        self._arrange()
        if current is not None:
            self._seek(self._key(current))
        self._place(self._cursor)
        self.refresh()

    def copy_text(self) -> str:
        current = self.current
        return "" if current is None else one_line(self._text(current))

    # Drawing

    @property
    def _body(self) -> int:
        return self.size.height - (1 if self.header else 0)

    def on_resize(self) -> None:
        self._widths_cache = None
        self._place(self._cursor)

    def on_mount(self) -> None:
        self._place(self._cursor)

    def _columns(self, width: int) -> list[tuple[Column[Row], int]]:
        """The shown columns and their widths in cells. One cell stays between two, and one for the scroll bar."""
        if self._widths_cache is not None and self._widths_cache[0] == width and self._widths_cache[1] is self.columns:
            return self._widths_cache[2]
        shown = [each for each in self.columns if width >= each.from_width and (each.when is None or each.when())]
        spare = width - 2 - sum(column.width + 1 for column in shown)
        flex = sum(column.flex for column in shown)
        widths: list[tuple[Column[Row], int]] = []
        for column in shown:
            extra = spare * column.flex // flex if flex and spare > 0 else 0
            widths.append((column, column.width + extra))
        if flex and spare < 0:  # too narrow: the flexible ones give way first
            over = -spare
            for index, (column, cells) in enumerate(widths):
                if column.flex:
                    give = min(over, max(0, cells - 6))
                    widths[index] = (column, cells - give)
                    over -= give
        self._widths_cache = (width, self.columns, widths)  # a cell may ask for the width of its own column
        widths = list(zip(shown, shared([cells for _, cells in widths], self._needs(widths)), strict=True))
        self._widths_cache = (width, self.columns, widths)
        return widths

    def _needs(self, widths: Sequence[tuple[Column[Row], int]]) -> list[tuple[int, bool]]:
        """Returns for each column how many cells its title and the first rows take, and whether it may give away what
        it has more. What is drawn to the width of its column takes what it has."""
        rows = [self._rows[index] for index in self._order[:_MEASURED]]
        needs: list[tuple[int, bool]] = []
        for column, cells in widths:
            if column.draw is not None:
                needs.append((cells, False))
                continue
            title = cells_of(self._title_of(column)) if self.header else 0
            needs.append((max([title, *(_cells(column.cell(row)) for row in rows)]), bool(column.flex)))
        return needs

    def _title_of(self, column: Column[Row]) -> str:
        title = column.title
        if self._sort is not None and self.columns[self._sort[0]] is column:
            title += self.glyphs["down" if self._sort[1] else "up"]
        return self.glyphs.text(title)

    def render_lines(self, crop: Region) -> list[Strip]:
        self._clamp()  # the size may have changed since the cursor moved
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        width, height = self.size
        if self.notice and not self._order:
            return self.notice_line(y, width, height)
        if self.header:
            if y == 0:
                return self._header_line(width)
            y -= 1
        position = self._top + y
        if position >= len(self._order):
            return self.blank(width)
        row = self._rows[self._order[position]]
        base = None
        if position == self._cursor:
            base = self.palette["cursor" if self.has_focus else "blurred"]
        spans = self._drawn[y] = self._row_spans(row, width)
        if self._pattern and self._pattern in self._text(row).lower():
            base = self.palette["match"] if base is None else base + self.palette["underline"]
        line = self.strip(spans, width - 1, base)
        bar = scrollbar(self.glyphs, y, self._body, self._top, len(self._order))
        return Strip.join([line, self.strip([bar], 1)])

    def _header_line(self, width: int) -> Strip:
        spans: list[Span] = [(" ", "")]
        for column, cells in self._columns(width):
            spans.append((self._fitted(self._title_of(column), cells, column) + " ", "head"))
        return self.strip(spans, width)

    def _row_spans(self, row: Row, width: int) -> list[Span]:
        marked = self._key(row) in self.marks
        spans: list[Span] = [(self.glyphs["mark"], "warn!") if marked else (" ", "")]
        for column, cells in self._columns(width):
            cell = column.cell(row) if column.draw is None else column.draw(row, cells)
            spans += self._cell_spans(cell, cells, column)
            spans.append((" ", ""))
        return spans

    def _cell_spans(self, cell: Cell, cells: int, column: Column[Row]) -> list[Span]:
        parts = ((cell, ""),) if isinstance(cell, str) else cell
        if len(parts) == 1:
            return [(self._fitted(parts[0][0], cells, column), parts[0][1])]
        spans: list[Span] = []
        left = cells
        for text, role in parts:
            text = one_line(text)
            if left <= 0:
                break
            wanted = cells_of(text)
            piece = text if wanted <= left else self._fitted(text, left, column)
            spans.append((piece, role))
            left -= min(wanted, left)
        if left > 0:
            spans.insert(0 if column.align == "right" else len(spans), (" " * left, ""))
        return spans

    def _fitted(self, text: str, cells: int, column: Column[Row]) -> str:
        if column.both_ends and cells_of(text) > cells:
            return fit_both_ends(text, cells, self.glyphs)
        return fit(text, cells, self.glyphs, column.align)

    # Mouse

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None:
            return
        y = offset.y
        if self.header and y == 0:
            self._click_header(offset.x)
            return
        position = self._top + y - (1 if self.header else 0)
        if position < len(self._order):
            self._place(position)
            self.refresh()
            if event.chain == 2:
                self.post_message(self.Opened(self))

    def _click_header(self, x: int) -> None:
        left = 1
        for column, cells in self._columns(self.size.width):
            if left <= x < left + cells and column.sort is not None:
                index = self.columns.index(column)
                self._sort_by((index, self._sort == (index, False)))
                return
            left += cells + 1


def shared(widths: Sequence[int], needs: Sequence[tuple[int, bool]]) -> list[int]:
    """Returns the widths of columns after those that have more cells than they need, and may give, have given them to
    those that have too few: first to the one that lacks the fewest, so that as many as possible are whole."""
    cells = list(widths)
    while True:
        lacks = {index: need - cells[index] for index, (need, _) in enumerate(needs) if need > cells[index]}
        gives = {index: cells[index] - need for index, (need, may) in enumerate(needs) if may and need < cells[index]}
        if not lacks or not gives:
            return cells
        cells[min(lacks, key=lacks.__getitem__)] += 1
        cells[max(gives, key=gives.__getitem__)] -= 1


def _cells(cell: Cell) -> int:
    return cells_of(one_line(cell if isinstance(cell, str) else "".join(text for text, _ in cell)))


def _sortable(value: Any) -> tuple[bool, Any]:
    """None sorts last, whatever else a column holds."""
    return (value is None, 0 if value is None else value)
