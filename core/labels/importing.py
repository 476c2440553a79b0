"""Tables of labels: the rows of a CSV or Parquet file as labels. Imports pyarrow inside the functions."""

from __future__ import annotations

import datetime
import decimal
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

from ..domain.labels import LabelTable, NewLabel
from ..errors import UsageError
from ..serving.forms import key_text
from ..serving.redaction import kept_key
from .records import row_of, time_of

_BATCH_ROWS = 10_000


def read(
    file: Path, table: LabelTable, salt: str = "", *, skipped: Callable[[], None] = lambda: None
) -> Iterator[NewLabel]:
    """Yields the labels of a file, a row at a time; of each row without a label `skipped` is told. With `salt`, keys
    are hidden as the environment's are. Raises UsageError if the file cannot be read, is neither, lacks a column, or
    says a time that is none."""
    for values in _rows(file, [name for name in (table.label, table.id, table.key, table.at, table.row) if name]):
        value = _plain(values[table.label])
        if value is None:
            skipped()
            continue
        yield NewLabel(
            value,
            id=key_text(_plain(values[table.id])) if table.id else None,
            key=kept_key(key_text(_plain(values[table.key])), salt) if table.key else None,
            row=row_of(_plain(values[table.row])) if table.row else None,
            at=_moment(file, table.at, values[table.at]) if table.at else None,
        )


def _rows(file: Path, columns: list[str]) -> Iterator[dict[str, Any]]:
    try:
        kind = file.suffix.lower()
        if kind not in (".csv", ".parquet"):
            raise UsageError(f"{file} is no table of labels", hint="it has to be a .csv or .parquet file")
        if not file.is_file():
            raise UsageError(f"there is no file {file}", hint="a relative path counts from where the command is run")
        for batch in _parquet(file, columns) if kind == ".parquet" else _csv(file, columns):
            yield from batch.to_pylist()
    except (OSError, ValueError, TypeError, KeyError, NotImplementedError) as error:  # those of pyarrow, too
        words = error.strerror if isinstance(error, OSError) and error.strerror else str(error).partition("\n")[0]
        raise UsageError(
            f"{file} cannot be read: {words[:300]}",
            hint="is it a whole table in UTF-8, with commas, and a name for each column?",
        ) from error


def _check(file: Path, columns: list[str], there: list[str]) -> None:
    for name in columns:
        if there.count(name) != 1:
            words = "has no column" if name not in there else "has several columns"
            raise UsageError(f"{file} {words} {name!r}", hint=f"it has: {', '.join(there)[:300]}")


def _parquet(file: Path, columns: list[str]) -> Iterator[Any]:
    import pyarrow.parquet as parquet

    with cast("Any", parquet).ParquetFile(file) as opened:
        _check(file, columns, list(opened.schema_arrow.names))
        yield from opened.iter_batches(_BATCH_ROWS, columns=columns)


def _csv(file: Path, columns: list[str]) -> Iterator[Any]:
    """Reads ids and keys as text: `007` is not 7. An empty cell is nothing, and `NA` is a text."""
    import pyarrow as pa
    from pyarrow import csv

    arrow: Any = csv
    with arrow.open_csv(file, convert_options=arrow.ConvertOptions(column_types={})) as opened:
        _check(file, columns, list(opened.schema.names))
    convert = arrow.ConvertOptions(
        include_columns=columns,
        column_types={name: cast("Any", pa).string() for name in columns[1:2]},
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    yield from arrow.read_csv(file, convert_options=convert).to_batches(_BATCH_ROWS)


def _plain(value: Any) -> Any:
    """Returns a cell as a value of JSON; None for none. Times become text."""
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _moment(file: Path, column: str, value: Any) -> float | None:
    """Returns the time of a label; None where it says none."""
    value = None if isinstance(value, float) and math.isnan(value) else value
    found = _time(value)
    if found is None and value not in (None, ""):
        raise UsageError(
            f"{str(value)[:60]!r} in the column {column!r} of {file} is no time",
            hint="write it as 2013-09-01T12:00:00Z, or in seconds since the epoch",
        )
    return found


def _time(value: Any) -> float | None:
    """Returns a moment in seconds since the epoch: of a number, of a time (universal if it has no zone), or of such a
    text."""
    if isinstance(value, str):
        try:
            value = datetime.datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime.datetime):
        return time_of((value if value.tzinfo else value.replace(tzinfo=datetime.UTC)).timestamp())
    if isinstance(value, datetime.date):
        return time_of(datetime.datetime(value.year, value.month, value.day, tzinfo=datetime.UTC).timestamp())
    return time_of(value)
