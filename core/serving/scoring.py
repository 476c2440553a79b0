"""A loaded model, and what MLflow's scoring server would answer to a request.

Two paths give the same answer. The slow path is MLflow's own `scoring_server.invocations`, called as its server
calls it. The fast path, for JSON only, skips MLflow's copies and repeated checks; frames.py makes tables of plain
cells. An error on the fast path sends the request to the slow path, so that every error message is MLflow's; a
failing prediction is therefore tried twice.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from .forms.frames import FORMS, DataFrameReader, NeedsMlflow
from .forms.shape import DEFAULT, Beyond, Shape, kind_of

JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"
_PLAIN_JSON = ("application/json", "application/json; charset=utf-8", "application/json;charset=utf-8")


TOO_LARGE = 413
_ALL_FORMS = (*FORMS, "inputs", "instances")


@dataclass(frozen=True, slots=True)
class ScoringAnswer:
    """An HTTP answer. `rows` is the number of predicted rows; 0 for an error. `kept` is false for one whose request is
    not to be captured."""

    status: int
    body: bytes
    media_type: bytes = JSON
    rows: int = 0
    kept: bool = True


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that can be predicted together with others of the same `form`: `data` is what a model is given, or what
    a table is made of."""

    form: Hashable
    data: Any
    rows: int


def problem(status: int, code: str, message: str, *, kept: bool = True) -> ScoringAnswer:
    """Returns an error in the form of MLflow's."""
    return ScoringAnswer(status, json.dumps({"error_code": code, "message": message}).encode(), kept=kept)


def beyond(refused: Beyond) -> ScoringAnswer:
    """Returns the answer to a request that holds more than it may."""
    code = "REQUEST_LIMIT_EXCEEDED" if refused.status == TOO_LARGE else "BAD_REQUEST"
    return problem(refused.status, code, refused.message, kept=False)


UNTYPED = problem(415, "UNSUPPORTED_MEDIA_TYPE", "The request has no Content-Type; application/json is the usual one.")
INTERNAL = ScoringAnswer(500, b"Internal Server Error", TEXT)


