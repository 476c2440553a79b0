"""What a column of requests has that the reference never had: a missing cell, another type, a number out of range, an
unseen word. These are no drift: one row can have them."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, cast

from ...domain.frozen import Frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import Series

    Flags = NDArray[Any]

MISSING, TYPE, RANGE, UNSEEN = "missing", "type", "range", "unseen"
VIOLATIONS = (MISSING, TYPE, RANGE, UNSEEN)
# A column of more different words is an identifier or a text, of which every row has a new one.
MAX_WORDS = 500


class Profile(Frozen):
    """What a column of the reference holds."""

    numeric: bool
    complete: bool
    """No cell is missing."""
    low: float = -math.inf
    high: float = math.inf
    words: frozenset[str] | None = None
    """None where there are too many, and for numbers."""


def profile(values: Series) -> Profile | None:
    """Returns what a column holds; None for one that has nothing, times, or lists and the like."""
    cells = cast("Any", values)
    present = cells[cells.notna()]
    if not len(present) or cells.dtype.kind in "mM":
        return None
    complete = len(present) == len(cells)
    if cells.dtype.kind in "iuf":
        import numpy as np

        finite = present[np.isfinite(present.to_numpy(dtype=float))]
        return Profile(True, complete, float(finite.min()), float(finite.max())) if len(finite) else None
    if holds_lists(present):
        return None
    words = frozenset(map(str, present.unique().tolist()))
    return Profile(False, complete, words=words if len(words) <= MAX_WORDS else None)


def holds_lists(values: Series) -> bool:
    """Tells whether cells are lists or the like, which a file and a request write differently."""
    cells = cast("Any", values).tolist()
    return any(not isinstance(each, str | bytes) and isinstance(each, Collection) for each in cells)


def violations(known: Profile, values: Series) -> dict[str, Flags]:
    """Returns kind of violation -> which rows have it."""
    import numpy as np

    cells = cast("Any", values).tolist()
    missing = np.array([_is_missing(each) for each in cells], dtype=bool)
    fitting = np.array([_fits(each, known.numeric) for each in cells], dtype=bool)
    found = {MISSING: missing & known.complete, TYPE: ~missing & ~fitting}
    usable = ~missing & fitting
    if known.numeric:
        outside = [usable[row] and not known.low <= float(each) <= known.high for row, each in enumerate(cells)]
        found[RANGE] = np.array(outside, dtype=bool)
    elif known.words is not None:
        unseen = [usable[row] and str(each) not in known.words for row, each in enumerate(cells)]
        found[UNSEEN] = np.array(unseen, dtype=bool)
    return found


def _is_missing(value: Any) -> bool:
    nothing = value is None or (isinstance(value, float) and math.isnan(value))
    return nothing or type(value).__name__ in ("NAType", "NaTType")


def _fits(value: Any, numeric: bool) -> bool:
    """Tells whether a value is of the column's type: a word is none of numbers, nor the other way round."""
    if numeric:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, str | bool)
