"""What a request asks: the columns and rows of its body, in every form of MLflow's protocol that names them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast


@dataclass(frozen=True, slots=True)
class RequestRows:
    """The rows of a request; each has a value for each column. Columns without names are called by their position."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def rows_of(body: bytes | str, content_type: str) -> RequestRows | None:
    """Returns the columns and rows of a request; None for one that cannot be read as a table."""
    kind = content_type.partition(";")[0].strip().lower()
    try:
        # A byte order mark is no part of the first column's name: neither pandas nor `json` takes it for one.
        body = body.removeprefix("\ufeff") if isinstance(body, str) else body
        if kind == "text/csv":
            return _csv(body.decode("utf-8-sig") if isinstance(body, bytes) else body)
        return _document(json.loads(body)) if kind == "application/json" else None
    except (ValueError, RecursionError, csv.Error):
        return None


def _document(document: Any) -> RequestRows | None:
    if not isinstance(document, dict):
        return None
    fields = cast("dict[str, Any]", document)
    if "dataframe_split" in fields:
        return _split(fields["dataframe_split"])
    if "dataframe_records" in fields:
        return _records(fields["dataframe_records"])
    for form in ("inputs", "instances"):
        if form in fields:
            return _inputs(fields[form])
    return None


def _split(given: Any) -> RequestRows | None:
    if not isinstance(given, dict):
        return None
    fields = cast("dict[str, Any]", given)
    columns, data = fields.get("columns"), fields.get("data")
    if not isinstance(data, list) or not all(isinstance(row, list) for row in cast("list[Any]", data)):
        return None
    rows = cast("list[list[Any]]", data)
    width = len(rows[0]) if rows else 0
    names = list(range(width)) if columns is None else columns
    if not isinstance(names, list) or any(len(row) != len(cast("list[Any]", names)) for row in rows):
        return None
    return RequestRows(tuple(map(str, cast("list[Any]", names))), tuple(map(tuple, rows)))


def _records(given: Any) -> RequestRows | None:
    if not isinstance(given, list) or not all(isinstance(row, dict) for row in cast("list[Any]", given)):
        return None
    rows = cast("list[dict[str, Any]]", given)
    names = tuple(dict.fromkeys(name for row in rows for name in row))
    return RequestRows(names, tuple(tuple(row.get(name) for name in names) for row in rows))


def _inputs(given: Any) -> RequestRows | None:
    if isinstance(given, dict):
        return _columns(cast("dict[str, Any]", given))
    if not isinstance(given, list):
        return None
    rows = cast("list[Any]", given)
    if rows and isinstance(rows[0], dict):
        return _records(rows)
    cells = [tuple(cast("list[Any]", row)) if isinstance(row, list) else (row,) for row in rows]
    width = len(cells[0]) if cells else 0
    if any(len(row) != width for row in cells):
        return None
    return RequestRows(tuple(map(str, range(width))), tuple(cells))


def _columns(given: Mapping[str, Any]) -> RequestRows | None:
    columns = [cast("list[Any]", value) if isinstance(value, list) else [value] for value in given.values()]
    if not columns or len({len(values) for values in columns}) != 1:
        return None
    return RequestRows(tuple(given), tuple(zip(*columns, strict=True)))


def _csv(text: str) -> RequestRows | None:
    lines = [row for row in csv.reader(io.StringIO(text)) if len(row) > 1 or (row and row[0].strip())]
    if not lines or any(len(row) != len(lines[0]) for row in lines):
        return None
    return RequestRows(tuple(lines[0]), tuple(tuple(map(_cell, row)) for row in lines[1:]))


def _cell(text: str) -> Any:
    """Returns what a cell of a CSV means by itself: a number, nothing, or its text. `007` is no number."""
    with suppress(ValueError):
        if str(whole := int(text)) == text:
            return whole
    with suppress(ValueError):
        if not (text[:1] == "0" and text[1:2].isdigit()):
            return float(text)
    return text or None


def key_text(value: Any) -> str:
    """Returns the value of a key column as text, whatever its type was; empty for none. A whole number has no point."""
    if value is None or isinstance(value, list | dict):
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else "" if value != value else repr(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def predictions_of(answer: bytes | str) -> list[Any]:
    """Returns the predictions of an answer, one for each row; none if it is no answer of MLflow's protocol. Columns of
    predictions (an object of lists of one length) become one object for each row."""
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError):
        return []
    if not isinstance(document, dict) or "predictions" not in document:
        return []
    found: Any = cast("dict[str, Any]", document)["predictions"]
    if isinstance(found, list):
        return cast("list[Any]", found)
    columns = cast("dict[str, Sequence[Any]]", found) if isinstance(found, dict) else {}
    if all(isinstance(each, list) for each in columns.values()) and len({len(each) for each in columns.values()}) == 1:
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return [found]
