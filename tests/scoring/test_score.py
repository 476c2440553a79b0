"""Batch scoring: right answers in the right order, what made them, and nothing that is half done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from podium.core.domain.project import Project
from podium.core.errors import NotFound, PodiumError, Refused, UsageError
from podium.core.registry import open_registry
from podium.core.scoring.directory import MANIFEST, WORK, OutputDirectory
from podium.core.scoring.reading import BATCH_ROWS, batches

from tests.scoring.conftest import Score, digest_of
from tests.support import bytes_read

Rows = Callable[..., pd.DataFrame]


def read(directory: Path) -> pd.DataFrame:
    """As any other program would read them."""
    files = sorted(directory.glob("part-*.parquet")) or sorted(directory.glob("part-*.csv"))
    reader = pd.read_parquet if files[0].suffix == ".parquet" else pd.read_csv
    return pd.concat([reader(file) for file in files], ignore_index=True)


def test_every_row_is_predicted_once_and_in_order_across_row_groups(scored: Score, rows: Rows, tmp_path: Path) -> None:
    table = rows(number=1000)
    done = scored(part_rows="170", parallel="2")
    found = read(tmp_path / "out")
    pd.testing.assert_frame_equal(found, table.assign(prediction=table["x"] * 2))
    assert (done["rows"], done["parts"], done["kept_parts"], done["version"]) == (1000, 6, 0, 2)
    assert not (tmp_path / "out" / WORK).exists()


def test_the_parts_say_what_made_them(scored: Score, rows: Rows, project: Project, tmp_path: Path) -> None:
    rows(number=400)
    scored(part_rows="300", version="1")
    source = f"sha256:{hashlib.sha256((tmp_path / 'rows.parquet').read_bytes()).hexdigest()}"
    said = pq.read_schema(tmp_path / "out/part-00002.parquet").metadata
    wanted = {
        "model": "flights", "version": "1", "model_digest": digest_of(project, 1), "input": "rows.parquet",
        "input_digest": source, "input_rows": "300-400",
    }  # fmt: skip
    assert {key: said[f"podium.{key}".encode()].decode() for key in wanted} == wanted
    manifest = json.loads((tmp_path / "out" / MANIFEST).read_text())
    assert manifest["rows"] == 400 and manifest["version"] == 1 and manifest["inputs"][0]["digest"] == source
    for part in manifest["parts"]:
        content = (tmp_path / "out" / part["file"]).read_bytes()
        assert part["sha256"] == f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_a_csv_has_it_in_a_file_beside_each_part(scored: Score, rows: Rows, project: Project, tmp_path: Path) -> None:
    rows("rows.csv", 500)
    done = scored("rows.csv", part_rows="100")
    assert done["parts"] > 2
    beside = json.loads((tmp_path / "out/part-00001.csv.json").read_text())
    assert beside["model_digest"] == digest_of(project, 2) and beside["input_bytes"].startswith("10-")
    part = (tmp_path / "out/part-00001.csv").read_bytes()
    assert beside["sha256"] == f"sha256:{hashlib.sha256(part).hexdigest()}"
    assert read(tmp_path / "out")["prediction"].tolist() == [2.0 * number for number in range(500)]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_csv_with_line_ends_quotes_and_zeros_in_its_cells_is_cut_between_rows(
    scored: Score, tmp_path: Path, mark: str
) -> None:
    words = ["plain", 'a "quoted" one', "two\nlines", "a, b", "007", "NA", "None", "ümlaut"]
    table = pd.DataFrame({"word": words * 40, "code": ["007", "0"] * 160, "x": [0.5 * each for each in range(320)]})
    (tmp_path / "rows.csv").write_text(mark + table.to_csv(index=False), encoding="utf-8")
    done = scored("rows.csv", part_rows="20", parallel="2")
    assert done["rows"] == 320 and done["parts"] > 4
    files = sorted((tmp_path / "out").glob("part-*.csv"))
    found = pd.concat([pd.read_csv(file, dtype={"code": str, "word": str}, keep_default_na=False) for file in files])
    assert found["word"].tolist() == words * 40 and found["code"].tolist() == ["007", "0"] * 160
    assert found["prediction"].tolist() == [1.0 * each for each in range(320)]


def test_a_mark_in_the_middle_of_a_cell_is_no_quote(scored: Score, tmp_path: Path) -> None:
    lines = [f'{number},5" nail' for number in range(300)]
    (tmp_path / "rows.csv").write_text("\n".join(["x,word", *lines]))
    assert scored("rows.csv", part_rows="50")["rows"] == 300
    assert read(tmp_path / "out")["prediction"].tolist() == [2.0 * each for each in range(300)]


def test_a_directory_is_scored_in_the_order_of_its_names(scored: Score, rows: Rows, tmp_path: Path) -> None:
    rows("in/b/2.parquet", 10, id=range(100, 110))
    rows("in/a.parquet", 10)
    rows("in/_hidden.parquet", 10)
    done = scored("in")
    assert read(tmp_path / "out")["id"].tolist() == [*range(10), *range(100, 110)]
    assert (done["rows"], done["parts"]) == (20, 2)


def test_kept_columns_keep_their_types(scored: Score, rows: Rows, tmp_path: Path) -> None:
    times = pd.to_datetime(["2013-01-01T00:00:01.000002"] * 30)
    rows(number=30, at=times, kind=pd.Categorical(["k"] * 30))
    scored(keep=json.dumps(["at", "kind"]))
    found = pq.read_table(tmp_path / "out/part-00001.parquet")
    assert found.column_names == ["at", "kind", "prediction"]
    assert found.schema.field("at").type == pq.read_schema(tmp_path / "rows.parquet").field("at").type


def test_the_same_again_keeps_all_parts_and_another_version_replaces_them(
    scored: Score, rows: Rows, tmp_path: Path
) -> None:
    rows(number=100)
    first = scored(part_rows="30")
    assert (first["parts"], first["kept_parts"]) == (4, 0)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("part-*")}
    assert scored(part_rows="30", parallel="3")["kept_parts"] == 4
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("part-*")} == before
    assert scored(part_rows="60", version="1")["kept_parts"] == 0
    found = read(tmp_path / "out")
    assert found["prediction"].tolist() == found["x"].tolist()
    assert len(list((tmp_path / "out").glob("part-*"))) == 2, "the others are gone"


def test_a_part_that_was_changed_is_done_again(scored: Score, rows: Rows, tmp_path: Path) -> None:
    table = rows(number=100)
    scored(part_rows="30")
    (tmp_path / "out/part-00002.parquet").write_bytes(b"PAR1 something else")
    (tmp_path / "out/part-00003.parquet").unlink()
    assert scored(part_rows="30")["kept_parts"] == 2
    assert read(tmp_path / "out")["prediction"].tolist() == (table["x"] * 2).tolist()


def test_what_a_scoring_that_was_given_up_has_left_takes_nobodys_place(
    scored: Score, rows: Rows, tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    table = rows(number=60, word=["a"] * 40 + [str(flag)] * 20)
    scored(part_rows="30", version="1")
    flag.touch()
    with pytest.raises(PodiumError, match="a bad word"):
        scored(part_rows="30", parallel="1", version="2")
    assert (tmp_path / "out" / WORK / "part-00001.parquet").exists()
    assert scored(part_rows="30", version="1")["kept_parts"] == 2
    assert read(tmp_path / "out")["prediction"].tolist() == table["x"].tolist()


def test_input_that_changed_is_scored_anew(scored: Score, rows: Rows, tmp_path: Path) -> None:
    rows(number=60)
    scored(part_rows="30")
    rows(number=60, x=[1.0] * 60)
    assert scored(part_rows="30")["kept_parts"] == 0
    assert set(read(tmp_path / "out")["prediction"]) == {2.0}


def test_after_a_failure_the_finished_parts_are_kept_and_none_is_shown(
    scored: Score, rows: Rows, tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    flag.touch()
    table = rows(number=90, word=["a"] * 80 + [str(flag)] * 10)
    with pytest.raises(PodiumError, match=r"version 2 failed to predict: ValueError: a bad word \(part 3 of rows"):
        scored(part_rows="30", parallel="1")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [WORK]
    flag.unlink()
    assert scored(part_rows="30", parallel="2")["kept_parts"] == 2
    assert read(tmp_path / "out")["prediction"].tolist() == (table["x"] * 2).tolist()


def test_a_model_that_ends_its_process_is_told(scored: Score, rows: Rows) -> None:
    rows(number=20, word="fatal")
    with pytest.raises(PodiumError, match=r"its process was ended by the signal SIGKILL.*memory"):
        scored()


@pytest.mark.parametrize(
    ("table", "words", "hint"),
    [
        ({"id": [1], "y": [2.0]}, "rows.parquet lacks the columns 'x', 'word', which version 2 needs", "'id', 'y'"),
        ({"x": ["many"], "word": ["a"]}, "column 'x' of rows.parquet holds .*, but the model's signature says double",
         "Correct the column"),
        ({"x": [1.0], "word": ["a"], "prediction": [1]}, "it answers a column 'prediction', which the rows have, too",
         "--keep"),
    ],
)  # fmt: skip
def test_rows_that_the_version_cannot_be_asked_about(
    scored: Score, tmp_path: Path, table: dict[str, Any], words: str, hint: str
) -> None:
    pd.DataFrame(table).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(PodiumError, match=words) as caught:
        scored()
    assert hint in caught.value.hint


def test_what_cannot_be_scored_is_told_before_anything_is_loaded(scored: Score, rows: Rows, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no"):
        scored("nothing.parquet")
    (tmp_path / "rows.csv.gz").write_text("")
    with pytest.raises(UsageError, match=r"neither \.parquet nor \.csv") as caught:
        scored("rows.csv.gz")
    assert "uncompress" in caught.value.hint
    rows("mixed/a.parquet", 1), rows("mixed/a.csv", 1)
    with pytest.raises(UsageError, match="both Parquet and CSV"):
        scored("mixed")
    with pytest.raises(UsageError, match="below"):
        scored("mixed", "mixed/out")
    rows("other/part-00001.parquet", 1)
    with pytest.raises(UsageError, match="its predictions would take its place"):
        scored("other/part-00001.parquet", "other")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1")
    with pytest.raises(UsageError, match=r"cut\.parquet cannot be read"):
        scored("cut.parquet")
    rows("empty.parquet", 0)
    with pytest.raises(UsageError, match="no rows"):
        scored("empty.parquet")
    rows()
    with pytest.raises(UsageError, match="lacks the column 'nosuch', which version 2 is to keep"):
        scored(keep='["nosuch"]')
    with pytest.raises(NotFound, match="nothing was deployed to staging"):
        scored(environment="staging")


def test_files_of_others_stay_and_two_scorings_do_not_meet(scored: Score, rows: Rows, tmp_path: Path) -> None:
    rows(number=5)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"files that no scoring wrote: notes.txt"):
        scored()
    assert (tmp_path / "out/notes.txt").read_text() == "mine"
    with OutputDirectory(tmp_path / "other"), pytest.raises(Refused, match="another scoring writes to"):
        scored(output="other")


def test_what_a_kill_left_of_the_manifest_is_nobodys_file(tmp_path: Path) -> None:
    (tmp_path / f".{MANIFEST}.4711.0a1b2c3d").touch()
    with OutputDirectory(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [WORK]


def test_a_manifest_that_names_paths_outside_removes_nothing(scored: Score, rows: Rows, tmp_path: Path) -> None:
    rows(number=5)
    (tmp_path / "mine.parquet").write_text("mine")
    (tmp_path / "out").mkdir()
    bad = {"key": "k", "file": "../mine.parquet", "rows": 1, "sha256": "x", "columns": []}
    (tmp_path / "out" / MANIFEST).write_text(json.dumps({"parts": [bad, None, {"file": 3}]}))
    scored()
    assert (tmp_path / "mine.parquet").read_text() == "mine"


def test_a_part_reads_its_own_row_groups_and_some_rows_at_a_time(tmp_path: Path) -> None:
    number = 200_000
    table = pd.DataFrame({"x": np.random.default_rng(1).normal(size=number), "word": "a"})
    path = tmp_path / "rows.parquet"
    table.to_parquet(path, row_group_size=number // 10)
    before = bytes_read()
    found = list(
        batches(path, "parquet", (50_000, 90_000), names=[], shown="rows", asked=["x"], types={"x": "double"}, kept=[])
    )
    read_bytes = bytes_read() - before
    asked = pd.concat([batch[1] for batch in found])
    assert asked["x"].tolist() == table["x"][50_000:90_000].tolist()
    assert max(len(batch[1]) for batch in found) <= BATCH_ROWS
    assert read_bytes < path.stat().st_size * 0.4, "three of ten row groups"


def test_a_version_of_another_model_is_scored_by_its_name(
    scored: Score, rows: Rows, project: Project, tmp_path: Path
) -> None:
    """Version 1 of `fraud` is what version 2 of the project's model is: twice `x`."""
    rows(number=4)
    registry = open_registry(project.mlflow, project.state)
    try:
        run = registry.version(project.mlflow.model, 2).mlflow_run
        assert registry.register("fraud", run, tags={}).version == 1
    finally:
        registry.close()
    found = scored(model="fraud", version="1")
    assert (found["model"], found["version"]) == ("fraud", 1)
    assert list(pd.read_parquet(tmp_path / "out" / "part-00001.parquet")["prediction"]) == [0.0, 2.0, 4.0, 6.0]
