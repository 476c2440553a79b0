"""Our answers are MLflow's answers: the same requests to both, by hand and by hypothesis."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from podium.core.serving.recorder import Recorder

from tests.serving.conftest import Pair
from tests.serving.models import NAMES

JSON = "application/json"
ROW = [0.5, 1.5, 3, 4, True, "x"]
HEADERS = ("content-type", "content-length")


def compare(
    pair: Pair, body: bytes, content_type: str | None = JSON, method: str = "POST", path: str = "/invocations"
) -> int:
    headers = {"content-type": content_type} if content_type is not None else {}
    ours, theirs = (pair.ask(app, method, path, body, headers) for app in (pair.ours, pair.theirs))
    assert (ours.status_code, ours.headers.get("content-type")) == (
        theirs.status_code,
        theirs.headers.get("content-type"),
    ), (ours.text, theirs.text)
    if ours.text != theirs.text:
        assert without_trace(ours.text) == without_trace(theirs.text)
    return ours.status_code


def without_trace(text: str) -> Any:
    """A traceback differs in the frames of the server itself; its last line is the error."""
    answer = json.loads(text)
    trace = answer.pop("stack_trace", None)
    return answer, trace and trace.strip().splitlines()[-1]


def table(*rows: list[Any], names: tuple[Any, ...] = NAMES) -> dict[str, Any]:
    return {"dataframe_split": {"columns": list(names), "data": list(rows)}}


FORMS: dict[str, Any] = {
    "split": table(ROW),
    "two rows": table(ROW, [1, 2, -3, 4, False, "y"]),
    "order": {"dataframe_split": {"columns": list(reversed(NAMES)), "data": [ROW[::-1]]}},
    "index": {"dataframe_split": {"columns": list(NAMES), "data": [ROW], "index": [7]}},
    "extra column": table([*ROW, 9], names=(*NAMES, "z")),
    "missing column": table(ROW[:-1], names=NAMES[:-1]),
    "same column twice": table([*ROW, 1.0], names=(*NAMES, "d")),
    "ragged": table(ROW, ROW[:-1]),
    "no rows": table(),
    "no data": {"dataframe_split": {"columns": list(NAMES)}},
    "no columns": {"dataframe_split": {"data": [ROW]}},
    "nulls": table([None, None, None, None, None, None]),
    "null number": table([None, None, 3, 4, True, "x"]),
    "integers for doubles": table([2**60, 2**40, 3, 4, True, "x"]),
    "too large": table([10**400, 1.0, 3, 4, True, "x"]),
    "doubles for integers": table([1.0, 1.0, 3.0, 4.5, True, "x"]),
    "overflow": table([1.0, 1e300, 2**40, 2**40, True, "x"]),
    "numbers for text": table([1.0, 1.0, 3, 4, True, 5]),
    "text for numbers": table(["1", "a", 3, 4, True, "x"]),
    "integers for booleans": table([1.0, 1.0, 3, 4, 1, "x"]),
    "booleans for numbers": table([True, False, True, True, True, "x"]),
    "nested": table([[1.0], {"a": 1}, 3, 4, True, "x"]),
    "lone surrogate": table([1.0, 1.0, 3, 4, True, "\ud800"]),
    "records": {"dataframe_records": [dict(zip(NAMES, ROW, strict=True))]},
    "records, other order": {
        "dataframe_records": [dict(zip(NAMES[::-1], ROW[::-1], strict=True)), dict(zip(NAMES, ROW, strict=True))]
    },
    "records, one short": {"dataframe_records": [dict(zip(NAMES, ROW, strict=True)), {"d": 1.0}]},
    "records, none": {"dataframe_records": []},
    "records, not a list": {"dataframe_records": {"d": 1.0}},
    "inputs by column": {"inputs": {name: [value] for name, value in zip(NAMES, ROW, strict=True)}},
    "inputs by row": {"inputs": [dict(zip(NAMES, ROW, strict=True))]},
    "instances": {"instances": [dict(zip(NAMES, ROW, strict=True))]},
    "matrix": {"inputs": [[1.0, 2.0], [3.0, 4.0]]},
    "matrix instances": {"instances": [[1.0, 2.0], [3.0, 4.0]]},
    "named tensors": {"inputs": {"a": [[1, 2]], "b": [0.5]}},
    "scalar": {"inputs": 3},
    "params": {**table(ROW), "params": {"t": 0.25}},
    "bad params": {**table(ROW), "params": {"t": "warm"}},
    "null params": {**table(ROW), "params": None},
    "single with params": {"dataframe_split": {"columns": ["d"], "data": [[1.5]]}, "params": {"t": 0.25, "u": 1}},
    "single": {"dataframe_split": {"columns": ["d"], "data": [[1.5]]}},
    "chat": {"messages": [{"role": "user", "content": "hi"}]},
    "two forms": {**table(ROW), "inputs": []},
    "other key": {**table(ROW), "else": 1},
    "unknown key": {"rows": [ROW]},
    "empty": {},
    "date": {"dataframe_split": {"columns": ["d", "l"], "data": [["2013-01-01T05:00:00", 3]]}},
    "date and none": {"dataframe_records": [{"d": "yesterday", "l": 3}]},
    "list": [ROW],
    "number": 3,
    "null": None,
}
MODELS = ("typed", "optional", "bare", "unnamed", "tensor", "tensors", "params", "datetime", "sklearn")


@pytest.mark.parametrize("model", MODELS)
def test_every_form_is_answered_alike(pair: Callable[[str], Pair], model: str) -> None:
    for name, request in FORMS.items():
        for content_type in (JSON, "application/json; charset=utf-8"):
            try:
                compare(pair(model), json.dumps(request).encode(), content_type)
            except AssertionError as error:
                raise AssertionError(f"{name}: {error}") from error


CONTENT_TYPES = [
    "",
    "text/html",
    "application/json;charset=latin-1",
    "application/json; charset=UTF-8",
    "application/json; q=1",
    "Application/JSON",
]


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_content_types_are_judged_alike(pair: Callable[[str], Pair], content_type: str | None) -> None:
    compare(pair("typed"), json.dumps(table(ROW)).encode(), content_type)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (json.dumps(table(ROW)).encode(), {}, 415),
        (b'{"inputs": [' + b"1" * 5_000 + b"]}", {"content-type": JSON}, 400),
        (b"[" * 100_000, {"content-type": JSON}, 400),
        (json.dumps(table(ROW, names=([], *NAMES[1:]))).encode(), {"content-type": JSON}, 400),
        (json.dumps(table(ROW, names=({"a": 1}, *NAMES[1:]))).encode(), {"content-type": JSON}, 400),
    ],
)
def test_what_the_client_did_wrong_is_not_our_fault(
    pair: Callable[[str], Pair], body: bytes, headers: dict[str, str], status: int
) -> None:
    """MLflow's own server answers 500 to each."""
    both = pair("typed")
    ours, theirs = (both.ask(app, "POST", "/invocations", body, headers) for app in (both.ours, both.theirs))
    assert (ours.status_code, theirs.status_code) == (status, 500)
    assert ours.headers["content-type"] == JSON and set(ours.json()) == {"error_code", "message"}


