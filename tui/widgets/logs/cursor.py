"""Where a person stands in a log: the line under the cursor, and the lines that are selected."""

from __future__ import annotations

from .folding import Hidden, back, forth

MOST_COPIED = 5_000
"""Lines that are read to be copied; a terminal's clipboard takes less than that of most logs."""


class LogCursor:
    """Rows count from 0. Without a row there is no cursor; with an anchor all rows between the two are selected."""

    def __init__(self) -> None:
        self.row: int | None = None
        self.anchor: int | None = None

    @property
    def on(self) -> bool:
        return self.row is not None

    @property
    def selected(self) -> range:
        """The rows that are meant: the selection, or the row itself; none without a cursor."""
        if self.row is None:
            return range(0)
        other = self.row if self.anchor is None else self.anchor
        return range(min(self.row, other), max(self.row, other) + 1)

    def step(self, total: int, row: int) -> str:
        """Goes on from nothing to a cursor on `row`, to a selection, and back to the cursor; says what can be done."""
        if not total:
            return "there is no line yet"
        if self.row is None:
            self.row = max(0, min(total - 1, row))
            return "j and k move, v selects, y copies, e saves, enter opens the line, esc ends"
        if self.anchor is None:
            self.anchor = self.row
            return "j and k select lines, y copies them, e saves them, v ends the selection"
        self.anchor = None
        return "nothing is selected; esc ends"

    def move(self, how: str, page: int, total: int, hidden: Hidden = ()) -> None:
        if self.row is None:
            return
        if how in ("top", "bottom"):
            self.row = 0 if how == "top" else total - 1
            return
        by = {"down": 1, "up": -1, "half_down": page, "half_up": -page}.get(how, 0)
        self.row = forth(hidden, self.row, by, total) if by > 0 else back(hidden, self.row, -by)

    def drag(self, start: int, row: int) -> None:
        self.anchor, self.row = start, row

    def clear(self) -> bool:
        """Ends the selection and the cursor; whether there was one."""
        had = self.row is not None
        self.row = self.anchor = None
        return had
