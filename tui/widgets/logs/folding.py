"""Rows of a log of which nothing is seen any more, because later ones wrote over them (progress bars): moving,
scrolling and drawing pass them by."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TypeVar

Hidden = Collection[int]
T = TypeVar("T")
_NEAR = 8  # rows between two states of a bar, of which several may be drawn below each other
_AT_ONCE = 4_096


def back(hidden: Hidden, row: int, count: int) -> int:
    """Returns the row that is so many shown rows above `row`, 0 at the least."""
    if not hidden:
        return max(0, row - count)
    while count > 0 and row > 0:
        row -= 1
        count -= row not in hidden
    return row


def forth(hidden: Hidden, row: int, count: int, total: int) -> int:
    """Returns the row that is so many shown rows below `row`, the last one at the most."""
    last = total - 1
    if not hidden:
        return min(last, row + count)
    below = row
    while count > 0 and below < last:
        below += 1
        if below not in hidden:
            row = below
            count -= 1
    return row


def laid_down(
    hidden: Hidden, top: int, total: int, height: int, draw: Callable[[int], list[T]]
) -> tuple[list[T], list[int]]:
    """Returns what is drawn from row `top` down, and the row that each line of it belongs to."""
    drawn: list[T] = []
    places: list[int] = []
    for row in range(top, total):
        if len(drawn) >= height:
            break
        parts = [] if row in hidden else draw(row)
        drawn += parts
        places += [row] * len(parts)
    return drawn[:height], places[:height]


def laid_up(hidden: Hidden, total: int, height: int, draw: Callable[[int], list[T]]) -> tuple[list[T], list[int]]:
    """Returns the same from the last row up."""
    drawn: list[T] = []
    places: list[int] = []
    for row in range(total - 1, -1, -1):
        if len(drawn) >= height:
            break
        parts = [] if row in hidden else draw(row)
        drawn[:0], places[:0] = parts, [row] * len(parts)
    return drawn[-height:], places[-height:]


def seen(hits: Sequence[int], hidden: Callable[[int, int], Hidden]) -> tuple[int, ...]:
    """Returns the hits without those that a later one wrote over, as the states of a progress bar do; the last one that
    has the text stands for all of them. `hidden` returns the rows, from one to another, that later ones of these wrote
    over; it is asked for what is near each other alone."""
    kept: list[int] = []
    for group in _groups(hits):
        gone = hidden(group[0], group[-1]) if len(group) > 1 else ()
        kept += [hit for hit in group if hit not in gone] or group[-1:]
    return tuple(kept)


def _groups(hits: Sequence[int]) -> Iterator[list[int]]:
    group: list[int] = []
    for hit in hits:
        if group and (hit - group[-1] > _NEAR or hit - group[0] >= _AT_ONCE):
            yield group
            group = []
        group.append(hit)
    if group:
        yield group
