"""The columns of a table, how many cells each of them gets, and how what is in it is cut to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from ....core.domain.frozen import Frozen
from ....core.domain.text import one_line
from ...glyphs import Glyphs
from ..pane import Cell, Span, cells_of, fit, fit_both_ends, text_of

Row = TypeVar("Row")
MEASURED = 30  # rows from the first on that say how wide the columns have to be
_LEAST = 6  # cells that a column keeps which gives way


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


def first_widths(columns: Sequence[Column[Row]], width: int, *, wide: bool) -> list[tuple[Column[Row], int]]:
    """Returns the columns that a table of so many cells shows, all where it is `wide`, with the cells that they were
    given: one cell stays between two, and one for the scroll bar."""
    fits = [each for each in columns if wide or width >= each.from_width]
    shown = [each for each in fits if each.when is None or each.when()]
    spare = width - 2 - sum(column.width + 1 for column in shown)
    flex = sum(column.flex for column in shown)
    widths: list[tuple[Column[Row], int]] = []
    over = -spare if flex else 0  # too narrow: the flexible ones give way first
    for column in shown:
        extra = spare * column.flex // flex if flex and spare > 0 else 0
        give = min(over, max(0, column.width - _LEAST)) if column.flex and over > 0 else 0
        widths.append((column, column.width + extra - give))
        over -= give
    return widths


def need_of(column: Column[Row], cells: int, title: str, rows: Sequence[Row]) -> tuple[int, bool]:
    """Returns how many cells a column's title and rows take, and whether it may give away what it has more. What is
    drawn to the width of its column takes what it has."""
    if column.draw is not None:
        return cells, False
    return max([cells_of(title), *(cells_of(one_line(text_of(column.cell(row)))) for row in rows)]), bool(column.flex)


def fitted(
    widths: Sequence[tuple[Column[Row], int]], needed: Sequence[tuple[int, bool]], wide: bool
) -> list[tuple[Column[Row], int]]:
    """Returns the columns with the cells that they get: as many as each needs where the table is `wide`, else those
    that there are, shared."""
    columns = [column for column, _ in widths]
    if wide:
        return [(each, max(each.width, need)) for each, (need, _) in zip(columns, needed, strict=True)]
    return list(zip(columns, shared([cells for _, cells in widths], needed), strict=True))


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


def cell_spans(cell: Cell, cells: int, column: Column[Any], glyphs: Glyphs) -> list[Span]:
    """Returns a cell as wide as its column; of several parts those that there is room for."""
    parts = ((cell, ""),) if isinstance(cell, str) else cell
    if len(parts) == 1:
        return [(cut(parts[0][0], cells, column, glyphs), parts[0][1])]
    spans: list[Span] = []
    left = cells
    for text, role in parts:
        text = one_line(text)
        if left <= 0:
            break
        wanted = cells_of(text)
        piece = text if wanted <= left else cut(text, left, column, glyphs)
        spans.append((piece, role))
        left -= min(wanted, left)
    if left > 0:
        spans.insert(0 if column.align == "right" else len(spans), (" " * left, ""))
    return spans


def cut(text: str, cells: int, column: Column[Any], glyphs: Glyphs) -> str:
    """Returns a text in so many cells, cut and aligned as its column is."""
    if column.both_ends and cells_of(text) > cells:
        return fit_both_ends(text, cells, glyphs)
    return fit(text, cells, glyphs, column.align)
