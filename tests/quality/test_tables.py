"""A CSV's columns get the types of the signature."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas
import pytest
from podium.core.quality.metrics import Unmeasurable
from podium.core.quality.reasons import reason
from podium.core.quality.tables import read_for

TYPES = {"n": "integer", "l": "long", "f": "float", "d": "double", "b": "boolean", "t": "datetime", "s": "string"}
ROWS = "n,l,f,d,b,t,s,y\n1,2,1.5,2,True,2026-01-01,007,0\n2,3,,3,False,2026-01-02,,1\n"


def table(tmp_path: Path, text: str, types: dict[str, str] = TYPES) -> pandas.DataFrame:
    (tmp_path / "d.csv").write_text(text)
    return read_for(tmp_path / "d.csv", "data/d.csv", types)


def test_columns_get_the_signatures_types(tmp_path: Path) -> None:
    found = table(tmp_path, ROWS)
    kinds = {name: found[name].dtype.kind + str(found[name].dtype.itemsize) for name in "nlfdb"}
    assert kinds == {"n": "i4", "l": "i8", "f": "f4", "d": "f8", "b": "b1"}
    assert found["t"].dtype.kind == "M" and found["s"][0] == "007"


def test_mlflow_accepts_them(tmp_path: Path) -> None:
    import mlflow
    from mlflow.models import infer_signature
    from mlflow.models.utils import _enforce_schema

    example = pandas.DataFrame(
        {
            "n": np.asarray([1], "int32"),
            "f": np.asarray([1.5], "float32"),
            "t": pandas.to_datetime(["2026-01-01"]),
            "b": [True],
            "c": pandas.Series(["a"]).astype("category"),
        }
    )
    schema = infer_signature(example).inputs
    assert mlflow and schema
    types = {spec.name: spec.type.name for spec in schema.inputs}
    found = table(tmp_path, "n,f,t,b,c\n1,1,2026-01-01,True,3\n2,2.5,2026-01-02 10:00,False,4\n", types)
    assert list(_enforce_schema(found, schema)["c"]) == ["3", "4"]


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("n", "1.5", "column 'n' of data/d.csv holds float64, but the model's signature says integer"),
        ("n", "", "holds float64 with gaps, but the model's signature says integer"),
        ("n", "4294967296", "says integer"),
        ("l", "x", "says long"),
        ("f", "x", "says float"),
        ("b", "1", "holds int64, but the model's signature says boolean"),
        ("b", "", "with gaps, but the model's signature says boolean"),
        ("t", "soon", "says datetime"),
        ("t", "20260101", "holds int64, but the model's signature says datetime"),
    ],
)
def test_a_mismatch_names_the_column_and_both_types(tmp_path: Path, column: str, value: str, words: str) -> None:
    rows = [dict(zip(ROWS.splitlines()[0].split(","), ROWS.splitlines()[1].split(","), strict=True)) for _ in range(2)]
    other = {"n": "1", "b": "True"}.get(column, rows[0][column]) if value == "" else value
    rows[0][column], rows[1][column] = other, value
    text = "\n".join([ROWS.splitlines()[0], *(",".join(row.values()) for row in rows)])
    with pytest.raises(Unmeasurable) as caught:
        table(tmp_path, text + "\n")
    assert words in caught.value.message


def test_parquet_keeps_its_own_types(tmp_path: Path) -> None:
    pandas.DataFrame({"n": [1, 2]}).to_parquet(tmp_path / "d.parquet")
    assert read_for(tmp_path / "d.parquet", "d.parquet", {"n": "integer"})["n"].dtype == "int64"


def test_the_reason_of_an_error_is_what_matters_of_it() -> None:
    text = (
        "Failed to enforce schema of data '  n\n0 1' with schema '[n: integer]'. Error: Can not convert int64 to int32."
    )
    assert reason(ValueError(text)) == "Can not convert int64 to int32."
    assert reason(ValueError("")) == "no message" and reason(ValueError("a\nb")) == "a b"
    long = reason(ValueError(f"begin {'x ' * 1000} the end"))
    assert long.startswith("begin") and long.endswith("the end") and len(long) < 420