class Scorer:
    """Predicts requests. It has no state between requests, so one thread at a time may call it; MLflow's server
    promises a model no more."""

    def __init__(self, model: Any, shape: Shape = DEFAULT) -> None:
        from mlflow.exceptions import MlflowException
        from mlflow.models import utils
        from mlflow.pyfunc import scoring_server
        from mlflow.utils import proto_json_utils

        self.model = model
        self.schema = model.metadata.get_input_schema()
        self.frames = DataFrameReader.of(self.schema)
        names = len(self.schema.inputs) if self.schema is not None and self.schema.has_input_names() else None
        self._shape = shape.of_model(names)
        self._parse: Callable[..., Any] = cast("Any", scoring_server).infer_and_parse_data
        self._enforce: Callable[..., Any] = cast("Any", utils)._enforce_schema
        self._predict = self._direct()
        self._invocations: Callable[..., Any] = cast("Any", scoring_server).invocations
        self._error = MlflowException
        self._encoder = proto_json_utils.NumpyEncoder
        self._jsonable: Callable[..., Any] = cast("Any", proto_json_utils)._get_jsonable_obj

    def _direct(self) -> Callable[[Any], Any] | None:
        """Returns the model's own predict function if MLflow's `predict` would only add checks that frames.py has
        made."""
        model, metadata = self.model, self.model.metadata
        predict = getattr(model, "_predict_fn", None)
        dependencies = any(name.startswith("dependencies_schemas") for name in metadata.metadata or ())
        special = (
            metadata.get_params_schema()
            or metadata._is_signature_from_type_hint()
            or metadata._is_type_hint_from_example()
        )
        arrays = self.schema is None or self.schema.is_tensor_spec()
        if (
            not (self.frames or arrays)
            or predict is None
            or special
            or dependencies
            or getattr(model, "_predict_stream_fn", None)
        ):
            return None
        params = inspect.signature(predict).parameters.get("params")
        if params is not None and params.kind is not inspect.Parameter.VAR_KEYWORD:
            return lambda data: predict(data, params=None)
        return predict

    @property
    def short(self) -> bool:
        """Tells whether this model has a fast path at all."""
        return self._predict is not None

    def prepare(self, body: bytes, content_type: str | None) -> Prepared | None:
        """Returns the request in the form in which it can be predicted together with others; None for one that has to
        be predicted alone, because it is not of the plain kind or cannot be read."""
        if self._predict is None or content_type not in _PLAIN_JSON:
            return None
        with contextlib.suppress(Exception):
            form, payload = _only(json.loads(body))
            if self.frames is None:
                self._shape.require_document(body, {form: payload})
                return _prepared(self._data(form, payload))
            if form in FORMS:
                parts = self.frames.parts(form, payload)
                # Its types are those of the signature, whatever the request is.
                return Prepared("table", parts, len(parts[0].T))
        return None

    def together(self, requests: Sequence[Prepared]) -> list[ScoringAnswer] | None:
        """Returns the answers to requests of one form, predicted at once; None if what the model answers has not one
        part for each row. Raises whatever the model raises."""
        if self._predict is None:
            return None
        many = [each.data for each in requests]
        data = _below(many) if self.frames is None else self.frames.frame(self.frames.joined(many))
        found = self._jsonable(self._predict(data), pandas_orient="records")
        if not isinstance(found, list) or len(cast("list[Any]", found)) != sum(each.rows for each in requests):
            return None
        rows, at = cast("list[Any]", found), 0
        answers: list[ScoringAnswer] = []
        for each in requests:
            text = json.dumps({"predictions": rows[at : at + each.rows]}, cls=self._encoder)
            answers.append(ScoringAnswer(200, text.encode(), JSON, each.rows))
            at += each.rows
        return answers

    def answer(self, body: bytes, content_type: str | None) -> ScoringAnswer:
        try:
            if self._predict is not None and content_type in _PLAIN_JSON:
                with contextlib.suppress(NeedsMlflow):
                    return self._short(body)
            self._require(body, content_type)
        except Beyond as refused:
            return beyond(refused)
        return self._long(body, content_type)

    def _require(self, body: bytes, content_type: str | None) -> None:
        """Raises Beyond for a request of which MLflow would make more than is good for the others."""
        kind = kind_of(content_type)
        if kind == "text/csv":
            self._shape.require_csv(body)
        elif kind == "application/vnd.apache.parquet":
            self._shape.require_parquet(body)
        elif kind == "application/json":
            with contextlib.suppress(ValueError, RecursionError):  # MLflow has words for it
                self._shape.require_document(body, json.loads(body))

    def _short(self, body: bytes) -> ScoringAnswer:
        """Answers on the fast path. Raises NeedsMlflow where the slow one has to be taken, Beyond where none may be."""
        try:
            form, payload = _only(json.loads(body))
            if self._predict is None:
                raise NeedsMlflow
            if self.frames is None:  # otherwise nothing is made of what does not fit the signature
                self._shape.require_document(body, {form: payload})
            data = self._data(form, payload)
            return ScoringAnswer(200, self._encode(self._predict(data)), JSON, _rows(data))
        except Beyond:
            raise
        except Exception as error:
            raise NeedsMlflow from error

    def _data(self, form: str, payload: Any) -> Any:
        """Returns what MLflow would pass to the model. Arrays, and tables without a signature, are made by MLflow's
        own functions, which cost little."""
        if self.frames is not None:
            if form not in FORMS:
                raise NeedsMlflow
            return self.frames.make(form, payload)
        if form not in _ALL_FORMS:
            raise NeedsMlflow
        parsed = self._parse({form: payload}, self.schema)
        return parsed if self.schema is None else self._enforce(parsed, self.schema)

    def _encode(self, predictions: Any) -> bytes:
        return json.dumps(
            {"predictions": self._jsonable(predictions, pandas_orient="records")}, cls=self._encoder
        ).encode()

    def _long(self, body: bytes, content_type: str | None) -> ScoringAnswer:
        if content_type is None:  # MLflow's own server fails here
            return UNTYPED
        try:
            result = self._invocations(body, content_type, self.model, self.schema)
        except self._error as error:
            return ScoringAnswer(error.get_http_status_code(), error.serialize_as_json().encode(), JSON)
        except Exception:
            return _unreadable(body, content_type) or INTERNAL
        media_type = result.mimetype.encode()
        if media_type.startswith(b"text/"):
            media_type += b"; charset=utf-8"
        return ScoringAnswer(result.status, result.response.encode(), media_type, 1 if result.status == 200 else 0)