@pytest.mark.parametrize("coding", ["gzip", " GZIP", "zstd", "gzip, identity"])
def test_a_compressed_request_is_refused_in_words(pair: Callable[[str], Pair], coding: str) -> None:
    both = pair("typed")
    body = gzip.compress(json.dumps(table(ROW)).encode(), mtime=0)
    answer = both.ask(both.ours, "POST", "/invocations", body, {"content-type": JSON, "content-encoding": coding})
    assert answer.status_code == 415 and "uncompressed" in answer.json()["message"]
    body = json.dumps(table(ROW)).encode()
    plain = {"content-type": JSON, "content-encoding": "identity"}
    assert both.ask(both.ours, "POST", "/invocations", body, plain).status_code == 200


def test_a_compressed_request_is_captured_nowhere(
    pair: Callable[[str], Pair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both, recorder = pair("typed"), Recorder(tmp_path, name="1", rate=1.0, limit=100_000, requests=True)
    monkeypatch.setattr(both.ours, "recorder", recorder)
    plain = json.dumps(table(ROW)).encode()
    body = gzip.compress(plain, mtime=0)
    refused = {"content-type": JSON, "content-encoding": "gzip"}
    assert both.ask(both.ours, "POST", "/invocations", body, refused).status_code == 415
    assert both.ask(both.ours, "POST", "/invocations", plain, {"content-type": JSON}).status_code == 200
    recorder.close()
    (captured,) = tmp_path.glob("capture-*")
    assert [json.loads(line)["status"] for line in captured.read_text().splitlines()] == [200]


BROKEN = [
    b"",
    b"{",
    b"\xff\xfe",
    b'{"dataframe_split": {"columns": ["d"], "data": [[NaN, ]]}}',
    b"nul",
    '{"inputs": 1}'.encode("utf-16"),
]


@pytest.mark.parametrize("body", BROKEN)
def test_broken_bodies_are_refused_alike(pair: Callable[[str], Pair], body: bytes) -> None:
    for content_type in (JSON, "text/csv", "application/vnd.apache.parquet"):
        compare(pair("typed"), body, content_type)


@pytest.mark.parametrize("model", ["typed", "bare", "optional", "sklearn"])
@pytest.mark.parametrize(
    "text",
    [
        "d,f,l,i,b,s\n0.5,1.5,3,4,True,x\n",
        "a,b,c\n1,2,3\n",
        "d,s,l\n,,4\n",
        "d\n1\n",
        "a,b\n1\n1,2,3\n",
        "\n",
        "\ud800",
    ],
)
def test_csv_is_answered_alike(pair: Callable[[str], Pair], model: str, text: str) -> None:
    for content_type in ("text/csv", "text/csv; charset=utf-8"):
        compare(pair(model), text.encode("utf-8", "surrogatepass"), content_type)


@pytest.mark.parametrize(
    "mood", ["raise", "mlflow", "series", "frame", "nan", "objects", "times", "list", "set", "none", "fine"]
)
def test_every_kind_of_prediction_is_answered_alike(pair: Callable[[str], Pair], mood: str) -> None:
    compare(pair("moody"), json.dumps(table([1.0, mood], names=("d", "s"))).encode())


OTHERS = [
    ("GET", "/ping"),
    ("GET", "/health"),
    ("GET", "/invocations"),
    ("POST", "/ping"),
    ("PUT", "/invocations"),
    ("GET", "/nothing"),
]


@pytest.mark.parametrize(("method", "path"), OTHERS)
def test_other_requests_are_answered_alike(pair: Callable[[str], Pair], method: str, path: str) -> None:
    compare(pair("typed"), b"", None, method, path)


@pytest.mark.parametrize("path", ["/invocations/", "/ping/", "/ping/?x=1&y", "/nothing/", "//"])
def test_a_slash_too_many_leads_where_mlflows_server_leads(pair: Callable[[str], Pair], path: str) -> None:
    both = pair("typed")
    method = "POST" if "invocations" in path else "GET"
    ours, theirs = (both.ask(app, method, path, b"", {"content-type": JSON}) for app in (both.ours, both.theirs))
    there = theirs.headers.get("location", "").removeprefix("http://model")
    assert (ours.status_code, ours.headers.get("location", "")) == (theirs.status_code, there)


def test_the_short_way_is_taken_where_it_should_be(pair: Callable[[str], Pair]) -> None:
    """Or all of the above would compare MLflow with itself."""
    for model in ("bare", "tensor"):
        assert pair(model).ours.scorer._short(json.dumps(FORMS["matrix"]).encode()).status == 200
    for model, request in (
        ("typed", FORMS["split"]),
        ("typed", FORMS["records"]),
        ("moody", table([1.0, "fine"], names=("d", "s"))),
    ):
        assert pair(model).ours.scorer._short(json.dumps(request).encode()).status == 200
    assert not pair("params").ours.scorer.short


# What the short way takes; strange cells are put in by `tables`.
CELLS = {
    "d": st.floats() | st.integers(-(2**54), 2**54) | st.none(),
    "f": st.floats(width=32) | st.floats() | st.integers(-(2**26), 2**26) | st.none(),
    "l": st.integers(-(2**63), 2**63 - 1),
    "i": st.integers(-(2**31), 2**31 - 1),
    "b": st.booleans(),
    "s": st.text(),
}
ANYTHING = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)
)


