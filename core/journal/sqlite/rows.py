"""Rows that cannot be read: a disk, an editor or another program has changed what Podium wrote."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from ...errors import UNREADABLE, JournalError

T = TypeVar("T")
_NUMBERS = (float, int, type(None))
_Reader = Callable[[tuple[Any, ...]], T]


def names_damage(table: str, *, key: int = 0, numbers: tuple[int, ...] = ()) -> Callable[[_Reader[T]], _Reader[T]]:
    """Makes a function that turns a row into its object raise JournalError, which names the row, where it raises
    anything. `key` is the place of the column that names the row, `numbers` those of columns that have to be numbers.
    """

    def wrap(read: _Reader[T]) -> _Reader[T]:
        @wraps(read)
        def checked(row: tuple[Any, ...]) -> T:
            try:
                for place in numbers:
                    if row[place].__class__ not in _NUMBERS:
                        raise ValueError(f"{row[place]!r:.60} is not a number")
                return read(row)
            except UNREADABLE as error:
                raise JournalError(
                    f"the journal is damaged: {table} {str(row[key])!r:.60} cannot be read ({error!s:.120})",
                    hint="nothing was changed. `podium doctor` checks the whole file; keep it, and bring a backup back"
                    " with `podium restore`",
                ) from error

        return checked

    return wrap
