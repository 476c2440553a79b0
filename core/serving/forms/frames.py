"""The fast path from a JSON table to the DataFrame that MLflow's parsing and signature enforcement would make.

It handles only what it can make identically: a signature of named scalar columns, and cells with unambiguous JSON
types. Anything else raises NeedsMlflow, and MLflow itself does the work. `DataFrameReader.of` compares itself with
MLflow when a model is loaded, so that a release of MLflow or pandas that behaves differently disables the fast path
instead of changing an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, cast

FORMS = ("dataframe_split", "dataframe_records")
_EXACT_DOUBLE = 2**53
_EXACT_FLOAT = 2**24
_NUMBERS: frozenset[type] = frozenset({float, int, type(None)})
_INT: frozenset[type] = frozenset({int})
_STR: frozenset[type] = frozenset({str})
_BOOL: frozenset[type] = frozenset({bool})


class NeedsMlflow(Exception):
    """Raised for a request that MLflow's own code has to handle."""


def _numbers(name: str, exact: int) -> Callable[[Sequence[Any]], Any]:
    import numpy as np

    def convert(values: Sequence[Any]) -> Any:
        kinds = set(map(type, values))
        if not kinds <= _NUMBERS:
            raise NeedsMlflow
        if int in kinds and any(type(value) is int and not -exact <= value <= exact for value in values):
            raise NeedsMlflow
        made = np.array(values, dtype=np.float64)
        return made if name == "float64" else made.astype(name)

    return convert


def _integers(name: str) -> Callable[[Sequence[Any]], Any]:
    import numpy as np

    low, high = np.iinfo(name).min, np.iinfo(name).max

    def convert(values: Sequence[Any]) -> Any:
        if not set(map(type, values)) <= _INT or not all(low <= value <= high for value in values):
            raise NeedsMlflow
        return np.array(values, dtype=name)

    return convert


def _booleans(values: Sequence[Any]) -> Any:
    import numpy as np

    if not set(map(type, values)) <= _BOOL:
        raise NeedsMlflow
    return np.array(values, dtype=bool)


def _strings() -> Callable[[Sequence[Any]], Any]:
    """Returns what pandas makes of a list of strings: objects before pandas 3, its string type since."""
    import pandas as pd

    dtype = cast("Any", pd.DataFrame({"": ["a"]})[""]).dtype

    def convert(values: Sequence[Any]) -> Any:
        if not set(map(type, values)) <= _STR:
            raise NeedsMlflow
        return pd.array(cast("Any", values), dtype=dtype)

    return convert


def _converters() -> dict[str, tuple[Callable[[Sequence[Any]], Any], tuple[Any, ...]]]:
    """Returns MLflow's type name -> (converter, cells to try it with)."""
    return {
        "double": (_numbers("float64", _EXACT_DOUBLE), (1.5, 2, None)),
        "float": (_numbers("float32", _EXACT_FLOAT), (1.5, 2, None)),
        "long": (_integers("int64"), (1, -2, 2**40)),
        "integer": (_integers("int32"), (1, -2, 2**20)),
        "boolean": (_booleans, (True, False, True)),
        "string": (_strings(), ("a", "", "ä")),
    }


def _joined(arrays: Sequence[Any]) -> Any:
    import numpy as np

    if all(type(each) is np.ndarray for each in arrays):
        return np.concatenate(arrays, axis=-1)
    return cast("Any", type(arrays[0]))._concat_same_type(arrays)


