"""Tables of every format are the same rows, and their columns get the types of the signature."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pandas
import pytest
from podium.core.errors import PodiumError
from podium.core.quality.metrics import Unmeasurable
from podium.core.quality.reasons import reason, told
from podium.core.quality.tables import batches, read, read_for

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
        ("b", "perhaps", "but the model's signature says boolean"),
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


def test_parquet_gets_the_signatures_types_too(tmp_path: Path) -> None:
    table = pandas.DataFrame(
        {
            "n": pandas.array([1, 2], dtype="Int64"),
            "f": [0.5, 1.5],
            "b": pandas.array([True, None], dtype="boolean"),
            "s": pandas.Categorical(["x", "y"]),
            "t": [datetime.date(2026, 1, 1), datetime.date(2026, 1, 2)],
        }
    )
    table.to_parquet(tmp_path / "d.parquet")
    types = {name: TYPES[name] for name in table.columns}
    found = read_for(tmp_path / "d.parquet", "d.parquet", types)
    assert (found["n"].dtype, found["f"].dtype, found["t"].dtype) == ("int32", "float32", "datetime64[ns]")
    assert list(found["b"]) == [True, False] and list(found["s"]) == ["x", "y"]
    assert len(enforced(found, types)) == 2


def enforced(table: pandas.DataFrame, types: dict[str, str]) -> pandas.DataFrame:
    """What MLflow makes of the table, as it does with a request."""
    from mlflow.models.utils import _enforce_schema
    from mlflow.types import ColSpec, Schema

    return _enforce_schema(table, Schema([ColSpec(kind, name) for name, kind in types.items()]))


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_gap_is_what_a_request_with_null_gets(tmp_path: Path, form: str) -> None:
    from mlflow.pyfunc.scoring_server import infer_and_parse_data
    from mlflow.types import ColSpec, Schema

    columns = {
        "b": [True, None, False],
        "d": [1.5, None, 2],
        "s": ["NA", None, "x"],
        "t": ["2026-01-01", None, "2026-01-02"],
    }
    types = {name: TYPES[name] for name in columns}
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    schema = Schema([ColSpec(kind, name) for name, kind in types.items()])
    asked = infer_and_parse_data({"dataframe_split": {"columns": list(columns), "data": rows}}, schema)
    made, path = pandas.DataFrame(columns), tmp_path / f"d.{form}"
    if form == "csv":
        made.to_csv(path, index=False)
    elif form == "jsonl":
        made.to_json(path, orient="records", lines=True)
    else:
        made.to_parquet(path)
    found = enforced(read_for(path, path.name, types), types)
    pandas.testing.assert_frame_equal(found, enforced(asked, types), check_dtype=False)
    assert found["b"].dtype == bool == asked["b"].dtype and found["t"].dtype == asked["t"].dtype


def test_a_word_is_a_gap_among_numbers_and_a_word_among_words(tmp_path: Path) -> None:
    found = table(tmp_path, "country,delay\nNA,1\nnull,NA\nFR,\n,2\n", {})
    assert list(found["country"][:3]) == ["NA", "null", "FR"] and found["country"].isna().tolist() == [False] * 3 + [
        True
    ]
    assert found["delay"].isna().tolist() == [False, True, True, False]


@pytest.mark.parametrize("whole", [2**53 + 1, -(2**63), 2**63 - 1])
def test_large_whole_numbers_survive(tmp_path: Path, whole: int) -> None:
    assert table(tmp_path, f"l\n{whole}\n", {"l": "long"})["l"][0] == whole
    (tmp_path / "d.jsonl").write_text(f'{{"l": {whole}}}\n')
    assert read(tmp_path / "d.jsonl", "d.jsonl")["l"][0] == whole


def mixed(count: int = 40) -> pandas.DataFrame:
    generator = np.random.default_rng(3)
    made = pandas.DataFrame({"x": generator.normal(size=count).round(6), "n": generator.integers(0, 9, count)})
    return made.assign(word=generator.choice(["NA", "ü", "a,b", "007"], count), part=np.arange(count) % 2)


WRITERS = {
    "d.parquet": lambda table, path: table.to_parquet(path),
    "d.csv": lambda table, path: table.to_csv(path, index=False),
    "d.csv.gz": lambda table, path: table.to_csv(path, index=False),
    "d.feather": lambda table, path: table.to_feather(path),
    "d.jsonl": lambda table, path: table.to_json(path, orient="records", lines=True),
    "d.jsonl.gz": lambda table, path: table.to_json(path, orient="records", lines=True),
    "parts": lambda table, path: table.to_parquet(path, partition_cols=["part"]),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_holds_the_same_rows(tmp_path: Path, name: str) -> None:
    WRITERS[name](mixed(), tmp_path / name)
    types = {"x": "double", "n": "long", "word": "string", "part": "long"}
    found = read_for(tmp_path / name, name, types)[list(types)].sort_values(["x"], ignore_index=True)
    expected = mixed()[list(types)].sort_values(["x"], ignore_index=True)
    pandas.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=1e-12)
    together = pandas.concat(list(batches(tmp_path / name, name)))
    assert len(together) == len(expected) and sorted(together["word"]) == sorted(expected["word"])


def test_directories_above_a_file_are_no_columns_of_it(tmp_path: Path) -> None:
    file = tmp_path / "env=prod/t.parquet"
    file.parent.mkdir()
    pandas.DataFrame({"a": [1]}).to_parquet(file)
    assert [list(each.columns) for each in (read(file, "t"), *batches(file, "t"))] == [["a"], ["a"]]
    assert [list(each.columns) for each in batches(tmp_path, "t")] == [["a", "env"]], "those in a directory are"


def test_what_cannot_be_told_apart_or_read_is_named(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    (tmp_path / "twice.csv").write_text("x,y,x,x\n1,2,3,4\n")
    parquet.write_table(pyarrow.table([[1], [2]], names=["ü", "ü"]), tmp_path / "twice.parquet")
    (tmp_path / "empty").mkdir()
    (tmp_path / "nothing.csv").write_text("")
    (tmp_path / "cut.csv.gz").write_bytes(b"\x1f\x8b\x08")
    for name, words in {
        "twice.csv": "more than one column 'x'",
        "twice.parquet": "more than one column 'ü'",
        "empty": "no .parquet file",
        "nothing.csv": "cannot be read",
        "cut.csv.gz": "cannot be read",
    }.items():
        for reading in (read, lambda path, shown: list(batches(path, shown))):
            with pytest.raises(Unmeasurable, match=words):
                reading(tmp_path / name, name)


def test_the_reason_of_an_error_is_what_matters_of_it() -> None:
    text = (
        "Failed to enforce schema of data '  n\n0 1' with schema '[n: integer]'. Error: Can not convert int64 to int32."
    )
    assert reason(ValueError(text)) == "Can not convert int64 to int32."
    assert reason(ValueError("")) == "no message" and reason(ValueError("a\nb")) == "a b"
    long = reason(ValueError(f"begin {'x ' * 1000} the end"))
    assert long.startswith("begin") and long.endswith("the end") and len(long) < 420


def test_an_errors_sentences_have_one_full_stop_each() -> None:
    for message in ("metrics.py failed: ValueError: not aligned.", "metrics.py failed: ValueError: not aligned"):
        assert told(PodiumError(message, hint="call it yourself")) == f"{message.rstrip('.')}. Call it yourself."
    assert told(PodiumError("it is not there.")) == "it is not there."
