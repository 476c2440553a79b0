"""Rows as numbers of 64 bits, so that equal rows are found in tables of any size and any format.

The same row is one number whether it was read from Parquet or CSV: whole numbers count as what they are, other numbers
with the precision of float32, times in UTC, categories as their words. That two different rows of a million and a
hundred million have one number by chance has the probability 5e-6.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from ..column_types import plain
from .kinds import NUMBER, TIME, TRUTH, in_utc, kind_of

if TYPE_CHECKING:
    from numpy import uint64
    from numpy.typing import NDArray

    Hashes = NDArray[uint64]

# Whole numbers up to here are exact as doubles.
_EXACT = float(1 << 53)
_MISSING = "\0missing"


def row_hashes(table: Any, columns: Iterable[str], times: frozenset[str] = frozenset()) -> Hashes:
    """Returns a number for each row, of these columns in this order. `times` are columns that are times in another
    table, and may be words in this one."""
    import pandas

    hashed: Any = cast("Any", pandas).util.hash_pandas_object
    made = {name: _hashed(table[name], as_time=name in times) for name in columns}
    return hashed(cast("Any", pandas).DataFrame(made), index=False).to_numpy()


def _hashed(column: Any, *, as_time: bool) -> Any:
    import numpy
    import pandas

    np: Any = numpy  # its stubs know no columns of unknown types
    array: Any = cast("Any", pandas).util.hash_array
    values, kind = plain(column), kind_of(column)
    if kind == TIME or as_time:
        moments = in_utc(values, errors="coerce").dt.tz_localize(None).dt.as_unit("ns")
        return array(moments.to_numpy().astype("int64"))
    if kind in (NUMBER, TRUTH):
        if values.dtype.kind in "iu":
            numbers: Any = values.to_numpy()
            large = np.abs(numbers.astype(float)) >= _EXACT
            return np.where(large, array(numbers), array(numbers.astype(float)))
        floats: Any = values.astype(float).to_numpy()
        whole = (np.abs(floats) < _EXACT) & (floats == np.round(floats))
        with np.errstate(over="ignore", invalid="ignore"):
            floats = np.where(whole, floats, floats.astype("float32").astype(float))
        return array(np.where(np.isnan(floats), np.nan, floats + 0.0))  # one NaN, one zero
    words = values.astype(object).where(values.notna(), _MISSING).map(str)
    return array(words.to_numpy(dtype=object))


class HashSample:
    """Hashes of a table of any size: of more than `most`, those that a growing power of two divides. Equal rows are
    all in it or all out of it, so that the share of rows that have a twin is kept."""

    def __init__(self, most: int = 1 << 22) -> None:
        self._most, self._step = most, 1
        self._kept: list[Hashes] = []
        self._size = 0

    def add(self, hashes: Hashes) -> None:
        self._kept.append(hashes[hashes % self._step == 0])
        self._size += len(self._kept[-1])
        while self._size > self._most:
            self._step *= 2
            self._kept = [each[each % self._step == 0] for each in self._kept]
            self._size = sum(map(len, self._kept))

    def twins(self) -> tuple[int, int]:
        """Returns (rows in the sample that have an equal one, rows in the sample)."""
        import numpy as np

        if not self._size:
            return 0, 0
        _, counts = np.unique(np.concatenate(self._kept), return_counts=True)
        return int(counts[counts > 1].sum()), self._size