class DataFrameReader:
    def __init__(
        self, names: Sequence[str], converters: Sequence[Callable[[Sequence[Any]], Any]], *, uniform: bool
    ) -> None:
        """Takes the columns' names and converters. `uniform` is true if every column has the same type, and one that
        numpy holds."""
        import pandas as pd

        self.names = list(names)
        self.width = len(names)
        self.converters = tuple(zip(self.names, converters, strict=True))
        self._frame = pd.DataFrame
        self._index = pd.DataFrame(columns=self.names).columns
        self._uniform = converters[0] if uniform else None

    @classmethod
    def of(cls, schema: Any) -> DataFrameReader | None:
        """Returns the fast path for a schema; None if it is not a signature of named scalar columns, or if MLflow
        makes something else of the trial rows."""
        if schema is None or schema.is_tensor_spec() or not schema.has_input_names():
            return None
        table = _converters()
        kinds = [getattr(kind, "name", "") for kind in schema.input_types()]
        names = schema.input_names()
        if not names or len(set(names)) != len(names) or any(kind not in table for kind in kinds):
            return None
        made = cls(names, [table[kind][0] for kind in kinds], uniform=len(set(kinds)) == 1 and kinds[0] != "string")
        cells = [table[kind][1] for kind in kinds]
        trials = [[[column[row] for column in cells] for row in rows] for rows in ((0,), (0, 1, 2))]
        return made if all(made.agrees(rows, schema) for rows in trials) else None

    def agrees(self, rows: list[list[Any]], schema: Any) -> bool:
        import pandas as pd
        from mlflow.models import utils
        from mlflow.pyfunc import scoring_server

        parse, enforce = cast("Any", scoring_server).infer_and_parse_data, cast("Any", utils)._enforce_schema
        for form, payload in zip(FORMS, self.forms(rows), strict=True):
            try:
                pd.testing.assert_frame_equal(self.make(form, payload), enforce(parse({form: payload}, schema), schema))
            except Exception:
                return False
        return True

    def forms(self, rows: list[list[Any]]) -> tuple[Any, Any]:
        return {"columns": self.names, "data": rows}, [dict(zip(self.names, row, strict=True)) for row in rows]

    def make(self, form: str, payload: Any) -> Any:
        """Returns the DataFrame of one request. Raises NeedsMlflow if the request is not of the plain kind."""
        return self.frame(self.parts(form, payload))

    def parts(self, form: str, payload: Any) -> tuple[Any, ...]:
        """Returns the converted cells of one request: an array for each column, or one block for all where they have
        one type. Raises NeedsMlflow if the request is not of the plain kind."""
        columns = self._split(payload) if form == "dataframe_split" else self._records(payload)
        if self._uniform is not None:
            # One block laid out as MLflow's is, column by column: a model that sums along it rounds the same way.
            return (self._uniform(list(chain.from_iterable(columns))).reshape(self.width, -1),)
        return tuple(convert(values) for (_, convert), values in zip(self.converters, columns, strict=True))

    def frame(self, parts: tuple[Any, ...]) -> Any:
        """Returns the DataFrame of converted cells."""
        if self._uniform is not None:
            return self._frame(parts[0].T, columns=self._index, copy=False)
        return self._frame(dict(zip(self.names, parts, strict=True)), copy=False)

    @staticmethod
    def joined(many: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
        """Returns the converted cells of several requests, the rows of one below those of the other."""
        return tuple(map(_joined, zip(*many, strict=True)))

    def _split(self, payload: Any) -> Sequence[Sequence[Any]]:
        if type(payload) is not dict or len(cast("dict[str, Any]", payload)) != 2:
            raise NeedsMlflow
        names, rows = cast("dict[str, Any]", payload).get("columns"), cast("dict[str, Any]", payload).get("data")
        if type(rows) is not list or not rows or type(names) is not list:
            raise NeedsMlflow
        rows = cast("list[Any]", rows)
        width = self.width
        if any(type(row) is not list or len(row) != width for row in rows):
            raise NeedsMlflow
        columns = [[cell] for cell in rows[0]] if len(rows) == 1 else list(zip(*rows, strict=True))
        if names == self.names:
            return columns
        names = cast("list[Any]", names)
        if len(names) != width or any(type(name) is not str for name in names):
            raise NeedsMlflow
        by_name = dict(zip(names, columns, strict=True))
        if len(by_name) != width:
            raise NeedsMlflow
        return [self._of(by_name, name) for name in self.names]

    def _records(self, payload: Any) -> Sequence[Sequence[Any]]:
        if type(payload) is not list or not payload:
            raise NeedsMlflow
        rows = cast("list[Any]", payload)
        width = self.width
        if any(type(row) is not dict or len(row) != width for row in rows):
            raise NeedsMlflow
        try:
            return [[row[name] for row in rows] for name in self.names]
        except KeyError:
            raise NeedsMlflow from None

    @staticmethod
    def _of(by_name: dict[str, Any], name: str) -> Any:
        try:
            return by_name[name]
        except KeyError:
            raise NeedsMlflow from None
