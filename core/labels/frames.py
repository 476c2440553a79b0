"""The requests of a store as tables of pandas, one row for each row of a request.

Imports pandas inside the functions: what only counts labels does without.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from ..domain.labels import KeptRequest
from .store import LabelStore

if TYPE_CHECKING:
    from pandas import DataFrame

ABOUT = ("number", "request_id", "row", "at", "version", "status", "prediction", "label")
# Before the name of an input that is called like one of these.
INPUT = "input:"


@dataclass(frozen=True, slots=True)
class RequestFrame:
    """Two tables with the same rows, oldest first."""

    inputs: DataFrame
    """A column for each input; without columns where nothing was captured."""
    about: DataFrame
    """The columns of ABOUT; `number` is that of the request in the store, `at` is in seconds since the epoch.
    `prediction` and `label` are numbers or text where all are, else objects; a label that is not known is missing."""

    def newest(self, rows: int) -> RequestFrame:
        """Returns the newest rows, at most so many. A request has several; the oldest of them may be cut."""
        inputs, about = cast("Any", self.inputs), cast("Any", self.about)
        return self if len(about) <= rows else RequestFrame(inputs.iloc[-rows:], about.iloc[-rows:])

    def joined(self) -> DataFrame:
        """Returns one table of both. An input that is called like a column of ABOUT gets INPUT before its name."""
        inputs = self.inputs.rename(columns={name: f"{INPUT}{name}" for name in self.inputs.columns if name in ABOUT})
        return cast("Any", inputs).join(self.about)


def load(
    store: LabelStore,
    after: float | None = None,
    until: float | None = None,
    limit: int | None = None,
    version: int | None = None,
    *,
    labelled: bool = False,
    captured: bool = False,
    rows: int | None = None,
) -> RequestFrame:
    """Returns the rows of requests that were answered well in (after, until] (seconds since the epoch), of the newest
    `limit` requests; with `labelled` only rows with a label, with `captured` only rows whose inputs are known, and with
    `rows` the newest so many of them."""
    found = store.each(after, until, limit, version, labelled=labelled, captured=captured, rows=rows)
    frame = of(found, labelled=labelled, captured=captured)
    return frame if rows is None else frame.newest(rows)


def of(requests: Iterable[KeptRequest], *, labelled: bool = False, captured: bool = False) -> RequestFrame:
    """Returns the same of these requests."""
    import pandas as pd

    about: list[tuple[Any, ...]] = []
    inputs: list[tuple[tuple[str, ...], tuple[Any, ...]]] = []
    for request in requests:
        for row, prediction in enumerate(request.predictions):
            label = request.labels[row]
            if (labelled and label is None) or (captured and not request.columns):
                continue
            about.append(
                (request.number, request.id, row, request.at, request.version, request.status, prediction, label)
            )
            inputs.append((request.columns, request.inputs[row] if request.columns else ()))
    frame = cast("Any", pd).DataFrame.from_records(about, columns=list(ABOUT))
    for name in ("prediction", "label"):
        frame[name] = _typed([row[ABOUT.index(name)] for row in about])
    frame = frame.astype({"number": "int64", "row": "int64", "at": "float64", "version": "Int64", "status": "int64"})
    return RequestFrame(_inputs(inputs), frame)


def _typed(values: list[Any]) -> Any:
    """Returns a column of numbers or booleans where all known values are, else of objects as they are."""
    import pandas as pd

    known = [value for value in values if value is not None]
    if known and all(isinstance(value, int | float) and abs(value) < 2**53 for value in known):
        if len(known) == len(values):
            return pd.Series(values)
        return pd.Series(values, dtype="float64")
    return pd.Series(values, dtype="object")


def _inputs(rows: list[tuple[tuple[str, ...], tuple[Any, ...]]]) -> DataFrame:
    """Returns the inputs as one table: requests may name their columns in any order, and leave some out."""
    import pandas as pd

    names = list(dict.fromkeys(name for columns in dict.fromkeys(columns for columns, _ in rows) for name in columns))
    places: dict[tuple[str, ...], list[int | None]] = {}
    columns: list[list[Any]] = [[] for _ in names]
    for given, values in rows:
        if given not in places:
            where = {name: position for position, name in enumerate(given)}
            places[given] = [where.get(name) for name in names]
        for column, position in zip(columns, places[given], strict=True):
            column.append(values[position] if position is not None else None)
    return pd.DataFrame(
        {name: pd.Series(column) for name, column in zip(names, columns, strict=True)}, index=range(len(rows))
    )
