"""How much a request holds: its values, how deep they lie, and the table that would be made of it.

A body of a few kilobytes can ask for gigabytes: rows that each bring a column of their own, a table whose first row is
longer than its head, a Parquet file of one value a billion times. It is refused before pandas or numpy see it. Values
are counted in the bytes, before anything is parsed; everything else once it is.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, cast

MAX_VALUES = 1_000_000
MAX_DEPTH = 64  # numpy has no array with more dimensions
# Columns of a table. pandas makes an object of each, and MLflow looks at them one by one.
MAX_COLUMNS = 10_000
# Columns beyond those that a model's signature names: MLflow leaves them out, one by one.
_MAX_UNKNOWN_COLUMNS = 1_000
# Cells of a row of CSV beyond its head become levels of an index, each with a table of its own.
_MAX_INDEX_COLUMNS = 100
_LOOK_BYTES = 4096  # what is smaller can do no harm
_MARKS = b'"[]{},'
_OTHERS = bytes(set(range(256)) - set(_MARKS))


class Beyond(Exception):
    """Raised for a request that holds more than it may; the message is for its client. `status` is 413 where less of
    the same would have been taken."""

    def __init__(self, message: str, status: int = 413) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True)
class Shape:
    """What a request may hold."""

    values: int = MAX_VALUES
    """Cells of a table, elements of arrays, members of objects."""
    columns: int = MAX_COLUMNS
    """Columns of a table."""

    def of_model(self, names: int | None) -> Shape:
        """Returns the same for a model whose signature names so many columns; None for one that names none."""
        if names is None:
            return self
        return Shape(self.values, names + _MAX_UNKNOWN_COLUMNS)

    def require_bytes(self, body: bytes, content_type: str | None) -> None:
        """Raises Beyond for JSON or CSV of more values than there may be. Takes milliseconds for megabytes."""
        if len(body) <= self.values:  # each is a byte at least
            return
        kind = kind_of(content_type)
        if kind == "application/json":
            found = sum(map(body.count, (b",", b"[", b"{")))
            # Most bodies have few of them even in their texts. Only of others it has to be known where texts are.
            self._require_values(found if found <= self.values else int((_steps(body) >= 0).sum()))
        elif kind == "text/csv":
            self._require_values(body.count(b",") + max(body.count(b"\n"), body.count(b"\r")))

    def _require_values(self, found: int) -> None:
        if found > self.values:
            raise Beyond(
                f"The request has {found} values; at most {self.values} are accepted (request.values in podium.yaml)."
                " Send it in parts."
            )

    def require_document(self, body: bytes, document: Any) -> None:
        """Raises Beyond for JSON that is too deep, or of which a table would be made that is too large."""
        if len(body) < _LOOK_BYTES:
            return
        if _depth(body) > MAX_DEPTH:
            raise Beyond(f"The request has arrays or objects more than {MAX_DEPTH} deep.", 400)
        if isinstance(document, dict):
            fields = cast("dict[str, Any]", document)
            self._require_columns(len(fields))
            for name in ("dataframe_split", "dataframe_records", "inputs", "instances"):
                if name in fields:
                    self._require_table(*_extent(name, fields[name]))

    def require_csv(self, body: bytes) -> None:
        """Raises Beyond for CSV with too many columns, in its head or in the first row below it."""
        head, row = _first_two(body.decode("utf-8", "replace"))
        self._require_columns(head)
        if row > head + _MAX_INDEX_COLUMNS:
            raise Beyond(f"The first row has {row} cells, and the head {head}.", 400)

    def require_parquet(self, body: bytes) -> None:
        """Raises Beyond for Parquet whose own head promises a table that is too large, or too many bytes. One that
        cannot be read is left to whoever reads it."""
        import pyarrow.parquet as pq

        try:
            found = cast("Any", pq).ParquetFile(io.BytesIO(body)).metadata
            groups = [found.row_group(number) for number in range(min(found.num_row_groups, self.values))]
            size = sum(group.total_byte_size for group in groups)
        except Exception:
            return
        self._require_table(found.num_rows, found.num_columns)
        if size > (most := 16 * max(self.values, 1)):
            raise Beyond(f"The file has {size} bytes unpacked; at most {most} are accepted.")

    def _require_columns(self, columns: int) -> None:
        if columns > self.columns:
            raise Beyond(f"The request has {columns} columns; at most {self.columns} are accepted.", 400)

    def _require_table(self, rows: int, columns: int) -> None:
        self._require_columns(columns)
        if rows * columns > self.values:
            raise Beyond(
                f"The request makes a table of {rows} rows and {columns} columns; at most {self.values} cells are"
                " accepted (request.values in podium.yaml). Send it in parts."
            )


DEFAULT = Shape()


def kind_of(content_type: str | None) -> str:
    """Returns the type without its parameters, as MLflow's server reads it."""
    return (content_type or "").partition(";")[0].strip()


def _steps(body: bytes) -> Any:
    """Returns what JSON has outside of its texts, in order: 1 for a bracket that opens, -1 for one that closes, 0 for a
    comma. What is not readable is right as far as a parser would come."""
    import numpy as np

    # Backslashes go by pairs, and then a quotation mark with one before it ends no text.
    marks = body.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _OTHERS)
    found = np.frombuffer(marks, np.uint8)
    texts = np.cumsum(found == ord('"'), dtype=np.uint8) & 1  # an overflow keeps what is odd
    steps = np.zeros(256, np.int8)
    steps[list(b"[{")], steps[list(b"]}")] = 1, -1
    return steps[found[(texts == 0) & (found != ord('"'))]]


def _depth(body: bytes) -> int:
    """Returns how deep the arrays and objects of readable JSON lie in each other."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return 0
    import numpy as np

    return int(np.cumsum(_steps(body), dtype=np.int32).max(initial=0))


def _extent(form: str, given: Any) -> tuple[int, int]:
    """Returns the rows and columns of the table that pandas would make."""
    if isinstance(given, dict):
        fields = cast("dict[str, Any]", given)
        if form == "dataframe_split":
            rows = _listed(fields.get("data"))
            return len(rows), max(len(_listed(fields.get("columns"))), _widest(rows))
        return max((len(_listed(value)) for value in fields.values()), default=0), len(fields)
    rows = _listed(given)
    if any(isinstance(row, dict) for row in rows):
        names = chain.from_iterable(cast("Mapping[str, Any]", row) for row in rows if isinstance(row, dict))
        return len(rows), len(set(names))
    # An array, which is not more than its values.
    return (len(rows), _widest(rows)) if form == "dataframe_records" else (0, 0)


def _listed(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _widest(rows: Iterable[Any]) -> int:
    return max((len(cast("Any", row)) for row in rows if isinstance(row, list | dict)), default=0)


def _first_two(text: str) -> tuple[int, int]:
    """Returns how many cells the head of CSV has, and the first row below it."""
    csv.field_size_limit(1 << 30)  # a body has a bound of its own
    try:
        rows = (len(row) for row in csv.reader(io.StringIO(text, newline="")))
        found = list(islice(filter(None, rows), 2))
    except csv.Error:
        found = [line.count(",") + 1 for line in text.splitlines()[:2]]
    head, row, *_ = (*found, 0, 0)
    return head, row
