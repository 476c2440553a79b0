"""A table that draws only the lines on screen, over rows that somebody else holds: 100,000 rows cost no more than 20.

Textual's DataTable renders every row when it is added (10 s for 100,000) and all of them again when a cell changes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar

from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from ...core.domain.text import one_line
from .pane import Pane, Span, scrollbar
from .tables.arranging import Arrangement
from .tables.columns import MEASURED, Column, cell_spans, cut, first_widths, fitted, need_of

Row = TypeVar("Row")
_PAN = 12  # cells that one key moves columns to the side


class Table(Pane, Generic[Row]):
    """`key` identifies a row across refreshes, so that the cursor stays on the same thing; `text` is what search and
    filter look at. With `chooses` a filter may be more than a text: it returns which rows are wanted, or why what was
    typed cannot be read; then all are shown."""

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
        chooses: Callable[[str], Callable[[Row], bool] | str] | None = None,
        header: bool = True,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(title, id=id, classes=classes)
        self._chooses = chooses
        self._unread = ""
        self.given: tuple[Column[Row], ...] = tuple(columns)
        """All columns; `columns` are those that a person wants to see, in their order."""
        self.columns = self.given
        self.arrangement = Arrangement()
        self._left = 0
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

    def rows_from(self, first: int, count: int) -> list[Row]:
        """Returns rows as they are shown, from the one at `first` (from 0) on."""
        return [self._rows[index] for index in self._order[first : first + count]]

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

    @property
    def current_key(self) -> Hashable:
        """What identifies the row under the cursor; None without one."""
        current = self.current
        return None if current is None else self._key(current)

    def key_of(self, row: Row) -> Hashable:
        """Returns what identifies a row."""
        return self._key(row)

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
        self.given = tuple(columns)
        self._show_arranged()

    def arrange(self, arrangement: Arrangement) -> None:
        """Shows the columns as a person wants them, and keeps that."""
        self.arrangement = arrangement
        self._show_arranged()
        if self._name_of_table:
            self.podium.tables.keep(self._name_of_table, arrangement)

    def toggle_wide(self) -> bool:
        """Makes every column as wide as it needs, or all as wide as the table again; tells which."""
        self._left = 0
        self.arrange(self.arrangement.with_wide(not self.arrangement.wide))
        return self.arrangement.wide

    @property
    def _name_of_table(self) -> str:
        """What its arrangement is kept by; empty for one in a dialog, or without titles."""
        screen = getattr(self.screen, "title_id", "") if self.is_attached else ""
        return f"{screen}/{self.id}" if screen and self.id and self.header else ""

    def _show_arranged(self) -> None:
        wanted = self.arrangement
        self.columns = wanted.arranged(self.given)
        by = next((at for at, each in enumerate(self.columns) if wanted.sort and each.title == wanted.sort), None)
        self._sort = None if by is None or self.columns[by].sort is None else (by, wanted.reverse)
        self._left = 0
        self._widths_cache = None
        self._resort()

    def go_to(self, key: Hashable) -> bool:
        """Put the cursor on the row with that key; whether there is one."""
        found = self._seek(key)
        self._place(self._cursor)
        self.refresh()
        return found

    def go_to_first(self, matches: Callable[[Row], bool]) -> bool:
        """Puts the cursor on the first row that matches; tells whether one does."""
        position = next((at for at, index in enumerate(self._order) if matches(self._rows[index])), None)
        if position is None:
            return False
        self._place(position)
        self.refresh()
        return True

    @property
    def reading(self) -> bool:
        return super().reading and not self._order

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
            wanted = self._wanted()
            order = [index for index in order if wanted(rows[index])]
        if self._sort is not None and self._sort[0] < len(self.columns):
            sort = self.columns[self._sort[0]].sort
            if sort is not None:
                order = sorted(order, key=lambda index: _sortable(sort(rows[index])), reverse=self._sort[1])
        self._order = order
        self._widths_cache = None

    def _wanted(self) -> Callable[[Row], bool]:
        found = self._chooses(self._filter) if self._chooses is not None else None
        self._unread = found if isinstance(found, str) else ""
        if self._unread:
            return lambda _row: True
        if found is not None and not isinstance(found, str):
            return found
        needle, text = self._filter.lower(), self._text
        return lambda row: needle in text(row).lower()

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
        if how in ("left", "right") and self.arrangement.wide:
            self._left = max(
                0, min(self._left + (_PAN if how == "right" else -_PAN), self._total - self.size.width + 1)
            )
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
        said = self._unread or f"filter: {self._filter}  {len(self._order)} of {len(self._rows)}"
        self.border_subtitle = one_line(said).replace("[", r"\[") if self._filter else ""

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
        self._sort = choice
        title, reverse = (self.columns[choice[0]].title, choice[1]) if choice is not None else ("", False)
        self.arrangement = self.arrangement.sorted_by(title, reverse)
        if self._name_of_table:
            self.podium.tables.keep(self._name_of_table, self.arrangement)
        self._resort()

    def _resort(self) -> None:
        current = self.current
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
        if self._name_of_table:
            self.arrangement = self.podium.tables.of(self._name_of_table)
            if self.arrangement != Arrangement():
                self._show_arranged()
        self._place(self._cursor)

    def _columns(self, width: int) -> list[tuple[Column[Row], int]]:
        """The shown columns and their widths in cells. One cell stays between two, and one for the scroll bar."""
        if self._widths_cache is not None and self._widths_cache[0] == width and self._widths_cache[1] is self.columns:
            return self._widths_cache[2]
        wide = self.arrangement.wide
        widths = first_widths(self.columns, width, wide=wide)
        self._widths_cache = (width, self.columns, widths)  # a cell may ask for the width of its own column
        rows = self.rows_from(0, MEASURED)
        titles = [self._title_of(column) if self.header else "" for column, _ in widths]
        widths = fitted(widths, [need_of(*each, title, rows) for each, title in zip(widths, titles, strict=True)], wide)
        self._widths_cache = (width, self.columns, widths)
        return widths

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
        line = self._panned(spans, width - 1, base)
        bar = scrollbar(self.glyphs, y, self._body, self._top, len(self._order))
        return Strip.join([line, self.strip([bar], 1)])

    def _header_line(self, width: int) -> Strip:
        spans: list[Span] = [(" ", "")]
        for column, cells in self._columns(width):
            spans.append((cut(self._title_of(column), cells, column, self.glyphs) + " ", "head"))
        return self._panned(spans, width)

    @property
    def _total(self) -> int:
        """How many cells all columns take."""
        return 1 + sum(cells + 1 for _, cells in self._columns(self.size.width))

    def _panned(self, spans: Sequence[Span], width: int, base: Style | None = None) -> Strip:
        """Returns a line, in wide mode from where the columns were moved to; those that are pinned stay."""
        if not self.arrangement.wide or self._total <= width:
            return self.strip(spans, width, base)
        whole = self.strip(spans, self._total, base)
        fixed = self._fixed
        moved = whole.crop(fixed + self._left, max(fixed + self._left, self._left + width))
        return Strip.join([whole.crop(0, fixed), moved]).adjust_cell_length(width, self.palette["ground"])

    @property
    def _fixed(self) -> int:
        """How many cells the pinned columns take."""
        pinned = [cells for _, cells in self._columns(self.size.width)[: self.arrangement.pinned]]
        return min(1 + sum(cells + 1 for cells in pinned), self.size.width // 2)

    def _row_spans(self, row: Row, width: int) -> list[Span]:
        marked = self._key(row) in self.marks
        spans: list[Span] = [(self.glyphs["mark"], "warn!") if marked else (" ", "")]
        for column, cells in self._columns(width):
            cell = column.cell(row) if column.draw is None else column.draw(row, cells)
            spans += cell_spans(cell, cells, column, self.glyphs)
            spans.append((" ", ""))
        return spans

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
        x += self._left if self.arrangement.wide and x >= self._fixed else 0
        for column, cells in self._columns(self.size.width):
            if left <= x < left + cells and column.sort is not None:
                index = self.columns.index(column)
                self._sort_by((index, self._sort == (index, False)))
                return
            left += cells + 1


def _sortable(value: Any) -> tuple[bool, Any]:
    """None sorts last, whatever else a column holds."""
    return (value is None, 0 if value is None else value)
