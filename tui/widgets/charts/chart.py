"""Curves with axes, thresholds and what happened, over steps or time. Draws again only when its data, its size or its
cursor have changed."""

from __future__ import annotations

from textual import events
from textual.message import Message
from textual.strip import Strip

from ..pane import Pane
from ..text_pane import Line
from .chart_draw import ChartData, Frame, chart_lines, frame_of, value_at

_NOTHING, _NO_ROOM = "nothing was measured", "there is no value to draw here, or no room"
_MOST_COPIED = 2_000  # points that `y` copies
_STEPS = {"left": -1, "right": 1, "half_up": -10, "half_down": 10}


class Chart(Pane):
    """`left` and `right` put a cursor onto the plot and move it; the legend has the values there. Several charts share
    one by passing on `Moved`."""

    kind = "chart"

    class Moved(Message):
        """The cursor stands at another x, or is gone (None)."""

        def __init__(self, chart: Chart, x: float | None) -> None:
            super().__init__()
            self.chart, self.x = chart, x

        @property
        def control(self) -> Chart:
            return self.chart

    def __init__(self, title: str = "", *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(title, id=id, classes=classes)
        self.data = ChartData()
        self.cursor: float | None = None
        self._lines: list[Line] | None = None
        self.drawn = 0
        """How often the chart was drawn anew."""

    def set_data(self, data: ChartData) -> None:
        if data == self.data:
            return
        first, self.data, self.notice = not self.data.curves, data, ()
        if first or not self.is_attached:
            self._redraw()
        else:
            self._lines = None
            self.podium.turns.refresh(self)

    def set_cursor(self, x: float | None) -> None:
        if x != self.cursor:
            self.cursor = x
            self._redraw()

    def _redraw(self) -> None:
        self._lines = None
        self.refresh()

    def on_resize(self) -> None:
        self._redraw()

    @property
    def frame(self) -> Frame | None:
        return frame_of(self.data, *self.size)

    # Verbs

    def move(self, how: str) -> None:
        frame = self.frame
        if frame is None:
            return
        last = frame.width - 1
        here = last if self.cursor is None else frame.column(self.cursor)
        if how in ("top", "bottom"):
            column = 0 if how == "top" else last
        elif how in _STEPS:
            # The first key puts the cursor onto the newest value rather than beside it.
            column = here if self.cursor is None else here + _STEPS[how]
        else:
            return
        self._point(frame, max(0, min(last, column)))

    def wheel(self, lines: int) -> None:
        self.move("right" if lines > 0 else "left")

    def on_click(self, event: events.Click) -> None:
        offset, frame = event.get_content_offset(self), self.frame
        if offset is not None and frame is not None:
            self._point(frame, max(0, min(frame.width - 1, offset.x - frame.left - 1)))

    def _point(self, frame: Frame, column: int) -> None:
        self.set_cursor(frame.x_of(column))
        self.post_message(self.Moved(self, self.cursor))

    def clear(self) -> bool:
        had = self.cursor is not None
        if had:
            self.set_cursor(None)
            self.post_message(self.Moved(self, None))
        return had

    def copy_text(self) -> str:
        """The values at the cursor; without one every point that was drawn, as lines of tabs."""
        curves = self.data.curves
        if self.cursor is not None:
            values = (f"{curve.label}\t{value_at(curve.points, self.cursor)}" for curve in curves)
            return "\n".join((self.data.x_text(self.cursor), *values))
        points = [f"{curve.label}\t{x:.17g}\t{y:.17g}" for curve in curves for x, y in curve.points]
        return "\n".join(points[:_MOST_COPIED])

    # Drawing

    def render_line(self, y: int) -> Strip:
        width, height = self.size
        if self._lines is None:
            self._lines = chart_lines(self.data, width, height, self.glyphs, self.cursor)
            self.drawn += 1
        if not self._lines:
            if not self.notice:
                some = any(curve.points for curve in self.data.curves)
                self.notice = ((_NO_ROOM if some else _NOTHING, "faint"),)
            return self.notice_line(y, width, height)
        return self.strip(self._lines[y], width) if y < len(self._lines) else self.blank(width)
