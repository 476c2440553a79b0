"""Draws curves with axes into lines of characters: two by two dots in a cell by quarter blocks, or one in ASCII.

Pure functions of data and size; the widget keeps what they return until one of both changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import field

from ....core.domain.frozen import Frozen
from ...glyphs import Glyphs
from ..pane import Span, cells_of
from ..text_pane import Line

Point = tuple[float, float]
# The quarter blocks by which quarters they fill: 1 upper left, 2 upper right, 4 lower left, 8 lower right.
_QUARTERS = " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█"
_ROLES = ("run", "warn", "ok", "wait", "accent", "bad")
_LETTERS = "abcdefgh"
_LETTER_EVERY = 16  # columns between the letters that tell curves apart where colours do not
_MOST = 1e300  # the range of larger numbers is no number
_LEAST_WIDTH, _LEAST_HEIGHT = 12, 3


class Plotted(Frozen):
    """A curve: points by rising x. NaN is a gap."""

    label: str
    points: Sequence[Point]


class Mark(Frozen):
    """Something that happened at one place of the x axis."""

    x: float
    label: str


class Threshold(Frozen):
    y: float
    label: str = ""


class ChartData(Frozen):
    """What a chart shows. `low` and `high` bound the x axis (None: as far as the points go), `band` is a range of y
    that is usual, such as the baseline's interval."""

    curves: tuple[Plotted, ...] = ()
    marks: tuple[Mark, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    band: tuple[float, float] | None = None
    low: float | None = None
    high: float | None = None
    floor: float | None = None
    """The y axis reaches down to it at least."""
    ceiling: float | None = None
    """And up to it."""
    log: bool = False
    smooth: float = 0.0
    """From 0, as it was measured, to under 1."""
    x_text: Callable[[float], str] = field(default=lambda x: f"{x:g}")
    y_text: Callable[[float], str] = field(default=lambda y: f"{y:.4g}")


class Frame(Frozen):
    """Where the plot is within its widget, and what its edges mean."""

    left: int
    width: int
    height: int
    x0: float
    x1: float
    y0: float
    y1: float
    log: bool

    def column(self, x: float) -> int:
        span = self.x1 - self.x0
        return 0 if not span else round((x - self.x0) / span * (self.width - 1))

    def x_of(self, column: int) -> float:
        return self.x0 + (self.x1 - self.x0) * column / max(1, self.width - 1)

    def share(self, y: float) -> float | None:
        """Returns how high a value is, from 0 to 1; None for one that has no place."""
        if not _drawable(y, self.log):
            return None
        if self.log:
            y = math.log10(y)
        span = self.y1 - self.y0
        return 0.5 if not span else (y - self.y0) / span

    def row(self, y: float) -> int | None:
        """Returns the row of a value, from the top; None outside of the plot."""
        share = self.share(y)
        if share is None or not -1e-9 <= share <= 1 + 1e-9:
            return None
        return min(self.height - 1, max(0, round((1 - share) * (self.height - 1))))


def smoothed(points: Sequence[Point], weight: float) -> Sequence[Point]:
    """Returns the exponential average, without the pull of its beginning towards 0."""
    if weight <= 0:
        return points
    found: list[Point] = []
    total = norm = 0.0
    for x, y in points:
        if math.isfinite(y):
            total, norm = total * weight + y * (1 - weight), norm * weight + (1 - weight)
            y = total / norm
        found.append((x, y))
    return found


def frame_of(data: ChartData, width: int, height: int) -> Frame | None:
    """Returns the axes for a widget of this size; None where there is nothing to draw, or no room for it."""
    xs = [edge for curve in data.curves if curve.points for edge in (curve.points[0][0], curve.points[-1][0])]
    x0 = data.low if data.low is not None else min(xs, default=0.0)
    x1 = data.high if data.high is not None else max(xs, default=0.0)
    values = [y for curve in data.curves for x, y in curve.points if x0 <= x <= x1 and _drawable(y, data.log)]
    if not values:
        return None
    y0, y1 = _range(data, min(values), max(values))
    rows = height - (2 if data.marks else 1) - 1
    if rows < _LEAST_HEIGHT:
        return None
    left = max(cells_of(_y_text(data, y0, y1, y, rows)) for y in range(rows) if _labelled(y, rows)) + 1
    plot = width - left - 1
    if plot < _LEAST_WIDTH:
        return None
    return Frame(left, plot, rows, x0, x1, y0, y1, data.log)


def _drawable(y: float, log: bool) -> bool:
    return abs(y) < _MOST and (y > 0 or not log)


def _range(data: ChartData, low: float, high: float) -> tuple[float, float]:
    """Returns the range of y, in powers of ten on a logarithmic axis."""
    near = [each.y for each in data.thresholds if _drawable(each.y, data.log)]
    near += [] if data.band is None else [y for y in data.band if _drawable(y, data.log)]
    near += [y for y in (data.floor, data.ceiling) if y is not None and _drawable(y, data.log)]
    # A threshold far away must not press the curve flat: it is shown where it is within three times the curve's range.
    span = (high - low) or abs(high) or 1.0
    near = [y for y in near if low - 3 * span <= y <= high + 3 * span or y in (data.floor, data.ceiling)]
    low, high = min([low, *near]), max([high, *near])
    if data.log:
        low, high = math.log10(low), math.log10(high)
    if low == high:
        half = 0.5 if data.log else abs(low) * 0.1 or 0.5
        return low - half, high + half
    return low, high


# The plot


class _Canvas:
    """Cells with the curve that was drawn into them last, and which of their quarters it fills."""

    def __init__(self, frame: Frame, plain: bool) -> None:
        self.frame = frame
        self.fine = 1 if plain else 2
        self.dots = [[0] * frame.width for _ in range(frame.height)]
        self.owners = [[-1] * frame.width for _ in range(frame.height)]
        self.letters: dict[tuple[int, int], str] = {}

    def draw(self, owner: int, points: Sequence[Point]) -> None:
        columns = _columns(points, self.frame, self.frame.width * self.fine)
        high = self.frame.height * self.fine - 1
        before: tuple[int, int] | None = None
        for column, value in columns:
            share = None if value is None else self.frame.share(value)
            if share is None or not -0.5 <= share <= 1.5:
                before = None
                continue
            row = round((1 - share) * high)
            if before is not None:
                self._line(owner, before, (column, row), high)
            else:
                self._dot(owner, column, row, high)
            before = (column, row)

    def _line(self, owner: int, start: tuple[int, int], end: tuple[int, int], high: int) -> None:
        """Draws columns between two points; each column from the height before to its own."""
        (x0, y0), (x1, y1) = start, end
        last = y0
        for x in range(x0 + 1, x1 + 1):
            y = round(y0 + (y1 - y0) * (x - x0) / (x1 - x0))
            low, top = min(last, y), max(last, y)
            # Of a steep rise half is in the column before.
            for row in range(low if low == top else low + (last < y), top + 1 - (last > y and low != top)):
                self._dot(owner, x, row, high)
            last = y

    def _dot(self, owner: int, column: int, row: int, high: int) -> None:
        if not 0 <= row <= high:
            return
        y, x = row // self.fine, column // self.fine
        if self.owners[y][x] != owner:
            self.owners[y][x], self.dots[y][x] = owner, 0
        self.dots[y][x] |= 1 << (column % self.fine + 2 * (row % self.fine)) if self.fine == 2 else 1

    def letter(self, owner: int, letter: str) -> None:
        """Writes a curve's letter onto it, every few columns."""
        for x in range(4 + owner * 3, self.frame.width, _LETTER_EVERY):
            for y in range(self.frame.height):
                if self.owners[y][x] == owner:
                    self.letters[y, x] = letter
                    break


def _columns(points: Sequence[Point], frame: Frame, columns: int) -> list[tuple[int, float | None]]:
    """Returns (column, value) for the columns that points fall into: the mean of those in one. A gap is None."""
    span = frame.x1 - frame.x0
    sums: list[tuple[int, float | None]] = []
    at, total, number = -1, 0.0, 0
    for x, y in points:
        if not frame.x0 <= x <= frame.x1:
            continue
        column = 0 if not span else min(columns - 1, int((x - frame.x0) / span * columns))
        if column != at:
            if number:
                sums.append((at, total / number))
            at, total, number = column, 0.0, 0
        if y != y:
            if number:
                sums.append((at, total / number))
                total, number = 0.0, 0
            sums.append((column, None))
            continue
        total, number = total + y, number + 1
    return [*sums, (at, total / number)] if number else sums


def role_of(place: int) -> str:
    """Returns the colour of a curve."""
    return _ROLES[place % len(_ROLES)]


def letter_of(place: int) -> str:
    """Returns what a curve is called in the plot, where there are several."""
    return _LETTERS[place % len(_LETTERS)]


def chart_lines(data: ChartData, width: int, height: int, glyphs: Glyphs, cursor: float | None = None) -> list[Line]:
    """Returns the chart: a legend, the plot with its axis on the left, the x axis, and what happened below it."""
    frame = frame_of(data, width, height)
    if frame is None:
        return []
    canvas = _Canvas(frame, glyphs.plain)
    for place, curve in enumerate(data.curves):
        canvas.draw(place, smoothed(curve.points, data.smooth))
    if len(data.curves) > 1:
        for place in range(len(data.curves)):
            canvas.letter(place, letter_of(place))
    at = None if cursor is None or not frame.x0 <= cursor <= frame.x1 else frame.column(cursor)
    lines = [_legend(data, cursor, width, glyphs)]
    lines += [_row(data, canvas, y, at, glyphs) for y in range(frame.height)]
    lines.append(_x_axis(data, frame))
    if data.marks:
        lines.append(_marks(data, frame, glyphs))
    return lines


def _legend(data: ChartData, cursor: float | None, width: int, glyphs: Glyphs) -> Line:
    """Returns what the curves are called, with their values at the cursor, or else their last ones."""
    spans: list[Span] = []
    if cursor is not None:
        spans.append((f"{data.x_text(cursor)}  ", "text!"))
    several = len(data.curves) > 1
    for place, curve in enumerate(data.curves):
        value = value_at(curve.points, cursor)
        shown = glyphs["dash"] if value is None else data.y_text(value)
        mark = f"{letter_of(place)} " if several else ""
        spans.append((f"{mark}{curve.label} ", role_of(place)))
        spans.append((f"{shown}   ", "text"))
    for each in data.thresholds:
        spans.append((f"{each.label or 'threshold'} {data.y_text(each.y)}   ", "muted"))
    used = 0
    kept: list[Span] = []
    for text, role in spans:
        if used + cells_of(text.rstrip()) >= width:
            kept.append((glyphs["ellipsis"], "muted"))
            break
        text = text if used + cells_of(text) < width else text.rstrip()
        kept.append((text, role))
        used += cells_of(text)
    return tuple(kept)


def value_at(points: Sequence[Point], x: float | None) -> float | None:
    """Returns the value at a place: the last one measured up to it. Without a place the last of all."""
    found: float | None = None
    for at, value in points:
        if x is not None and at > x:
            break
        if value == value:
            found = value
    return found


def _row(data: ChartData, canvas: _Canvas, y: int, at: int | None, glyphs: Glyphs) -> Line:
    frame = canvas.frame
    spans: list[Span] = [(_y_label(data, frame, y), "muted"), (glyphs["track"], "faint")]
    limits = {frame.row(each.y): each for each in data.thresholds}
    band = _band_rows(data, frame)
    text, role = "", ""
    for x in range(frame.width):
        letter, own = _cell(canvas, x, y, at, glyphs, y in limits, band is not None and band[0] <= y <= band[1])
        if own != role:
            if text:
                spans.append((text, role))
            text, role = "", own
        text += letter
    spans.append((text, role))
    return tuple(spans)


def _cell(canvas: _Canvas, x: int, y: int, at: int | None, glyphs: Glyphs, limit: bool, usual: bool) -> tuple[str, str]:
    owner = canvas.owners[y][x]
    if owner >= 0:
        letter = canvas.letters.get((y, x))
        if letter is None:
            letter = "*" if glyphs.plain else _QUARTERS[canvas.dots[y][x]]
        return letter, role_of(owner) + ("!" if x == at else "")
    if x == at:
        return glyphs["track"], "text"
    if limit:
        return (glyphs["rule"] if x % 2 else " "), "warn"
    return (glyphs.shades[0], "faint") if usual else (" ", "")


def _band_rows(data: ChartData, frame: Frame) -> tuple[int, int] | None:
    if data.band is None:
        return None
    shares = [frame.share(y) for y in data.band]
    if None in shares:
        return None
    rows = [round((1 - min(1.0, max(0.0, share or 0.0))) * (frame.height - 1)) for share in shares]
    return min(rows), max(rows)


def _labelled(y: int, rows: int) -> bool:
    """Tells whether a row has a label: the two ends, and some between with rows free around them."""
    every = max(2, -(-(rows - 1) // max(1, (rows - 1) // 4)))
    return y in (0, rows - 1) or (y % every == 0 and rows - 1 - y >= every)


def _y_text(data: ChartData, y0: float, y1: float, y: int, rows: int) -> str:
    value = y1 - (y1 - y0) * y / max(1, rows - 1)
    return data.y_text(10**value if data.log else value)


def _y_label(data: ChartData, frame: Frame, y: int) -> str:
    if not _labelled(y, frame.height):
        return " " * frame.left
    text = _y_text(data, frame.y0, frame.y1, y, frame.height)
    return " " * (frame.left - 1 - cells_of(text)) + text + " "


def _x_axis(data: ChartData, frame: Frame) -> Line:
    """Returns the labels of the x axis: its ends, and as many between as there is room for."""
    longest = max(cells_of(data.x_text(x)) for x in (frame.x0, (frame.x0 + frame.x1) / 2, frame.x1))
    count = max(2, min(9, frame.width // (longest + 6) + 1))
    if frame.x0 == frame.x1:
        return _placed([(0, data.x_text(frame.x0), "muted")], frame, ends=True)
    columns = [round(number * (frame.width - 1) / (count - 1)) for number in range(count)]
    labels = [(column, data.x_text(frame.x_of(column)), "muted") for column in columns]
    return _placed(labels, frame, ends=True)


def _marks(data: ChartData, frame: Frame, glyphs: Glyphs) -> Line:
    here = [each for each in data.marks if frame.x0 <= each.x <= frame.x1]
    labels = [(frame.column(each.x), f"{glyphs['up']}{each.label}", "accent") for each in here]
    return _placed(labels, frame, ends=False)


def _placed(labels: Sequence[tuple[int, str, str]], frame: Frame, *, ends: bool) -> Line:
    """Returns labels at their columns; one that has no room is left out, and the last wins over those before it."""
    total = frame.left + 1 + frame.width
    taken: list[tuple[int, str, str]] = []
    for column, text, role in sorted(labels, reverse=True):
        start = frame.left + 1 + column - (cells_of(text) // 2 if ends else 0)
        start = max(0, min(start, total - cells_of(text)))
        if not taken or start + cells_of(text) + 1 <= taken[-1][0]:
            taken.append((start, text, role))
    spans: list[Span] = []
    at = 0
    for start, text, role in reversed(taken):
        spans += [(" " * (start - at), ""), (text, role)]
        at = start + cells_of(text)
    return tuple(spans)
