"""A row of blocks for a signal over time. Bars belong to fixed slices of time, so that they wander and never
shimmer."""

from __future__ import annotations

from collections.abc import Sequence

from ..glyphs import Glyphs


def sparkline(values: Sequence[float | None], width: int, glyphs: Glyphs, *, ceiling: float | None = None) -> str:
    """The newest `width` values as one character each; a gap where nothing was measured. `ceiling` fixes the top of
    the scale."""
    if width <= 0:
        return ""
    newest = list(values[-width:])
    known = [value for value in newest if value is not None]
    top = max(known, default=0.0) if ceiling is None else ceiling
    blocks = glyphs.blocks
    gap, levels = " ", len(blocks) - 1
    text = "".join(
        gap
        if value is None
        else blocks[1 + min(levels - 1, int(value / top * (levels - 1) + 0.5))]
        if top > 0
        else blocks[1]
        for value in newest
    )
    return text.rjust(width)
