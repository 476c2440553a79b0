"""Requests that hold more than is good for the others are refused before a table is made of them."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from podium.core.serving import scoring
from podium.core.serving.forms.shape import MAX_DEPTH, Beyond, Shape
from podium.core.serving.scoring import Scorer

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
SIZE = 2 << 20  # bytes of a body that repeats something
SMALL = Shape(values=100_000)


def filled(head: bytes, unit: bytes, tail: bytes, size: int = SIZE) -> bytes:
    return head + unit * ((size - len(head) - len(tail)) // len(unit)) + tail


def deep(depth: int, times: int) -> bytes:
    return b'{"instances": [' + b",".join([b"[" * depth + b"1" + b"]" * depth] * times) + b"]}"


def members(number: int, form: str = '"c%d":1') -> bytes:
    return ",".join(form % each for each in range(number)).encode()


# Each with the words of its answer.
COUNTED = {
    "brackets": (filled(b'{"instances":[', b"[],", b"[]]}"), JSON),
    "brackets of another type": (filled(b'{"instances":[', b"[],", b"[]]}"), "application/json; charset=utf-8"),
    "rows without cells": (filled(b'{"dataframe_split":{"columns":["a"],"data":[', b"[],", b"[]]}}"), JSON),
    "records without keys": (filled(b'{"dataframe_records":[', b"{},", b"{}]}"), JSON),
    "numbers": (filled(b'{"inputs":[', b"1,", b"1]}"), JSON),
    "not a number": (filled(b'{"inputs":[', b"NaN,", b"NaN]}"), JSON),
    "empty strings": (filled(b'{"inputs":[', b'"",', b'""]}'), JSON),
    "the same key": (filled(b'{"dataframe_records":[{', b'"a":1,', b'"a":1}]}'), JSON),
    "no object": (filled(b"[", b"[],", b"[]]"), JSON),
    "cut short": (filled(b'{"inputs":[', b"[],", b""), JSON),
    "a string that never ends, after it": (filled(b'{"inputs":[', b"[],", b'"' + b'\\"' * 1000), JSON),
    "rows of CSV": (filled(b"a,b,c\n", b"1,2,3\n", b""), CSV),
    "commas of CSV": (filled(b"a,b,c\n", b",", b""), CSV),
}
SHAPED: dict[str, tuple[bytes, str, int, str]] = {
    "deep arrays": (deep(MAX_DEPTH, 200), JSON, 400, f"more than {MAX_DEPTH} deep"),
    "deep objects": (b'{"inputs":' + b'{"a":' * 900 + b"1" + b"}" * 901 + b" " * 4096, JSON, 400, "deep"),
    "columns": (b'{"dataframe_records":[{' + members(12_000) + b"}]}", JSON, 400, "columns"),
    "named columns": (
        b'{"dataframe_split":{"columns":[' + members(12_000, '"c%d"') + b'],"data":[]}}',
        JSON,
        400,
        "12000 columns",
    ),
    "cells without names": (
        b'{"dataframe_split":{"data":[[' + b",".join([b"1"] * 12_000) + b"]]}}",
        JSON,
        400,
        "12000 columns",
    ),
    "inputs by name": (b'{"inputs":{' + members(12_000) + b"}}", JSON, 400, "12000 columns"),
    "a column for each row": (
        b'{"dataframe_records":[' + members(900, '{"c%d":1}') + b"]}",
        JSON,
        413,
        "900 rows and 900 columns",
    ),
    "the same as instances": (
        b'{"instances":[' + members(900, '{"c%d":1}') + b"]}",
        JSON,
        413,
        "900 rows and 900 columns",
    ),
    "one long row among short ones": (
        b'{"dataframe_split":{"data":[[' + b",".join([b"1"] * 900) + b"]" + b",[1]" * 900 + b"]}}",
        JSON,
        413,
        "901 rows and 900 columns",
    ),
    "a long column beside single values": (
        b'{"inputs":{"a":[' + b",".join([b"1"] * 5000) + b"]," + members(100) + b"}}",
        JSON,
        413,
        "5000 rows and 101 columns",
    ),
    "other members": (b"{" + members(12_000) + b"}", JSON, 400, "12000 columns"),
    "CSV with columns": (members(12_000, "c%d") + b"\n" + b",".join([b"1"] * 12_000), CSV, 400, "12000 columns"),
    "CSV with columns of one name": (b"a," * 12_000 + b"a\n1", CSV, 400, "12001 columns"),
    "CSV with a row that is longer than its head": (b"a,b\n\n" + b"," * 5000, CSV, 400, "The first row has 5001 cells"),
    "the same in quotes": (b'a,"b\n,\n"\n"' + b"x" * 200_000 + b'"' + b"," * 5000, CSV, 400, "has 5001 cells"),
}


@pytest.fixture(scope="module")
def scorer(saved: dict[str, Path]) -> Callable[[str], Scorer]:
    made: dict[str, Scorer] = {}

    def of(name: str) -> Scorer:
        if name not in made:
            made[name] = scoring.load(saved[name], SMALL)
        return made[name]

    return of


@pytest.mark.parametrize("name", COUNTED)
def test_values_are_counted_before_anything_is_read(name: str) -> None:
    body, content_type = COUNTED[name]
    tracemalloc.start()
    try:
        with pytest.raises(Beyond, match=r"values; at most 100000 are accepted") as refused:
            SMALL.require_bytes(body, content_type)
        assert tracemalloc.get_traced_memory()[1] < 12 * len(body)
    finally:
        tracemalloc.stop()
    assert refused.value.status == 413


@pytest.mark.parametrize("model", ["typed", "bare", "tensor", "sklearn"])
@pytest.mark.parametrize("name", SHAPED)
def test_no_table_is_made_of_it(scorer: Callable[[str], Scorer], name: str, model: str) -> None:
    body, content_type, status, words = SHAPED[name]
    found = scorer(model)
    met: list[object] = []
    # Nothing below may see it: neither MLflow nor the model.
    plain = found._invocations, found._parse
    found._invocations = lambda *given: met.append(given)
    found._parse = lambda *given: met.append(given)
    try:
        answer = found.answer(body, content_type)
    finally:
        found._invocations, found._parse = plain
    assert not met
    told = json.loads(answer.body)
    # A signature with names takes fewer columns: it may be said first.
    assert answer.status == status or "columns" in told["message"]
    assert words in told["message"] or "columns; at most" in told["message"]
    assert told["error_code"] == ("BAD_REQUEST" if answer.status == 400 else "REQUEST_LIMIT_EXCEEDED")


def test_a_small_file_of_many_rows_is_refused(scorer: Callable[[str], Scorer]) -> None:
    def parquet(table: pa.Table) -> bytes:
        file = io.BytesIO()
        pq.write_table(table, file, compression="zstd")
        return file.getvalue()

    many = parquet(pa.table({"a": pa.DictionaryArray.from_arrays(pa.array([0] * 1_000_000), ["x"])}))
    large = parquet(pa.table({"a": ["x" * 4_000_000]}))
    assert len(many) < 100_000 and len(large) < 100_000
    for body, words in ((many, "1000000 rows"), (large, "bytes unpacked")):
        answer = scorer("bare").answer(body, PARQUET)
        assert answer.status == 413 and words in answer.body.decode()
    assert scorer("bare").answer(parquet(pa.table({"a": [1, 2]})), PARQUET).status == 200
    assert scorer("bare").answer(b"PAR1" + b"\0" * 100 + b"PAR1", PARQUET).status == 400


def test_what_a_text_says_is_no_value(scorer: Callable[[str], Scorer]) -> None:
    text = '[{,}] \\" \\\\' * 30_000
    body = json.dumps({"inputs": [text, text]}).encode()
    assert len(body) > SMALL.values
    SMALL.require_bytes(body, JSON)
    assert scorer("bare").answer(body, JSON).status == 200


def test_as_much_as_may_be_is_taken(scorer: Callable[[str], Scorer]) -> None:
    rows = [[1.5, float(each), 2.0] for each in range(20_000)]
    body = json.dumps({"dataframe_split": {"columns": ["a", "b", "c"], "data": rows}}).encode()
    SMALL.require_bytes(body, JSON)
    answer = scorer("sklearn").answer(body, JSON)
    assert answer.status == 200 and answer.rows == 20_000


def test_a_signature_with_many_columns_takes_them() -> None:
    assert Shape().of_model(50_000).columns == 51_000
    assert Shape().of_model(3).columns == 1_003
    assert Shape().of_model(None) == Shape()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(alphabet='[]{},:"\\ aü'),
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(alphabet='[{,"\\a'), inner, max_size=5),
        max_leaves=60,
    ),
    st.booleans(),
)
def test_the_bytes_say_what_the_document_holds(document: Any, escaped: bool) -> None:
    def values(value: Any) -> int:
        """Brackets and commas."""
        if not isinstance(value, list | dict):
            return 0
        inner = value.values() if isinstance(value, dict) else value
        return 1 + max(0, len(value) - 1) + sum(map(values, inner))

    def depth(value: Any) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
        return 0 if inner is None else 1 + max(map(depth, inner), default=0)

    body = json.dumps(document, ensure_ascii=escaped).encode() + b" " * 5000
    exact = values(document)
    Shape(exact).require_bytes(body, JSON)
    if exact > 0:
        with pytest.raises(Beyond):
            Shape(exact - 1).require_bytes(body, JSON)
    if depth(document) <= MAX_DEPTH:
        Shape(10**9, 10**9).require_document(body, None)
