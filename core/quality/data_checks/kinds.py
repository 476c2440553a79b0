"""What a column holds, whatever a file's format calls it."""

from __future__ import annotations

from typing import Any, cast

from ..column_types import plain

NUMBER, TIME, TRUTH, TEXT = "numbers", "times", "truth values", "text"
MIXED, EMPTY = "values of several kinds", "nothing"
_INFERRED = {
    "boolean": TRUTH,
    "date": TIME,
    "datetime": TIME,
    "datetime64": TIME,
    "decimal": NUMBER,
    "floating": NUMBER,
    "integer": NUMBER,
    "mixed-integer-float": NUMBER,
    "string": TEXT,
    "empty": EMPTY,
}


def kind_of(column: Any) -> str:
    """Returns one of the kinds above; a column of gaps alone holds nothing."""
    import pandas

    values = plain(column)
    if bool(values.isna().all()):
        return EMPTY
    if values.dtype.kind in "iuf":
        return NUMBER
    if values.dtype.kind in "bM":
        return TRUTH if values.dtype.kind == "b" else TIME
    return _INFERRED.get(str(cast("Any", pandas).api.types.infer_dtype(values, skipna=True)), MIXED)


def in_utc(column: Any, **options: Any) -> Any:
    """Returns a column of times, or of words that are times, as times in UTC."""
    import pandas

    return cast("Any", pandas).to_datetime(column, utc=True, **options)


def joined(one: str, other: str) -> str:
    """Returns the kind of a column of which one part holds `one` and another part `other`."""
    if one == other or other == EMPTY:
        return one
    return other if one == EMPTY else MIXED
