"""Models that tests serve. They repeat what they were given, so that a difference in what reaches a model becomes a
difference in its answer."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import mlflow
import numpy as np
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.pyfunc import PythonModel
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec

NAMES = ("d", "f", "l", "i", "b", "s")
TYPES = ("double", "float", "long", "integer", "boolean", "string")


class Echo(PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        if isinstance(model_input, pd.DataFrame):
            columns = [
                [str(name), str(dtype), str(list(model_input[name]))] for name, dtype in model_input.dtypes.items()
            ]
            return {
                "columns": columns,
                "index": [str(model_input.index.dtype), str(list(model_input.index))],
                "params": str(params),
            }
        if isinstance(model_input, np.ndarray):
            return {
                "array": str(model_input.dtype),
                "shape": list(model_input.shape),
                "values": str(model_input.tolist()),
                "params": str(params),
            }
        return {"other": type(model_input).__name__, "values": str(model_input), "params": str(params)}


class Moody(PythonModel):
    """Column `s` says what happens."""

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:
        mood = str(model_input["s"].iloc[0])
        if mood == "raise":
            raise ValueError("not today")
        if mood == "mlflow":
            raise mlflow.exceptions.MlflowException(
                "not today", error_code=mlflow.protos.databricks_pb2.INVALID_PARAMETER_VALUE
            )
        answers: dict[str, Any] = {
            "series": pd.Series([1.5, 2.5]),
            "frame": pd.DataFrame({"a": [1, 2], "b": ["x", None]}),
            "nan": np.array([1.0, np.nan, np.inf, -np.inf]),
            "objects": np.array([np.int64(3), datetime.date(2013, 1, 1), b"ab", "ü\ud800"], dtype=object),
            "times": pd.DataFrame({"t": pd.to_datetime(["2013-01-01"])}),
            "list": [np.float32(0.1), np.float64(0.1), 1, None, True],
            "set": {1, 2},
            "none": None,
        }
        return answers.get(mood, np.full(len(model_input), 0.5))


def signature(*inputs: Any, params: Any = None) -> ModelSignature:
    return ModelSignature(inputs=Schema(list(inputs)), params=params)


def kinds() -> dict[str, tuple[PythonModel, ModelSignature | None]]:
    optional = [ColSpec("double", "d", required=False), ColSpec("string", "s", required=False), ColSpec("long", "l")]
    params = ParamSchema([ParamSpec("t", "double", 0.5)])
    return {
        "typed": (Echo(), signature(*(ColSpec(kind, name) for kind, name in zip(TYPES, NAMES, strict=True)))),
        "optional": (Echo(), signature(*optional)),
        "bare": (Echo(), None),
        "unnamed": (Echo(), signature(ColSpec("double"), ColSpec("double"))),
        "tensor": (Echo(), signature(TensorSpec(np.dtype("float64"), (-1, 2)))),
        "tensors": (
            Echo(),
            signature(TensorSpec(np.dtype("int64"), (-1, 2), "a"), TensorSpec(np.dtype("float32"), (-1,), "b")),
        ),
        "params": (Echo(), signature(ColSpec("double", "d"), params=params)),
        "datetime": (Echo(), signature(ColSpec("datetime", "d"), ColSpec("long", "l"))),
        "moody": (Moody(), signature(ColSpec("double", "d"), ColSpec("string", "s"))),
    }


def save(directory: Path) -> dict[str, Path]:
    """Every kind, and `sklearn`: a logistic regression over three columns."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    made: dict[str, Path] = {}
    for name, (model, given) in kinds().items():
        made[name] = directory / name
        mlflow.pyfunc.save_model(made[name], python_model=model, signature=given, pip_requirements=["mlflow"])
    made["sklearn"] = directory / "sklearn"
    save_sklearn(made["sklearn"])
    return made


def save_sklearn(path: Path) -> None:
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(1)
    x = pd.DataFrame(random.normal(size=(200, 3)), columns=["a", "b", "c"])
    fitted = LogisticRegression().fit(x, x["a"] + random.normal(size=200) > 0)
    given = signature(*(ColSpec("double", name) for name in x.columns))
    mlflow.sklearn.save_model(
        fitted,
        path,
        signature=given,
        serialization_format="cloudpickle",
        pyfunc_predict_fn="predict_proba",
        pip_requirements=["mlflow"],
    )
