"""One column of a table as the statistics want it: finite numbers or words, without the missing cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ..domain.frozen import Frozen
from .statistics.violations import holds_lists

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame, Series

    Array = NDArray[Any]

# A column of more different words is an identifier or a text: it differs from any reference.
MAX_CATEGORIES = 500
MAX_COLUMNS = 1000
# Numbers beyond this one count as this one: the square of a larger one, or the distance of two, may have no number.
LARGEST = 1e150


class Column(Frozen):
    """A column: what is in its cells, and how many of them have nothing, or nothing of its type."""

    name: str
    cells: Array
    """Numbers (finite), or words."""
    rows: int
    """With the missing ones."""
    missing: int = 0
    foreign: int = 0
    """Cells of another type than the reference's."""
    unfit: str = ""
    """Why it cannot be compared, in words; empty if it can."""

    @property
    def numeric(self) -> bool:
        return self.cells.dtype.kind in "iuf"


def column(name: str, series: Series, like: Column | None = None) -> Column:
    """Returns a column of a table; `like` is the same one of the reference, whose type it has to have."""
    values = cast("Any", series)
    if values.dtype.kind in "mM" or (like is not None and like.unfit):
        return Column(name, values.to_numpy()[:0], len(values), unfit=(like.unfit if like else "") or "it has times")
    numeric = like.numeric if like is not None else values.dtype.kind in "iuf"
    if like is None and not numeric and holds_lists(values):
        return Column(name, values.to_numpy()[:0], len(values), unfit="it has lists")
    found = _numbers(name, values) if numeric else _words(name, values)
    if like is None and not numeric and len(set(found.cells.tolist())) > MAX_CATEGORIES:
        return Column(
            name, found.cells[:0], found.rows, found.missing, unfit=f"it has more than {MAX_CATEGORIES} different words"
        )
    return found


def _numbers(name: str, values: Any) -> Column:
    import numpy as np
    import pandas as pd

    if values.dtype.kind == "b" or values.dtype.kind not in "iuf":
        made = cast("Any", pd).to_numeric(values.map(_number), errors="coerce")
    else:
        made = values
    cells = np.asarray(made.to_numpy(dtype=float, na_value=np.nan) if made.hasnans else made.to_numpy())
    if cells.dtype.kind not in "iuf":
        cells = cells.astype(float)
    known = np.isfinite(cells)
    if cells.dtype.kind == "f":
        cells = cells.astype(float).clip(-LARGEST, LARGEST)
    empty = int(values.isna().sum())
    foreign = int(len(cells) - known.sum() - empty)
    return Column(name, cells[known], len(cells), empty, max(0, foreign))


def _number(value: Any) -> Any:
    """Returns a number as it is, and None for what only looks like one: a text in a column of numbers is none."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _words(name: str, values: Any) -> Column:
    import numpy as np

    present = values[values.notna()]
    words = [each if isinstance(each, str) else str(each) for each in present.tolist()]
    foreign = 0
    if values.dtype.kind == "O" or str(values.dtype) in ("string", "str"):
        foreign = sum(not isinstance(each, str) and not isinstance(each, bool) for each in present.tolist())
    return Column(name, np.array(words, dtype=object), len(values), len(values) - len(words), foreign)


def columns(table: DataFrame, wanted: tuple[str, ...] = ()) -> dict[str, Column]:
    """Returns the columns of a reference, of those that are wanted or of all."""
    names = [str(name) for name in table.columns]
    return {
        name: column(name, cast("Any", table).iloc[:, place])
        for place, name in enumerate(names)
        if (not wanted or name in wanted) and place < MAX_COLUMNS
    }