@st.composite
def tables(draw: st.DrawFn) -> dict[str, Any]:
    """Mostly as the signature wants it, with a strange cell, column or order now and then."""
    names = list(draw(st.permutations(NAMES))) if draw(st.booleans()) else list(NAMES)
    if draw(st.integers(0, 9)) == 0:
        names = names[:-1] if draw(st.booleans()) else [*names, draw(st.text(max_size=3))]
    rows = draw(st.integers(0, 4) if draw(st.integers(0, 9)) == 0 else st.integers(1, 4))
    odd = draw(st.sampled_from(names)) if draw(st.integers(0, 3)) == 0 else None
    data = [[draw(ANYTHING if name == odd else CELLS.get(name, ANYTHING)) for name in names] for _ in range(rows)]
    if draw(st.booleans()):
        return {"dataframe_split": {"columns": names, "data": data}}
    return {"dataframe_records": [dict(zip(names, row, strict=True)) for row in data]}


HYPOTHESIS = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@HYPOTHESIS
@given(request=tables())
def test_made_up_tables_are_answered_alike(pair: Callable[[str], Pair], request: dict[str, Any]) -> None:
    compare(pair("typed"), json.dumps(request).encode())


KEYS = st.sampled_from([*NAMES, "a", "columns", "data", "index"])
JSONS = st.recursive(ANYTHING, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))
REQUEST_KEYS = st.sampled_from(["dataframe_split", "dataframe_records", "inputs", "instances", "params", "x"])
MATRICES = st.integers(1, 3).flatmap(
    lambda width: st.lists(st.lists(st.floats() | st.integers(), min_size=width, max_size=width), max_size=4)
)


@HYPOTHESIS
@given(
    model=st.sampled_from(["bare", "tensor", "unnamed"]), form=st.sampled_from(["inputs", "instances"]), matrix=MATRICES
)
def test_made_up_matrices_are_answered_alike(
    pair: Callable[[str], Pair], model: str, form: str, matrix: list[Any]
) -> None:
    compare(pair(model), json.dumps({form: matrix}).encode())


@HYPOTHESIS
@given(
    model=st.sampled_from(["typed", "bare", "tensor", "tensors", "optional"]),
    request=st.dictionaries(REQUEST_KEYS, JSONS, max_size=2) | JSONS,
)
def test_made_up_json_is_answered_alike(pair: Callable[[str], Pair], model: str, request: Any) -> None:
    compare(pair(model), json.dumps(request).encode())


HEADER = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)


@HYPOTHESIS
@given(body=st.binary(max_size=60), content_type=st.sampled_from([JSON, "text/csv"]) | HEADER)
def test_noise_is_answered_alike(pair: Callable[[str], Pair], body: bytes, content_type: str) -> None:
    compare(pair("typed"), body, content_type)
