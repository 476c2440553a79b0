"""HTTP requests to the scoring server."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from tests.serving.conftest import Pair
from tests.serving.test_protocol import FORMS, NAMES, tables

from .running import Subject
from .strange import as_bytes, changed, damaged, documents, written

Request = tuple[str, str, bytes, dict[str, str]]
MODELS = ("typed", "bare", "tensor", "tensors", "optional", "unnamed", "params", "datetime", "sklearn")
NAMES_OF_REQUESTS = (
    *NAMES,
    "dataframe_split",
    "dataframe_records",
    "inputs",
    "instances",
    "params",
    "columns",
    "data",
    "index",
)


def bodies(pair: Callable[[str], Pair]) -> dict[str, Subject]:
    return {
        "requests to the scoring server": Subject(
            st.tuples(st.sampled_from(MODELS), _requests()), lambda given: _ask(pair(given[0]), given[1])
        )
    }


@st.composite
def _requests(draw: st.DrawFn) -> Request:
    method = draw(st.sampled_from(["POST"] * 8 + ["GET", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "X"]))
    path = draw(
        st.sampled_from(
            ["/invocations"] * 8
            + ["/ping", "/health", "/version", "/metrics", "/feedback", "/", "//", "/invocations/", "/%00"]
        )
    )
    form = st.sampled_from([json.dumps(each) for each in FORMS.values()])
    body = draw(
        tables().map(written)
        | form.flatmap(damaged).map(as_bytes)
        | form.map(json.loads).flatmap(changed).map(written)
        | documents(NAMES_OF_REQUESTS).map(written)
        | st.binary(max_size=80)
    )
    kind = draw(
        st.sampled_from(
            ["application/json"] * 8
            + ["text/csv", "", "application/json; charset=utf-16", "application/vnd.apache.parquet", "x/y;;="]
        )
    )
    more = draw(
        st.dictionaries(
            st.sampled_from(["x-request-id", "content-encoding", "accept", "x-podium-key"]),
            st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20),
            max_size=2,
        )
    )
    return method, path, body, {"content-type": kind, **more}


def _ask(both: Pair, request: Request) -> None:
    """What a client sends wrongly is never the server's fault, and is said as JSON; what the model itself makes of it may be."""
    method, path, body, headers = request
    answer = both.ask(both.ours, method, path, body, headers)
    told: Any = None
    # /ping answers a line feed, and calls it JSON, as MLflow's server does.
    if answer.content.strip() and answer.headers.get("content-type", "").startswith("application/json"):
        told = json.loads(answer.content)
    if answer.status_code >= 500:
        theirs = both.ask(both.theirs, method, path, body, headers)
        assert theirs.status_code == answer.status_code, (answer.text, theirs.text)
        assert told and told["message"], answer.text
    elif answer.status_code >= 400 and told is not None:
        assert set(told) >= {"error_code", "message"} or "detail" in told, answer.text
    assert both.ask(both.ours, "GET", "/ping").status_code == 200, "it goes on"
