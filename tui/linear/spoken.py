"""What a screen holds, as words in a line: no glyphs, no columns, nothing that is drawn."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ...core.domain.text import one_line
from ..glyphs import Glyphs
from ..widgets.charts.chart import Chart
from ..widgets.charts.chart_draw import Plotted
from ..widgets.log_view import LogView
from ..widgets.pane import Pane, text_of
from ..widgets.table import Table
from ..widgets.text_pane import TextPane

_WORDS = {
    "→": " to ",
    "–": "-",
    "—": "-",
    "…": "...",
    " · ": ", ",
    "·": ",",
    "×": "x",
    "Δ": "difference ",
    "≈": "about ",
}
# Box drawing, blocks, geometric shapes, arrows, dingbats, braille: what is drawn, and not what is said.
_DRAWN = re.compile("[\u2190-\u21ff\u2300-\u23ff\u2500-\u25ff\u2700-\u27bf\u2800-\u28ff]+")
_AS_WIDE_AS_IT_IS = 500  # cells for a column that cuts what does not fit


class SpokenGlyphs(Glyphs):
    """Says nothing for what a state's word says as well."""

    def __init__(self) -> None:
        super().__init__()
        said = {
            "arrow": "→",
            "ellipsis": "…",
            "warn": "!",
            "near": "≈",
            "dash": "–",
            "critical": "critical path",
            "here": "open now, ",
        }
        self._table = {name: said.get(name, "") for name in self._table}
        self.blocks = " " * len(self.blocks)
        self.shades = " " * len(self.shades)


def plain(text: str) -> str:
    """Returns text from anywhere as one line of words."""
    text = one_line(text)
    if not text.isascii():
        for fancy, word in _WORDS.items():
            text = text.replace(fancy, word)
        text = _DRAWN.sub(" ", text)
    return " ".join(text.split())


def row_words(table: Table[Any], row: Any) -> str:
    """Returns a row, each cell behind its column's title; of what is empty nothing."""
    parts: list[str] = []
    for column in table.columns:
        if column.when is not None and not column.when():
            continue
        cell = column.draw(row, _AS_WIDE_AS_IT_IS) if column.draw is not None else column.cell(row)
        words = plain(text_of(cell))
        if words and words not in ("-", "!"):
            parts.append(f"{plain(column.title)} {words}".strip() if parts else words)
    return ", ".join(parts)


def title_of(pane: Pane) -> str:
    """Returns what a pane is called, with what its frame says."""
    parts = (pane.border_title, pane.border_subtitle)
    return ", ".join(filter(None, (plain(str(each or "").replace(r"\[", "[")) for each in parts)))


def pane_lines(pane: Pane) -> Sequence[str]:
    """Returns what a pane without numbered rows holds."""
    lines: list[str] = []
    if isinstance(pane, TextPane):
        lines = [plain(text_of(line)) for line in pane.lines]
    elif isinstance(pane, LogView):
        lines = [plain(line) for line in pane.copy_text().splitlines()]
    elif isinstance(pane, Chart):
        lines = [_curve(pane, curve) for curve in pane.data.curves]
        lines += [f"threshold {pane.data.y_text(each.y)}, {plain(each.label)}" for each in pane.data.thresholds]
        lines += [f"{plain(each.label)} at {pane.data.x_text(each.x)}" for each in pane.data.marks]
    lines = [line for line in lines if line]
    return lines or notice_lines(pane)


def notice_lines(pane: Pane) -> list[str]:
    """Returns what stands in a pane that has nothing to show."""
    return [words for text, _ in pane.notice if (words := plain(text))]


def _curve(pane: Chart, curve: Plotted) -> str:
    """Returns the course of a curve: where it begins and ends, and how far it goes."""
    points = [(x, y) for x, y in curve.points if y == y]
    if not points:
        return f"{plain(curve.label)}: no value"
    x_text, y_text = pane.data.x_text, pane.data.y_text
    low, high = (choose(points, key=lambda point: point[1]) for choose in (min, max))
    (first_x, first), (last_x, last) = points[0], points[-1]
    words = (
        f"{plain(curve.label)}: {y_text(last)} at {x_text(last_x)}, from {y_text(first)} at {x_text(first_x)}; least"
        f" {y_text(low[1])} at {x_text(low[0])}, most {y_text(high[1])} at {x_text(high[0])}; {len(points):,} values"
    )
    return plain(words)
