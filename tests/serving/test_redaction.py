"""What must not be kept is not kept; where that cannot be told, nothing is."""

from __future__ import annotations

import json

import pytest
from podium.core.serving.redaction import Keys, Redaction, kept_key

JSON = "application/json"
SECRET = "anna@example.com"
KEPT = [
    ({"dataframe_split": {"columns": ["a", "email"], "index": [0], "data": [[1, SECRET]]}},
     {"dataframe_split": {"columns": ["a"], "data": [[1]]}}),
    ({"dataframe_records": [{"a": 1, "email": SECRET}, {"a": 2}]}, {"dataframe_records": [{"a": 1}, {"a": 2}]}),
    ({"inputs": {"a": [1, 2], "email": [SECRET, None]}}, {"inputs": {"a": [1, 2]}}),
    ({"instances": [{"a": 1, "email": SECRET}]}, {"instances": [{"a": 1}]}),
    ({"dataframe_records": [{"a": 1}], "params": {"t": SECRET}, "email": SECRET}, {"dataframe_records": [{"a": 1}]}),
]  # fmt: skip


@pytest.mark.parametrize(("given", "kept"), KEPT)
def test_columns_are_left_out_of_every_form(given: object, kept: object) -> None:
    found = Redaction(["email"]).request(json.dumps(given).encode(), JSON)
    assert found is not None and json.loads(found.body) == kept and SECRET not in found.body


def test_it_is_said_which_columns_were_there() -> None:
    redaction = Redaction(["email", "name"])
    found = redaction.request(json.dumps({"dataframe_records": [{"a": 1, "email": SECRET}]}).encode(), JSON)
    none = redaction.request(b'{"dataframe_records": [{"a": 1}]}', JSON)
    assert found is not None and found.columns == ("email",) and none is not None and none.columns == ()


def test_a_column_of_a_csv_is_left_out() -> None:
    found = Redaction(["email"]).request(f'a,email,b\n1,"{SECRET}",2\n'.encode(), "text/csv; charset=utf-8")
    assert found is not None and (found.body, found.columns) == ("a,b\n1,2\n", ("email",))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (json.dumps({"inputs": [[1, SECRET]]}), JSON),
        (json.dumps({"dataframe_split": {"data": [[1, SECRET]]}}), JSON),
        (json.dumps({"dataframe_split": {"columns": ["a"], "data": [[1, SECRET]]}}), JSON),
        (json.dumps({"email": SECRET}), JSON),
        (json.dumps([{"email": SECRET}]), JSON),
        ("{", JSON),
        ("[" * 5000, JSON),
        ("a,email\n1\n", "text/csv"),
        (json.dumps({"dataframe_records": [{"email": SECRET}]}), "application/x-parquet"),
        (json.dumps({"dataframe_records": [{"email": SECRET}]}), None),
    ],
)
def test_where_it_cannot_be_told_nothing_is_kept(body: str, kind: str | None) -> None:
    assert Redaction(["email"]).request(body.encode(), kind) is None


def test_predictions_of_that_name_are_left_out() -> None:
    redaction = Redaction(["email"])
    answer = json.dumps({"predictions": [{"email": SECRET, "score": 1}]}).encode()
    assert json.loads(redaction.answer(answer)) == {"predictions": [{"score": 1}]}
    assert redaction.answer(b'{"predictions": [1]}') == b'{"predictions": [1]}'


def test_keys_are_texts_of_each_row() -> None:
    rows = [{"k": "007"}, {"k": 7}, {"k": 7.0}, {"k": 1.5}, {"k": True}, {"k": None}, {}, {"k": [1]}, {"k": "x" * 600}]
    found = Keys("k").of(json.dumps({"dataframe_records": rows}).encode(), JSON)
    assert json.loads(found) == ["007", "7", "7", "1.5", "true", "", "", "", ""]
    assert Keys("k").of(b"k,a\n007,1\n", "text/csv") == b'["007"]'
    assert Keys("k").of(b'{"inputs": [[1]]}', JSON) == Keys("k").of(b"{", JSON) == b""


def test_a_salted_key_is_a_digest_that_only_the_salt_repeats() -> None:
    one, other = kept_key("anna", "salt"), kept_key("anna", "another")
    assert one == kept_key("anna", "salt") != other and len(one) == 32 and "anna" not in one
