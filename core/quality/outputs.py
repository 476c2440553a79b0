"""What a model returned for all rows: columns of numbers, truth values or words, and how they get from the model's
process to the gate's.

They travel as JSON and plain bytes. Nothing that a model's process writes is unpickled: a model may write what it
likes, and the gate's process can act.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from ..domain.frozen import Frozen
from .metrics import Unmeasurable

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A column for each class, label or quantile. Of a wider table only names are told.
MAX_COLUMNS = 1000
_SHOWN = 40
_PLAIN = str | bool | int | float


class Column(Frozen):
    """One answer per row. `values` are floats, whole numbers or truth values, or objects: words and None for a
    missing one. `strange` shows an answer that is none of these; then there are no values."""

    name: str
    values: NDArray[Any]
    strange: str = ""


class Output(Frozen):
    """All answers. `width` is the number of columns, also where they are too many to be told. `kind` is the type that
    `predict` returned, in words for an error."""

    rows: int
    width: int
    names: tuple[str, ...]
    columns: tuple[Column, ...]
    kind: str = ""

    @classmethod
    def of(cls, returned: Any, wanted: Collection[str] = ()) -> Output:
        """Makes it of whatever `predict` returned: a table, a column, an array, a list, a dict of arrays, a list of
        dicts. Of a table with columns of the `wanted` names it takes these alone."""
        kind = type(returned).__name__
        table = _table(returned)
        if table is not None:
            names = tuple(str(name) for name in table.columns)
            places = [place for place, name in enumerate(names) if name in wanted] or range(len(names))
            chosen = list(places)[: MAX_COLUMNS + 1]
            columns = [(names[place], table.iloc[:, place].to_numpy()) for place in chosen]
            return cls._of(len(table), names, columns, kind)
        values = _array(returned)
        if values.ndim == 0:
            return cls(1, 0, (), (), kind)
        if values.ndim == 1:
            name = getattr(returned, "name", None)
            return cls._of(len(values), (str(name) if name is not None else "",), [("", values)], kind)
        flat = values.reshape(len(values), -1) if len(values) else values.reshape(0, 1)
        columns = [("", flat[:, place]) for place in range(flat.shape[1])[: MAX_COLUMNS + 1]]
        return cls._of(len(flat), ("",) * flat.shape[1], columns, kind)

    @classmethod
    def _of(cls, rows: int, names: tuple[str, ...], columns: Sequence[tuple[str, Any]], kind: str) -> Output:
        told: Sequence[tuple[str, Any]] = () if len(columns) > MAX_COLUMNS else columns
        made = tuple(_column(name or names[place], values) for place, (name, values) in enumerate(told))
        return cls(rows, len(names), names[:MAX_COLUMNS], made, kind)


def encode(output: Output) -> tuple[dict[str, Any], bytes]:
    """Returns what `decode` makes the same output of: a document for JSON, and bytes."""
    import numpy as np

    columns: list[dict[str, Any]] = []
    payload: list[bytes] = []
    for column in output.columns:
        described: dict[str, Any] = {"name": column.name, "strange": column.strange}
        values = column.values
        if values.dtype.kind == "O":
            words: dict[Any, int] = {}
            codes = [words.setdefault((type(value).__name__, value), len(words)) for value in values.tolist()]
            spelled = json.dumps([value for _, value in words]).encode()
            described["words"] = len(spelled)
            payload.append(spelled)
            values = np.asarray(codes, dtype="<i4")
        values = values.astype(values.dtype.newbyteorder("<"))
        payload.append(values.tobytes())
        columns.append({**described, "dtype": values.dtype.str, "size": int(values.size)})
    document: dict[str, Any] = {
        "rows": output.rows,
        "width": output.width,
        "names": list(output.names),
        "columns": columns,
    }
    document["kind"] = output.kind
    return document, b"".join(payload)


def decode(document: Mapping[str, Any], payload: bytes) -> Output:
    """Returns the output. Raises ValueError, KeyError or TypeError for what `encode` did not write."""
    import numpy as np

    columns: list[Column] = []
    start = 0
    for described in document["columns"]:
        kind = np.dtype(str(described["dtype"]))
        if kind.kind not in "fiub":
            raise ValueError(f"a column of {kind}")
        words, start = _words(described, payload, start)
        end = start + int(described["size"]) * kind.itemsize
        if not start <= end <= len(payload):
            raise ValueError(f"{described['size']} values in {len(payload)} bytes")
        values: NDArray[Any] = np.frombuffer(payload[start:end], dtype=kind)
        start = end
        if words is not None:
            values = _objects(words)[values]
        if len(values) != document["rows"] and not described["strange"]:
            raise ValueError(f"{len(values)} values for {document['rows']} rows")
        columns.append(Column(str(described["name"]), values, str(described["strange"])))
    names = tuple(map(str, document["names"]))
    return Output(int(document["rows"]), int(document["width"]), names, tuple(columns), str(document.get("kind", "")))


def _words(described: Mapping[str, Any], payload: bytes, start: int) -> tuple[list[Any] | None, int]:
    """Returns the different words of a column, None for one of numbers, and where its values begin."""
    if "words" not in described:
        return None, start
    end = start + int(described["words"])
    if not start <= end <= len(payload):
        raise ValueError(f"{described['words']} bytes of words in {len(payload)} bytes")
    found = json.loads(payload[start:end])
    if not isinstance(found, list) or any(not isinstance(each, _PLAIN | None) for each in cast("list[Any]", found)):
        raise ValueError("words that are none")
    return cast("list[Any]", found), end


def _table(returned: Any) -> Any:
    """Returns it as a DataFrame, if that is what it is: also a dict of columns, and a list of dicts. Else None."""
    import pandas

    if isinstance(returned, pandas.DataFrame):
        return returned
    if hasattr(returned, "to_pandas") and hasattr(returned, "columns"):  # polars, pyarrow
        return _table(returned.to_pandas())
    first: Any = cast("list[Any]", returned)[0] if isinstance(returned, list) and returned else None
    if not isinstance(returned, dict) and not isinstance(first, dict):
        return None
    try:
        return pandas.DataFrame(cast("Any", returned))
    except (TypeError, ValueError):
        return None


def _array(returned: Any) -> NDArray[Any]:
    import numpy as np

    try:
        return np.asarray(returned)
    except ValueError:  # rows of different lengths
        found = np.empty(len(returned), dtype=object)
        found[:] = [str(row) for row in returned]
        raise Unmeasurable(
            f"the model's answers are not of one length, but {str(found[0])[:_SHOWN]!r} and the like"
        ) from None


def _column(name: str, values: Any) -> Column:
    import numpy as np

    found: NDArray[Any] = np.asarray(values)
    if found.dtype.kind in "iub":
        return Column(name, found)
    if found.dtype.kind == "f":
        return Column(name, found if found.dtype.itemsize <= np.dtype(float).itemsize else found.astype(float))
    plain = [_plain(value) for value in found.tolist()]
    strange = next((value for value in plain if value is not None and not isinstance(value, _PLAIN)), None)
    if strange is not None:
        return Column(name, np.zeros(0), strange=str(strange)[:_SHOWN])
    if any(isinstance(value, str) for value in plain):
        return Column(name, _objects(plain))
    if all(isinstance(value, bool) for value in plain):
        return Column(name, np.asarray(plain, dtype=bool))
    if all(isinstance(value, int) for value in plain):
        return Column(name, np.asarray(plain, dtype=np.int64))
    return Column(name, np.asarray([np.nan if value is None else value for value in plain], dtype=float))


def _plain(value: Any) -> Any:
    """Returns the value as Python's own; None for every kind of a missing one."""
    import pandas

    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()
    if value is None or value is pandas.NA or value is pandas.NaT:
        return None
    return None if isinstance(value, float) and value != value else value


def _objects(values: Sequence[Any]) -> NDArray[Any]:
    import numpy as np

    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found
