"""Gives the columns of a table the types of a model's signature, as a request would get them.

A model has to be judged on what it will be asked: int32 where its signature says integer, words where the file
has categories, times where it has dates. Only what loses nothing is converted; the rest is an error that names the
column and both types.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from .metrics import Unmeasurable

if TYPE_CHECKING:
    from pandas import Series


def typed(table: Any, types: Mapping[str, str], shown: str) -> Any:
    """Returns the table with `types` (column -> MLflow's name of the type), as far as it has these columns. Raises
    Unmeasurable if a column holds something else."""
    changed = {
        name: _converted(table[name], kind, shown)
        for name, kind in types.items()
        if name in table.columns and kind in _CONVERSIONS
    }
    return table.assign(**changed) if changed else table


def types_of(schema: Any) -> dict[str, str]:
    """Returns column -> type of a signature with named columns; tensors and nested types are left out."""
    if schema is None or schema.is_tensor_spec() or not schema.has_input_names():
        return {}
    return {str(spec.name): str(getattr(spec.type, "name", "")) for spec in schema.inputs}


def plain(column: Any) -> Any:
    """Returns the column without the types that only pandas has: categories become their values, nullable numbers and
    truth values numpy's, with None or NaN for a gap."""
    kind = column.dtype
    if _is(kind, "StringDtype") or not hasattr(kind, "na_value"):
        return column.infer_objects() if kind.kind == "O" else column
    values = column.astype(object)
    return values.where(values.notna(), None).infer_objects()


def _is(kind: Any, name: str) -> bool:
    return type(kind).__name__ == name


def _converted(column: Series, kind: str, shown: str) -> Series:
    try:
        return _CONVERSIONS[kind](plain(column))
    except (TypeError, ValueError, OverflowError) as error:
        gaps = " with gaps" if bool(cast("Any", column).isna().any()) else ""
        raise Unmeasurable(
            f"column {str(column.name)!r} of {shown} holds {column.dtype}{gaps}, but the model's signature says {kind}",
            hint="Correct the column, or write the data as Parquet with the types of the signature.",
        ) from error


# What pandas calls an object column of numbers and gaps.
_NUMBERS = ("decimal", "floating", "integer", "mixed-integer-float")


def _whole(column: Any, kind: str) -> Any:
    import numpy as np

    if column.dtype.kind not in "iu":
        raise TypeError
    limits = np.iinfo(kind)
    if len(column) and not limits.min <= int(column.min()) <= int(column.max()) <= limits.max:
        raise OverflowError
    return column.astype(kind)


def _fraction(column: Any, kind: str) -> Any:
    if column.dtype.kind == "O" and (column.isna().all() or _holds(column) in _NUMBERS):
        column = column.astype(float)
    if column.dtype.kind not in "iuf":
        raise TypeError
    return column.astype(kind)


def _truth(column: Any) -> Any:
    """A gap is False: that is what MLflow makes of a request's `null` in a column of truth values."""
    if column.dtype.kind == "b":
        return column
    if not column.isna().all() and _holds(column) != "boolean":
        raise TypeError
    return column.notna() & (column.astype(object) == True)  # noqa: E712 - values, gaps among them, are compared


def _text(column: Any) -> Any:
    if column.isna().all():
        return column.astype(object).where(column.notna(), None)
    if column.dtype.kind in "iufbcmM":
        raise TypeError
    return column


def _moment(column: Any) -> Any:
    import pandas

    if column.dtype.kind in "iub" or (column.dtype.kind == "f" and not column.isna().all()):
        raise TypeError
    convert: Any = cast("Any", pandas).to_datetime
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            made = convert(column, format="ISO8601")
        except ValueError:
            made = convert(column)  # all in one other form, or an error
    return made.dt.as_unit("ns")


def _holds(column: Any) -> str:
    import pandas

    return str(cast("Any", pandas).api.types.infer_dtype(column, skipna=True))


_CONVERSIONS: Mapping[str, Callable[[Any], Any]] = {
    "integer": lambda column: _whole(column, "int32"),
    "long": lambda column: _whole(column, "int64"),
    "float": lambda column: _fraction(column, "float32"),
    "double": lambda column: _fraction(column, "float64"),
    "boolean": _truth,
    "string": _text,
    "datetime": _moment,
}
