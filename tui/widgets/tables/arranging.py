"""An arrangement of a table's columns: which are shown, in which order, which stay in place, and by which rows are
sorted. A column is known by its title; one without a title belongs to the one before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Protocol, TypeVar

from ....core.domain.frozen import Frozen


class Titled(Protocol):
    @property
    def title(self) -> str: ...


C = TypeVar("C", bound=Titled)


class Arrangement(Frozen):
    hidden: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    """Titles in the order in which they stand; those that are not named keep their places behind them."""
    pinned: int = 0
    """How many of the first columns stay in place while the others move to the side."""
    wide: bool = False
    """Whether every column is as wide as it needs, beyond the edge of the table."""
    sort: str = ""
    """The title of the column that rows are sorted by; empty: as they come."""
    reverse: bool = False

    def arranged(self, columns: Sequence[C]) -> tuple[C, ...]:
        """Returns the columns that are shown, in their order. One is left at least."""
        groups = _groups(columns)
        shown = [group for group in groups if group[0].title not in self.hidden] or groups[:1]
        places = {title: place for place, title in enumerate(self.order)}
        shown.sort(key=lambda group: places.get(group[0].title, len(places)))
        return tuple(column for group in shown for column in group)

    def toggled(self, title: str) -> Arrangement:
        """Returns it with a column hidden, or shown again."""
        hidden = tuple(each for each in self.hidden if each != title)
        return replace(self, hidden=hidden if len(hidden) < len(self.hidden) else (*hidden, title))

    def moved(self, titles: Sequence[str], title: str, by: int) -> Arrangement:
        """Returns it with a column so many places further on; `titles` are all in their present order."""
        order = list(titles)
        at = order.index(title)
        order.insert(max(0, min(len(order) - 1, at + by)), order.pop(at))
        return replace(self, order=tuple(order))

    def with_pinned(self, count: int) -> Arrangement:
        return replace(self, pinned=0 if count == self.pinned else count)

    def with_wide(self, wide: bool) -> Arrangement:
        return replace(self, wide=wide)

    def sorted_by(self, title: str, reverse: bool) -> Arrangement:
        return replace(self, sort=title, reverse=reverse)


def titles_of(columns: Sequence[Titled], arrangement: Arrangement) -> tuple[str, ...]:
    """Returns the titles of all columns in their order, the hidden ones too."""
    everything = Arrangement(order=arrangement.order).arranged(columns)
    return tuple(dict.fromkeys(column.title for column in everything if column.title))


def _groups(columns: Sequence[C]) -> list[list[C]]:
    """Each column with those behind it that have no title."""
    groups: list[list[C]] = []
    for column in columns:
        if column.title or not groups:
            groups.append([column])
        else:
            groups[-1].append(column)
    return groups


def written(arrangement: Arrangement) -> dict[str, Any]:
    """Returns it as it is kept."""
    return asdict(arrangement)


def read(kept: object) -> Arrangement:
    """Returns what was kept; of what cannot be read nothing."""
    if not isinstance(kept, Mapping):
        return Arrangement()
    found: Mapping[str, Any] = kept
    pinned = found.get("pinned")
    return Arrangement(
        _texts(found.get("hidden")),
        _texts(found.get("order")),
        pinned if isinstance(pinned, int) and 0 <= pinned < 100 else 0,
        found.get("wide") is True,
        str(found.get("sort") or ""),
        found.get("reverse") is True,
    )


def _texts(kept: object) -> tuple[str, ...]:
    return tuple(str(each) for each in kept) if isinstance(kept, (list, tuple)) else ()
