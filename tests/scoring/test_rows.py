"""Rows as they are read and written: what the model is asked, and the same cells again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from podium.core.quality.metrics import Unmeasurable
from podium.core.scoring.reading import batches
from podium.core.scoring.sources import SourceFile, files_of, parts_of
from podium.core.scoring.writing import writer

TYPES = {"x": "double", "word": "string"}


def csv_file(tmp_path: Path, text: str) -> SourceFile:
    (tmp_path / "rows.csv").write_bytes(text.encode())
    return files_of(tmp_path / "rows.csv", tmp_path / "out")[0]


def asked(file: SourceFile, kept: Sequence[str], part_rows: int | None = None) -> tuple[list[str], list[Any], int]:
    """Returns the texts that are kept of all rows, what the model is asked of each, and the number of parts."""
    texts: list[str] = []
    values: list[Any] = []
    parts = parts_of([file], part_rows)
    for part in parts:
        span = (part.first, part.end)
        for rows, table in batches(
            file.path, "csv", span, names=file.columns, shown="rows", asked=["x", "word"], types=TYPES, kept=kept
        ):
            texts += rows
            values += table[["x", "word"]].astype(object).to_numpy().tolist()
    return texts, values, len(parts)


@pytest.mark.parametrize("quoted", ["plain", '"a, b"'])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_cells_come_out_as_they_came_in(tmp_path: Path, quoted: str, end: str) -> None:
    lines = [",x,word,code", f"0,1.50,{quoted},007", "1,,b,1e3", "", f"2,3,{quoted},", ""]
    file = csv_file(tmp_path, end.join(lines))
    texts, values, _ = asked(file, file.columns)
    assert texts == [lines[1], lines[2], lines[4]]
    word = quoted.strip('"')
    assert [row[1] for row in values] == [word, "b", word]
    assert [row[0] for row in values][::2] == [1.5, 3.0] and np.isnan(values[1][0])
    assert asked(file, ["code", "word"])[0] == [f"007,{quoted}", "1e3,b", f",{quoted}"]
    assert asked(file, [])[0] == ["", "", ""]


@pytest.mark.parametrize("rows", ["7,1,a,9\n8,2,b,9\n", "7,1,a\n8,2,hello, world\n"])
def test_a_row_with_more_cells_than_the_file_has_columns_is_refused(tmp_path: Path, rows: str) -> None:
    file = csv_file(tmp_path, f"id,x,word\n{rows}")
    with pytest.raises(Unmeasurable, match="a row has 4 cells, and the file has 3 columns") as caught:
        asked(file, ["id"])
    assert "Quote" in caught.value.hint


def test_cells_that_are_left_out_at_the_end_of_a_row_are_empty(tmp_path: Path) -> None:
    texts, values, _ = asked(csv_file(tmp_path, "id,x,word\n7,1,a\n8,2\n9,3,c,\n"), ["id", "word"])
    assert texts == ["7,a", "8,", "9,c"] and [row[0] for row in values] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("first", ["7,1,a", '7,1,"a"'])
def test_empty_lines_are_no_rows_and_no_parts(tmp_path: Path, first: str) -> None:
    file = csv_file(tmp_path, "id,x,word\n" + f"{first}\n" * 20 + "\n" * 400)
    texts, _, parts = asked(file, ["id"], 10)
    assert texts == ["7"] * 20 and parts <= 20, "each part has rows"


def test_what_pandas_has_as_its_index_is_a_column_for_a_version_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pd.DataFrame({"x": [1.0, 2.0], "word": ["a", "b"]}).set_index("x").to_parquet(path)
    options: dict[str, Any] = {"names": (), "shown": "rows", "asked": ["x", "word"], "kept": ["word"]}
    ((_, table),) = batches(path, "parquet", (0, 2), types=TYPES, **options)
    assert table["x"].tolist() == [1.0, 2.0]
    ((_, table),) = batches(path, "parquet", (0, 2), types={}, **options)
    assert list(table.columns) == ["word"], "as pandas itself reads it"


def test_answers_are_written_behind_the_cells(tmp_path: Path) -> None:
    words = np.array(["a", 'b "c"\nd', None], dtype=object)
    for kept in (["id"], []):
        with writer("csv", tmp_path / "part.csv", {}, kept) as made:
            made.add(["7", '"8, 9"', "10"] if kept else ["", "", ""], {"first": np.array([1.0, 2.5, np.nan])})
            made.add(["7", '"8, 9"', "10"] if kept else ["", "", ""], {"first": words})
        found = pd.read_csv(tmp_path / "part.csv", keep_default_na=False)
        assert found["first"].tolist() == ["1.0", "2.5", "", "a", 'b "c"\nd', ""]
        assert not kept or found["id"].tolist() == ["7", "8, 9", "10"] * 2


def kept_of(number: int) -> Any:
    return pa.RecordBatch.from_pydict({"id": list(range(number))})


def test_answers_that_are_missing_at_first_have_the_type_of_the_signature(tmp_path: Path) -> None:
    path, nothing = tmp_path / "part.parquet", np.array([np.nan, np.nan])
    words = np.array(["a", None], dtype=object)
    with writer("parquet", path, {}, ["id"], ["string", "double"]) as made:
        made.add(kept_of(2), {"word": nothing, "share": np.array([1, 2])})
        made.add(kept_of(2), {"word": words, "share": np.array([0.5, 1.0])})
        made.add(kept_of(2), {"word": nothing, "share": nothing})
    found = pq.read_table(path).to_pydict()
    assert found["word"] == [None, None, "a", None, None, None]
    assert found["share"] == [1.0, 2.0, 0.5, 1.0, None, None]


def test_answers_of_other_types_than_before_are_told(tmp_path: Path) -> None:
    with (
        pytest.raises(Unmeasurable, match="other types to some rows than to those before") as caught,
        writer("parquet", tmp_path / "part.parquet", {}, ["id"]) as made,
    ):
        made.add(kept_of(2), {"word": np.array([np.nan, np.nan])})
        made.add(kept_of(2), {"word": np.array(["a", "b"], dtype=object)})
    assert "signature" in caught.value.hint and not (tmp_path / "part.parquet").exists()
