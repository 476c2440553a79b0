"""Pictures in the cells of a terminal: two pixels in each, one above the other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from ...core.domain.curves import Picture, Sample
from ...tui.widgets.pane import Span

_UPPER = "▀"


def picture_lines(picture: Picture, columns: int, rows: int) -> list[tuple[Span, ...]]:
    """Returns the lines of a picture, as large as fits into so many cells; none if nothing of it fits."""
    sample = picture.fitting(columns, rows * 2)
    return [] if sample is None else [tuple(_line(sample, row)) for row in range(0, sample.height, 2)]


def _line(sample: Sample, row: int) -> Iterator[Span]:
    cells = [_cell(sample, column, row) for column in range(sample.width)]
    for look, same in groupby(cells):
        yield _UPPER * len(list(same)), look


def _cell(sample: Sample, column: int, row: int) -> str:
    above = _colour(sample, column, row)
    return f"{above} on {_colour(sample, column, row + 1)}" if row + 1 < sample.height else above


def _colour(sample: Sample, column: int, row: int) -> str:
    at = (row * sample.width + column) * 3
    return "#" + sample.pixels[at : at + 3].hex()