def _only(request: Any) -> tuple[str, Any]:
    """Returns the only key of a request, and its value."""
    if type(request) is not dict or len(cast("dict[str, Any]", request)) != 1:
        raise NeedsMlflow
    return next(iter(cast("dict[str, Any]", request).items()))


def _prepared(data: Any) -> Prepared | None:
    """Returns arrays, or a table without a signature, with what has to be the same in others: all that a row below them
    could change."""
    import pandas as pd

    if isinstance(data, dict):
        arrays = cast("dict[str, Any]", data)
        rows = {len(each) for each in arrays.values() if getattr(each, "ndim", 0)}
        forms = tuple((name, _array_form(each)) for name, each in arrays.items())
        plain = len(rows) == 1 and all(form for _, form in forms)
        return Prepared(("arrays", forms), arrays, rows.pop()) if plain else None
    if isinstance(data, pd.DataFrame):
        table = cast("Any", data)
        plain = type(table.index) is pd.RangeIndex and table.index.equals(pd.RangeIndex(len(table)))
        form = ("frame", str(table.columns.dtype), tuple(table.columns), tuple(map(str, table.dtypes)))
        return Prepared(form, table, len(table)) if plain and len(table) else None
    form = _array_form(data)
    return Prepared(form, data, len(data)) if form else None


def _array_form(array: Any) -> tuple[Any, ...] | None:
    import numpy as np

    if type(array) is not np.ndarray:
        return None
    found = cast("Any", array)
    return (found.dtype.str, found.shape[1:]) if found.ndim and len(found) and found.dtype.kind in "biufU" else None


def _below(many: Sequence[Any]) -> Any:
    """Returns the rows of all, which have one form."""
    import numpy as np
    import pandas as pd

    if isinstance(many[0], dict):
        return {name: np.concatenate([each[name] for each in many]) for name in cast("dict[str, Any]", many[0])}
    if isinstance(many[0], pd.DataFrame):
        return pd.concat(many, ignore_index=True)
    return np.concatenate(many)


def _unreadable(body: bytes, content_type: str) -> ScoringAnswer | None:
    """Returns the answer to JSON that MLflow takes for a fault of its own: what Python refuses to read (an integer of
    thousands of digits, arrays in arrays in arrays), and a table whose columns or rows have lists or objects for names.
    None for other requests."""
    if not content_type.strip().startswith("application/json"):
        return None
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        return problem(400, "BAD_REQUEST", f"The request cannot be read as JSON: {error}")
    table = cast("dict[str, Any]", request).get("dataframe_split") if isinstance(request, dict) else None
    for part in ("columns", "index"):
        names = cast("dict[str, Any]", table).get(part) if isinstance(table, dict) else None
        if isinstance(names, list) and any(isinstance(each, list | dict) for each in cast("list[Any]", names)):
            return problem(
                400, "BAD_REQUEST", f"dataframe_split.{part} has a list or an object where a name or a number belongs."
            )
    return None


def _rows(data: Any) -> int:
    """Returns the number of rows of a table or an array; 1 for a single value; for named arrays the rows of the
    first."""
    first = next(iter(cast("dict[str, Any]", data).values()), ()) if isinstance(data, dict) else data
    return len(first) if getattr(first, "ndim", 0) else 1


def load(path: Path, shape: Shape = DEFAULT) -> Scorer:
    """Loads a model, whose requests may hold `shape`. Takes seconds: it imports MLflow and the model's own libraries,
    and raises whatever they raise."""
    if not (path / "MLmodel").is_file():
        raise FileNotFoundError(f"{path} has no MLmodel file")
    import mlflow.pyfunc
    from mlflow.environment_variables import _MLFLOW_IS_IN_SERVING_ENVIRONMENT  # pyright: ignore[reportPrivateUsage]

    os.environ[_MLFLOW_IS_IN_SERVING_ENVIRONMENT.name] = "true"
    return Scorer(mlflow.pyfunc.load_model(str(path)), shape)
