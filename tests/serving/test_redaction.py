"""What must not be kept is not kept; where that cannot be told, nothing is."""

from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from podium.core.domain import column_names
from podium.core.domain.column_names import NeverKept
from podium.core.serving import redaction as of_replicas
from podium.core.serving.forms import rows_of
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


# Ways to write the name of the column `email`, for a person the same.
SPELLINGS = [
    "email",
    " email",
    "email ",
    "Email",
    "EMAIL",
    "\ufeffemail",
    '"email"',
    " 'email' ",
    "\u00a0email\t",
    "ｅmail",
    "`eMail`",
]
# Requests in which a name stands at each place where it can.
PLACES = {
    "split": lambda name: {"dataframe_split": {"columns": ["a", name], "data": [[1, SECRET]]}},
    "in a cell of split": lambda name: {"dataframe_split": {"columns": ["a"], "data": [[{"x": [{name: SECRET}]}]]}},
    "records": lambda name: {"dataframe_records": [{"a": 1, name: SECRET}]},
    "in a cell of records": lambda name: {"dataframe_records": [{"a": {"b": [[{name: SECRET}], 1]}}]},
    "inputs of rows": lambda name: {"inputs": [{"a": 1, "person": {name: SECRET, "age": 7}}]},
    "inputs of columns": lambda name: {"inputs": {"a": [1], name: [SECRET]}},
    "in inputs of columns": lambda name: {"inputs": {"a": [{name: SECRET}]}},
    "instances": lambda name: {"instances": [{"a": 1, name: SECRET}]},
    "in instances": lambda name: {"instances": [{"a": {name: {"deep": SECRET}}}]},
    "instances of columns": lambda name: {"instances": {"a": [1], "person": {"x": {name: [SECRET]}}}},
}  # fmt: skip


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("place", PLACES)
def test_a_column_is_left_out_however_and_wherever_its_name_is_written(place: str, name: str) -> None:
    for kind in (JSON, "Application/JSON; charset=utf-8"):
        for body in (json.dumps(PLACES[place](name)), "\ufeff" + json.dumps(PLACES[place](name), ensure_ascii=False)):
            found = Redaction(["email"]).request(body.encode(), kind)
            assert found is not None and SECRET not in found.body and found.columns == ("email",), found
            assert '"a"' in found.body or "person" in found.body, "what is beside it stays"


def test_what_only_has_the_name_in_its_own_stays() -> None:
    rows = [{"email_kind": 1, "emails": 2, "e mail": 3, "contact": "email", "mail": {"kind": "email"}}]
    found = Redaction(["email"]).request(json.dumps({"inputs": rows}).encode(), JSON)
    assert found is not None and json.loads(found.body) == {"inputs": rows} and found.columns == ()


def test_names_of_the_environment_are_read_in_the_same_way() -> None:
    found = Redaction([" E-Mail ", "GRÖSSE"]).request(
        b'{"inputs": [{"e-mail": 1, "gr\xc3\xb6\xc3\x9fe": 2, "a": 3}]}', JSON
    )
    assert found is not None and json.loads(found.body) == {"inputs": [{"a": 3}]}
    assert found.columns == (" E-Mail ", "GRÖSSE"), "as podium.yaml writes them"


@pytest.mark.parametrize("name", [name for name in SPELLINGS if '"' not in name])
def test_a_column_of_a_csv_is_left_out_however_its_name_is_written(name: str) -> None:
    for text in (
        f"{name},a\n{SECRET},7\n",
        f"\ufeff{name},a\n{SECRET},7\n",
        f'\ufeff"{name}",a\r\n"{SECRET}",7\r\n',
        f" \n\n{name},a\n{SECRET},7",
    ):
        found = Redaction(["email"]).request(text.encode(), "text/csv")
        assert found is not None and (found.body, found.columns) == ("a\n7\n", ("email",)), text


def test_a_mark_at_the_beginning_is_no_part_of_a_name() -> None:
    """pandas, by which MLflow reads CSV, leaves it out: the model gets the column."""
    body = "\ufeffssn,age\n123-45,7\n"
    found = Redaction(["ssn"]).request(body.encode(), "text/csv")
    assert found is not None and (found.body, found.columns) == ("age\n7\n", ("ssn",))
    assert list(pd.read_csv(io.StringIO(body)).columns) == ["ssn", "age"]
    for each in (body, body.encode()):
        table = rows_of(each, "text/csv")
        assert table is not None and table.columns == ("ssn", "age")
    table = rows_of('\ufeff{"inputs": [{"ssn": 1}]}', JSON)
    assert table is not None and table.columns == ("ssn",)
    assert Keys("ssn").of(body.encode(), "text/csv") == b'["123-45"]'


