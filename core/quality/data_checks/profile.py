"""What a table of training data holds, gathered in one pass: its columns with their ranges and categories, a sample of
its rows, and which rows of another table are in it. A table larger than memory takes no more of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ...domain.frozen import Frozen
from ..column_types import plain
from ..metrics import Unmeasurable
from ..tables import batches
from .hashing import HashSample, row_hashes
from .kinds import EMPTY, NUMBER, TEXT, TIME, TRUTH, in_utc, joined, kind_of

if TYPE_CHECKING:
    from .hashing import Hashes

SAMPLE_ROWS = 20_000
# A column of more different words is an id or free text: what is new in it says nothing.
MAX_CATEGORIES = 10_000
SEED = 20130101


class ColumnProfile(Frozen):
    """One column. `low` and `high` are numbers, or times in UTC; None without any finite value."""

    kind: str
    """One of the kinds of `kinds.py`."""
    missing: int
    """Rows without a value."""
    low: Any = None
    """The smallest finite value; of numbers and times."""
    high: Any = None
    """The largest."""
    categories: frozenset[str] | None = None
    """The words or truth values that occur; None for other kinds, and for more than MAX_CATEGORIES."""


class Profile(Frozen):
    """A whole table."""

    shown: str
    """Its name in podium.yaml."""
    rows: int
    columns: Mapping[str, ColumnProfile]
    sample: Any
    """A table of at most SAMPLE_ROWS of its rows, chosen at random."""
    shared: int = 0
    """How many rows of the other table are in this one; also `twins` of `sampled` rows that are here more than once."""
    twins: int = 0
    sampled: int = 0
    compared: tuple[str, ...] = ()
    """The columns by which rows were found equal; empty where that was not asked."""


def profile(path: Path, shown: str, other: Any = None, by: Iterable[str] = ()) -> Profile:
    """Reads the table. `other` is a table whose rows are looked for, by those of the columns `by` that both have.
    Raises Unmeasurable if the table cannot be read or has no rows."""
    if not path.exists():
        raise Unmeasurable(f"the training data {shown} does not exist", hint="Correct the check's `training`.")
    columns: dict[str, _Column] = {}
    sample, rows = _Sample(), 0
    twins: _Twins | None = None
    for table in batches(path, shown):
        if not len(table):
            continue
        if twins is None and other is not None:
            twins = _Twins(other, table, by)
        for name in map(str, table.columns):
            columns.setdefault(name, _Column()).add(table[name])
        rows += len(table)
        sample.add(table)
        if twins is not None:
            twins.add(table)
    if not rows:
        raise Unmeasurable(f"the training data {shown} has no rows")
    found = {name: column.profile(rows) for name, column in columns.items()}
    if twins is None:
        return Profile(shown, rows, found, sample.table())
    return Profile(shown, rows, found, sample.table(), twins.found(), *twins.sample.twins(), compared=twins.by)


class _Column:
    """One column while it is read."""

    def __init__(self) -> None:
        self._kind = EMPTY
        self._there = 0
        self._low: Any = None
        self._high: Any = None
        self._words: set[str] | None = set()

    def add(self, column: Any) -> None:
        values = plain(column)
        present = values[values.notna()]
        kind = kind_of(values)
        self._kind = joined(self._kind, kind)
        self._there += len(present)
        if self._kind == kind and kind in (NUMBER, TIME):
            self._bound(in_order(present, kind))
        elif kind in (TEXT, TRUTH) and self._words is not None:
            self._words |= set(map(str, present.unique().tolist()))
            if len(self._words) > MAX_CATEGORIES:
                self._words = None

    def _bound(self, values: Any) -> None:
        if len(values):
            low, high = values.min(), values.max()
            self._low = low if self._low is None else min(self._low, low)
            self._high = high if self._high is None else max(self._high, high)

    def profile(self, rows: int) -> ColumnProfile:
        kind, missing = self._kind, rows - self._there
        if kind in (NUMBER, TIME):
            return ColumnProfile(kind, missing, self._low, self._high)
        named = kind in (TEXT, TRUTH) and self._words is not None
        return ColumnProfile(kind, missing, categories=frozenset(self._words or ()) if named else None)


def in_order(present: Any, kind: str) -> Any:
    """Returns what can be compared of numbers or times without gaps: finite numbers, and times in UTC."""
    import numpy as np

    if kind == TIME:
        return in_utc(present)
    numbers = present.astype(float) if present.dtype.kind == "O" else present
    return numbers[np.isfinite(numbers)]


class _Sample:
    """The rows with the smallest of random numbers: every row has the same chance, whatever comes after it."""

    def __init__(self) -> None:
        import numpy as np

        self._random = np.random.default_rng(SEED)
        self._parts: list[Any] = []
        self._size = 0

    def add(self, table: Any) -> None:
        self._parts.append(table.assign(**{_DRAWN: self._random.random(len(table))}))
        self._size += len(table)
        if self._size > 4 * SAMPLE_ROWS:
            self._parts = [self._smallest()]
            self._size = len(self._parts[0])

    def table(self) -> Any:
        return self._smallest().drop(columns=_DRAWN)

    def _smallest(self) -> Any:
        import pandas

        return cast("Any", pandas).concat(self._parts, ignore_index=True).nsmallest(SAMPLE_ROWS, _DRAWN)


_DRAWN = "\0drawn"


class _Twins:
    """Finds the rows of another table."""

    def __init__(self, other: Any, first: Any, by: Iterable[str]) -> None:
        import numpy as np

        self.by = tuple(name for name in by if name in other.columns and name in first.columns)
        self._times = frozenset(name for name in self.by if TIME in (kind_of(other[name]), kind_of(first[name])))
        self.sample = HashSample()
        self._rows: Hashes = row_hashes(other, self.by, self._times) if self.by else np.empty(0, np.uint64)
        self._wanted = np.unique(self._rows)
        self._seen = np.zeros(len(self._wanted), dtype=bool)

    def add(self, table: Any) -> None:
        import numpy as np

        if not self.by or not set(self.by) <= set(table.columns):
            return
        hashes = row_hashes(table, self.by, self._times)
        self.sample.add(hashes)
        self._seen |= np.isin(self._wanted, hashes)

    def found(self) -> int:
        import numpy as np

        return int(np.isin(self._rows, self._wanted[self._seen]).sum())
