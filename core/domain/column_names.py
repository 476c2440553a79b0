"""Columns that are never kept (`redact`), however a request or a table writes their names: in another case, with
spaces, quotation marks or a byte order mark around them. Who protects a column rather leaves out one too many.

core/serving/redaction.py has the same rule for replicas, which have nothing else of Podium; a test compares the two.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any, cast

_AROUND = "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000\u200b\ufeff\0\"'`"
_LONGEST = 1000  # what is longer is compared as it is: letters of some alphabets become many


def folded(name: str) -> str:
    """Returns what all ways to write a column's name have in common."""
    name = name.strip(_AROUND)
    if len(name) > _LONGEST:
        return name
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).strip(_AROUND)


class NeverKept:
    """The columns of one or several `redact`."""

    def __init__(self, columns: Iterable[str]) -> None:
        self._columns = frozenset(map(folded, columns))

    def __contains__(self, name: object) -> bool:
        return bool(self._columns) and folded(str(name)) in self._columns

    def without(self, value: Any) -> Any:
        """Returns the value of a cell without what it has under these names, at every depth: of objects, of lists, and
        of maps as Parquet has them, which are lists of pairs."""
        if not self._columns:
            return value
        if isinstance(value, dict):
            fields = cast("dict[Any, Any]", value)
            return {name: self.without(each) for name, each in fields.items() if name not in self}
        if isinstance(value, list | tuple):
            return [self.without(each) for each in cast("list[Any]", value) if not self._is_pair(each)]
        return self.without(value.tolist()) if str(getattr(value, "dtype", "")) == "object" else value

    def _is_pair(self, value: Any) -> bool:
        return isinstance(value, tuple) and len(cast("tuple[Any, ...]", value)) == 2 and value[0] in self
