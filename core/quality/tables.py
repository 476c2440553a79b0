"""Reads a gate's table, and gives a CSV's columns the types of a model's signature, as a request would get them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..errors import Interrupted
from .metrics import Unmeasurable
from .reasons import reason

if TYPE_CHECKING:
    from pandas import Series

_CSV = (".csv", ".gz")


def read(path: Path, shown: str, words: tuple[str, ...] = ()) -> Any:
    """Returns the table. `words` are columns of a CSV that are read as text, so that 007 stays 007. Raises
    Unmeasurable if the file cannot be read."""
    import pandas

    try:
        if path.suffix == ".parquet":
            return cast("Any", pandas).read_parquet(path)
        if path.suffix in _CSV:
            return cast("Any", pandas).read_csv(path, dtype=dict.fromkeys(words, str))
    except ImportError as error:
        raise Unmeasurable(f"{shown} cannot be read: {error}", hint="Install pyarrow to read Parquet.") from error
    except Interrupted:
        raise
    except Exception as error:  # pandas and pyarrow raise a dozen kinds
        raise Unmeasurable(
            f"{shown} cannot be read: {reason(error)}", hint="Make it again; it may have been cut short."
        ) from error
    raise Unmeasurable(f"{shown} is neither .parquet nor .csv", hint="Write the gate's data as Parquet or CSV.")


def read_for(path: Path, shown: str, types: Mapping[str, str]) -> Any:
    """Returns the table for a model whose signature has `types` (column -> MLflow's name of the type). A Parquet file
    has types of its own and is left as it is. Raises Unmeasurable if a column of a CSV holds something else."""
    if path.suffix not in _CSV:
        return read(path, shown)
    table = read(path, shown, tuple(name for name, kind in types.items() if kind == "string"))
    for name, kind in types.items():
        if name in table.columns and kind in _CONVERSIONS:
            table[name] = _converted(table[name], kind, shown)
    return table


def _converted(column: Series, kind: str, shown: str) -> Series:
    try:
        return _CONVERSIONS[kind](column)
    except (TypeError, ValueError, OverflowError) as error:
        gaps = " with gaps" if bool(cast("Any", column).isna().any()) else ""
        raise Unmeasurable(
            f"column {str(column.name)!r} of {shown} holds {column.dtype}{gaps}, but the model's signature says {kind}",
            hint="Correct the column, or write the data as Parquet with the types of the signature.",
        ) from error


def _whole(column: Any, kind: str) -> Any:
    import numpy as np

    if column.dtype.kind not in "iu":
        raise TypeError
    limits = np.iinfo(kind)
    if len(column) and not limits.min <= int(column.min()) <= int(column.max()) <= limits.max:
        raise OverflowError
    return column.astype(kind)


def _fraction(column: Any, kind: str) -> Any:
    if column.dtype.kind not in "iuf":
        raise TypeError
    return column.astype(kind)


def _truth(column: Any) -> Any:
    if column.dtype.kind != "b":
        raise TypeError
    return column


def _moment(column: Any) -> Any:
    import pandas

    if column.dtype.kind in "iufb":
        raise TypeError
    convert: Any = cast("Any", pandas).to_datetime
    try:
        return convert(column, format="ISO8601")
    except ValueError:
        return convert(column)  # all in one other form, or an error


_CONVERSIONS: Mapping[str, Callable[[Any], Any]] = {
    "integer": lambda column: _whole(column, "int32"),
    "long": lambda column: _whole(column, "int64"),
    "float": lambda column: _fraction(column, "float32"),
    "double": lambda column: _fraction(column, "float64"),
    "boolean": _truth,
    "datetime": _moment,
}