def test_the_same_rows_are_read_as_pandas_reads_them() -> None:
    body = " \n\t\na,b\n1,2\n  \n3,4\n"
    table = rows_of(body, "text/csv")
    assert table is not None and table.columns == ("a", "b") and table.rows == ((1, 2), (3, 4))
    assert pd.read_csv(io.StringIO(body)).to_numpy().tolist() == [[1, 2], [3, 4]]


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
        (f"a;email\n1;{SECRET}\n", "text/csv"),
        (f"a\temail\n1\t{SECRET}\n", "text/csv"),
        (f'"a,email"\n"1,{SECRET}"\n', "text/csv"),
        (f'"a,email\n1,{SECRET}\n', "text/csv"),
        (f"a,em\0ail\n1,{SECRET}\n", "text/csv"),
        (f"a,email\n1,{SECRET}\n".encode("utf-16-le").decode(), "text/csv"),
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
    same = b'{"predictions":  [{"kind": "email"}, "\\u00e4", "\xc3\xa4"]}'
    assert redaction.answer(same) == same, "byte for byte where nothing is left out"


@pytest.mark.parametrize("name", SPELLINGS)
def test_predictions_are_left_out_however_their_name_is_written(name: str) -> None:
    for escaped in (True, False):
        answer = json.dumps({"predictions": [{"x": {name: SECRET}, "score": 1}]}, ensure_ascii=escaped).encode()
        assert json.loads(Redaction(["email"]).answer(answer)) == {"predictions": [{"x": {}, "score": 1}]}
    umlaut = Redaction(["größe"]).answer('{"predictions": [{"größe": 1}]}'.encode())
    assert json.loads(umlaut) == {"predictions": [{}]}


def test_labels_have_no_such_name_in_them() -> None:
    redaction = Redaction(["email"])
    assert redaction.label({"late": 1, "who": [{"Email": SECRET}]}) == {"late": 1, "who": [{}]}
    assert (redaction.label(1), redaction.label("email"), redaction.label(None)) == (1, "email", None)
    deep: object = 1
    for _ in range(5000):
        deep = [deep]
    assert redaction.label(deep) is None


@given(st.text(alphabet=st.characters() | st.sampled_from(" \t\"'`\ufeff\u00a0ßİſKｅ"), max_size=20))
def test_replicas_and_the_rest_read_names_alike(name: str) -> None:
    assert of_replicas.folded(name) == column_names.folded(name)
    assert column_names.folded(column_names.folded(name)) == column_names.folded(name)
    assert (of_replicas._AROUND, of_replicas._LONGEST) == (column_names._AROUND, column_names._LONGEST)


@pytest.mark.parametrize("name", SPELLINGS)
def test_cells_of_a_table_keep_nothing_of_that_name(name: str) -> None:
    hidden = NeverKept(["email"])
    assert name in hidden and "emails" not in hidden and 7 not in hidden
    cell = {"a": [1, {name: SECRET}], name: SECRET}
    assert hidden.without(cell) == {"a": [1, {}]}
    assert hidden.without(np.array([cell], dtype=object)) == [{"a": [1, {}]}]
    assert hidden.without([(name, SECRET), ("a", 1)]) == [["a", 1]], "a map, as Parquet has it"
    assert hidden.without(1.5) == 1.5 and NeverKept(()).without(cell) is cell


def test_keys_are_texts_of_each_row() -> None:
    rows = [{"k": "007"}, {"k": 7}, {"k": 7.0}, {"k": 1.5}, {"k": True}, {"k": None}, {}, {"k": [1]}, {"k": "x" * 600}]
    found = Keys("k").of(json.dumps({"dataframe_records": rows}).encode(), JSON)
    assert json.loads(found) == ["007", "7", "7", "1.5", "true", "", "", "", ""]
    assert Keys("k").of(b"k,a\n007,1\n", "text/csv") == b'["007"]'
    assert Keys("k").of(b'{"inputs": [[1]]}', JSON) == Keys("k").of(b"{", JSON) == b""


def test_a_salted_key_is_a_digest_that_only_the_salt_repeats() -> None:
    one, other = kept_key("anna", "salt"), kept_key("anna", "another")
    assert one == kept_key("anna", "salt") != other and len(one) == 32 and "anna" not in one
