"""Labels from files."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from podium.core.config import load
from podium.core.domain.labels import AddedLabels, LabelTable, NewLabel
from podium.core.errors import UsageError
from podium.core.labels.imported import add_file
from podium.core.labels.importing import read

Write = Callable[..., Path]
BY_ID = LabelTable("truth", id="request_id")


@pytest.fixture
def csv(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        path = tmp_path / "truth.csv"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


@pytest.fixture
def table(tmp_path: Path) -> Write:
    def write(**columns: Any) -> Path:
        parquet.write_table(pa.table(columns), tmp_path / "truth.parquet")
        return tmp_path / "truth.parquet"

    return write


def test_ids_stay_text_and_labels_get_their_type(csv: Write) -> None:
    file = csv("request_id,truth,other\n007,1,x\nä b,0,y\n1e3,,z\n")
    assert list(read(file, BY_ID)) == [NewLabel(1, "007"), NewLabel(0, "ä b")]
    words = csv("request_id,truth\na,NA\nb,late\n")
    assert [each.value for each in read(words, BY_ID)] == ["NA", "late"]


def test_types_of_parquet_are_those_of_json(table: Write) -> None:
    when = datetime.datetime(2013, 9, 1, 12, tzinfo=datetime.UTC)
    for given, value in (
        ([Decimal("1.50")], 1.5),
        ([Decimal("3.00")], 3),
        ([when], "2013-09-01T12:00:00+00:00"),
        ([True], True),
        ([["a", "b"]], ["a", "b"]),
        ([b"late"], "late"),
    ):
        assert [each.value for each in read(table(request_id=[7], truth=given), BY_ID)] == [value]
    gaps = table(request_id=["a", "b", "c"], truth=[1.0, float("nan"), None])
    assert list(read(gaps, BY_ID)) == [NewLabel(1.0, "a")]


def test_rows_without_a_label_are_counted(csv: Write, state: Path) -> None:
    file = csv("request_id,truth\na,1\nb,\nc,\nd,0\n")
    (state.parent / "podium.yaml").write_text("project: shop\nenvironments: {production: {}}\n")
    project = load(state.parent, environ={})
    added = add_file(project, project.environments["production"], file, BY_ID, source="test")
    assert added == AddedLabels(waiting=2, skipped=2)
    assert added.plus(added).skipped == 4


def test_keys_rows_and_times(csv: Write) -> None:
    file = csv("flight,truth,landed,line\nUA 7,1,2013-09-01T12:00:00Z,0\nUA 8,0,,2\n")
    first, second = read(file, LabelTable("truth", key="flight", at="landed", row="line"))
    assert (first.key, first.id, first.row, first.at) == ("UA 7", None, 0, 1378036800.0)
    assert (second.row, second.at) == (2, None)
    (hidden, _) = read(file, LabelTable("truth", key="flight"), "salt")
    assert hidden.key and "UA" not in hidden.key
    numbers = csv("flight,truth,landed\nUA 7,1,1378036800.5\n")
    assert [each.at for each in read(numbers, LabelTable("truth", key="flight", at="landed"))] == [1378036800.5]


@pytest.mark.parametrize("said", ["01/09/2013", "1378036800000", "2013-09-01 12:00:00 UTC", "yesterday"])
def test_a_time_that_is_none_is_said(csv: Write, said: str) -> None:
    file = csv(f"request_id,truth,landed\na,1,\nb,1,{said}\n")
    with pytest.raises(UsageError, match=r"'landed' .* is no time"):
        list(read(file, LabelTable("truth", id="request_id", at="landed")))


def test_a_mark_of_the_byte_order_is_no_part_of_a_name(csv: Write) -> None:
    assert list(read(csv("\ufeffrequest_id,truth\r\na,1\r\n"), BY_ID)) == [NewLabel(1, "a")]


def test_a_column_of_rows_with_gaps_is_one_of_rows(table: Write) -> None:
    file = table(request_id=["a", "b", "c"], truth=[1, 2, 3], line=[2.0, float("nan"), 0.5])
    assert [each.row for each in read(file, LabelTable("truth", id="request_id", row="line"))] == [2, None, -1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cannot be read"),
        ("a,b\n1,2\n", "no column 'truth'"),
        ("request_id,truth,truth\n1,2,3\n", "several columns 'truth'"),
        ("request_id,truth\n1,2,3\n", "cannot be read"),
        ("request_id;truth\n1;2\n", "no column 'truth'"),
        ("request_id,truth\na,1\n".encode("utf-16"), "cannot be read"),
    ],
)
def test_what_is_no_table_of_labels_is_said(csv: Write, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        list(read(csv(text), BY_ID))


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "truth.parquet").write_bytes(b"PAR1 no")
    for name, words in (
        ("truth.parquet", "cannot be read"),
        ("truth.xlsx", "no table"),
        ("gone.csv", "there is no file"),
    ):
        with pytest.raises(UsageError, match=words):
            list(read(tmp_path / name, BY_ID))
