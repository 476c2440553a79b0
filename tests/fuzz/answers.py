"""What servers answer: MLflow's over HTTP and the rows of its store, Git hosts, models; and what clients send: labels, captures."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from podium.core.config import load
from podium.core.delivery.replay import comparing
from podium.core.domain.labels import LabelTable
from podium.core.domain.project import Mlflow
from podium.core.errors import PodiumError
from podium.core.http_client import HttpResponse
from podium.core.labels import collecting, importing
from podium.core.labels import database as labels_database
from podium.core.registry.rest import RestRegistry
from podium.core.scm.hosts.opening import open_host
from podium.core.serving import captures
from podium.core.triggers.webhooks import signed

from tests.registry.test_shapes import ASKED, NAMES

from .running import Subject
from .strange import LEAVES, PIECES, as_bytes, changed, damaged, documents, written

STATUSES = (200, 200, 200, 200, 204, 301, 302, 400, 401, 403, 404, 409, 418, 422, 429, 500, 503)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "location",
            "link",
            "etag",
            "retry-after",
            "date",
            "content-type",
            "x-ratelimit-reset",
            "x-ratelimit-remaining",
        ]
    ),
    st.sampled_from(
        ["", "x", "0", "-1", "9" * 30, "NaN", "http://[", "//", '<http://127.0.0.1:1/x>; rel="next"', "Mon, 99 Nov"]
    ),
    max_size=4,
)
ERROR = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no"}


def answers(directory: Path) -> dict[str, Subject]:
    return {
        "answers of MLflow": Subject(
            st.tuples(st.sampled_from(sorted(ASKED)), _of_mlflow()), lambda given: _mlflow(directory, *given)
        ),
        "answers of Git hosts": Subject(
            st.tuples(st.sampled_from(HOSTS), st.sampled_from(sorted(OF_HOSTS)), _of_hosts()),
            lambda given: _host(directory, *given),
        ),
        "answers of models": Subject(st.tuples(_predictions(), _predictions()), _predicted),
        "what replicas have written": Subject(_written_lines(), lambda given: _collect(directory, *given), 4),
        "tables of labels": Subject(
            damaged("id,label,at\nab12,1,2026-01-01T00:00:00Z\ncd34,0.5,\n").map(as_bytes) | st.binary(),
            lambda data: _import(directory, data),
        ),
        "signatures of webhooks": Subject(
            st.tuples(st.sampled_from(["", "github", "gitlab", "gitea", "git"]), _signatures()), _signature
        ),
    }


# MLflow


def _of_mlflow() -> st.SearchStrategy[HttpResponse]:
    body = (
        documents(NAMES).map(written)
        | st.binary(max_size=60)
        | changed(ERROR).map(written)
        | changed(REGISTERED).map(written)
    )
    return st.builds(HttpResponse, st.sampled_from(STATUSES), HEADERS, body)


REGISTERED = {
    "registered_model": {"name": "m", "aliases": [{"alias": "champion", "version": "1"}], "latest_versions": [{"version": "1"}]},
    "model_versions": [
        {"name": "m", "version": "1", "creation_timestamp": 1, "run_id": "r", "source": "mlflow-artifacts:/1/r/artifacts/model",
         "tags": [{"key": "podium.commit", "value": "a" * 40}], "status": "READY"},
    ],
    "run": {
        "info": {"run_id": "r", "experiment_id": "1", "status": "FINISHED", "start_time": 1, "end_time": 2, "artifact_uri": "mlflow-artifacts:/1"},
        "data": {"metrics": [{"key": "rmse", "value": 0.5, "timestamp": 1, "step": 0}], "params": [{"key": "a", "value": "b"}], "tags": []},
        "outputs": {"model_outputs": [{"model_id": "m-1", "step": 0}]},
    },
}  # fmt: skip


def _mlflow(directory: Path, method: str, answer: HttpResponse) -> None:
    registry = RestRegistry(Mlflow("http://127.0.0.1:1", "e", "m"), directory / "none", {})
    client = registry._server._client
    client.ask = lambda *_words, **_options: answer  # type: ignore[method-assign]
    client.download = lambda *_words, **_options: answer  # type: ignore[method-assign]
    _promised(lambda: ASKED[method](registry, directory / "models"))


def _promised(work: Callable[[], Any]) -> None:
    try:
        found = work()
    except PodiumError as error:
        assert error.message
        f"{error.message} {error.hint}".encode()
    else:
        str(found).encode()


# Git hosts


HOSTS = ("github", "gitlab", "gitea")
SHA = "a" * 40
OF_HOSTS: dict[str, Callable[[Any], Any]] = {
    "examine": lambda host: host.examine(),
    "account": lambda host: host.account(),
    "tips": lambda host: host.tips(["main"]),
    "tags": lambda host: host.tags(),
    "matching_tags": lambda host: host.matching_tags("v"),
    "pull_requests": lambda host: host.pull_requests(),
    "file": lambda host: host.file("podium.yaml", "main"),
    "ci_runs": lambda host: host.ci_runs(),
    "ci_run": lambda host: host.ci_run("1"),
    "ci_jobs": lambda host: host.ci_jobs("1"),
    "ci_log": lambda host: host.ci_log("1"),
    "ci_approvals": lambda host: host.ci_approvals("1"),
    "workflows": lambda host: host.workflows(),
    "statuses": lambda host: host.statuses(SHA),
    "deployments": lambda host: host.deployments(),
    "comments": lambda host: host.comments(1),
    "check_runs": lambda host: host.check_runs(SHA),
}
KEYS = (
    *(
        "id",
        "name",
        "number",
        "state",
        "status",
        "conclusion",
        "head_sha",
        "sha",
        "ref",
        "commit",
        "workflow_runs",
        "jobs",
        "steps",
    ),
    *(
        "head",
        "base",
        "repo",
        "full_name",
        "user",
        "login",
        "created_at",
        "updated_at",
        "started_at",
        "completed_at",
        "html_url",
        "web_url",
    ),
    *(
        "total_count",
        "statuses",
        "check_runs",
        "workflows",
        "path",
        "content",
        "encoding",
        "body",
        "title",
        "draft",
        "permissions",
        "object",
    ),
    *(
        "environment",
        "environments",
        "deployments",
        "description",
        "target_url",
        "context",
        "source_branch",
        "target_project_id",
        "detail",
    ),
)


def _of_hosts() -> st.SearchStrategy[HttpResponse]:
    body = documents(KEYS).map(written) | st.lists(documents(KEYS, 8), max_size=3).map(written) | st.binary(max_size=40)
    return st.builds(HttpResponse, st.sampled_from([status for status in STATUSES if status != 429]), HEADERS, body)


def _host(directory: Path, kind: str, method: str, answer: HttpResponse) -> None:
    place = directory / kind
    if not place.exists():
        place.mkdir()
        text = (
            f"project: p\ngit: {{host: {{kind: {kind}, repo: a/b, url: 'http://127.0.0.1:1', token: t0k3n-t0k3n}}}}\n"
        )
        (place / "podium.yaml").write_text(text)
    with open_host(load(place, environ={})) as host:
        host.http._client.ask = lambda *_words, **_options: answer  # type: ignore[attr-defined]
        _promised(lambda: OF_HOSTS[method](host))


# Models


def _predictions() -> st.SearchStrategy[bytes]:
    row = LEAVES | st.lists(LEAVES, max_size=3) | st.dictionaries(st.sampled_from(["label", "score", "a"]), LEAVES)
    return (
        st.lists(row, max_size=4).map(lambda rows: written({"predictions": rows}))
        | documents(("predictions", "outputs", "error_code", "message")).map(written)
        | st.binary(max_size=30)
    )


def _predicted(given: tuple[bytes, bytes]) -> None:
    for tolerance in (None, 0.0, 0.1):
        found = comparing.compare(*given, tolerance=tolerance)
        assert found.identical + found.close + found.differing == found.rows
    assert comparing.compare(given[0], given[0], tolerance=0.0).differing in (
        0,
        comparing.compare(given[0], given[0], tolerance=0.0).rows,
    )
    comparing.words(500, *given).encode()


# What clients send, and replicas write down

CAPTURE = {
    "at": 1.0, "request_id": "ab12", "version": "1", "status": 200, "seconds": 0.1, "content_type": "application/json",
    "input": '{"inputs": [[1.0]]}', "output": '{"predictions": [1]}', "redacted": ["a"], "keys": ["k"],
}  # fmt: skip
FEEDBACK = {"request_id": "ab12", "truth": 1, "row": 0, "at": 1.0, "received": 2.0, "client": "c", "refused": None}


def _written_lines() -> st.SearchStrategy[tuple[bytes, bytes, bytes]]:
    def lines(line: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
        return st.lists(line | st.binary(max_size=20), max_size=6).map(b"\n".join)

    request = damaged('1.5\tab12\t1\t200\t["k"]\t{"predictions": [1]}').map(as_bytes)
    capture = changed(CAPTURE).map(written) | documents(tuple(CAPTURE)).map(written)
    label = changed(FEEDBACK).map(written) | documents(tuple(FEEDBACK)).map(written)
    return st.tuples(lines(request), lines(capture), lines(label))


def _collect(directory: Path, requests: bytes, captured: bytes, feedback: bytes) -> None:
    place = directory / "written"
    place.mkdir(exist_ok=True)
    files = {"requests-20001.tsv": requests, "capture-20001.jsonl": captured, "feedback-20001.jsonl": feedback}
    for name, content in files.items():
        (place / name).write_bytes(content + b"\n")
    store = directory / "labels.db"
    store.unlink(missing_ok=True)
    database = labels_database.connect(store)
    try:
        collecting.collect(database, (place,), now=1e9)
        again = collecting.collect(database, (place,), now=1e9)
        assert (again.requests, again.captures, again.feedback) == (0, 0, 0), "each line is collected once"
    finally:
        database.close()
    captures.newest(place, limit=10)
    captures.last(place)


def _import(directory: Path, data: bytes) -> None:
    for kind in ("csv", "parquet"):
        file = directory / f"labels.{kind}"
        file.write_bytes(data)
        with suppress(PodiumError):
            list(importing.read(file, LabelTable(label="label", id="id", at="at")))


def _signatures() -> st.SearchStrategy[dict[str, str]]:
    names = (
        "x-hub-signature-256",
        "x-gitea-signature",
        "x-forgejo-signature",
        "webhook-signature",
        "webhook-id",
        "webhook-timestamp",
        "x-gitlab-token",
    )
    return st.dictionaries(
        st.sampled_from(names), st.text(max_size=30) | st.sampled_from([*PIECES, "sha256=", "v1,", "v1,AAAA v1,===="])
    )


def _signature(given: tuple[str, dict[str, str]]) -> None:
    kind, headers = given
    assert signed("whsec_c2VjcmV0", kind, headers, b"{}", 1e9) is False


# Rows


def garbage() -> st.SearchStrategy[Any]:
    return (
        st.sampled_from(
            [
                None,
                "",
                "x",
                "[]",
                "{}",
                "{",
                "null",
                "[[]]",
                '{"a": 1}',
                "NaN",
                -1,
                0,
                2**62,
                1e308,
                float("inf"),
                b"\xff",
                b"",
            ]
        )
        | st.sampled_from([piece for piece in PIECES if piece.isprintable()])
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats()
        | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
        | documents(("id", "name", "at", "state", "version")).map(lambda found: written(found).decode())
    )


def columns(file: Path) -> list[tuple[str, str]]:
    """Returns (table, column) of every table that has rows."""
    database = sqlite3.connect(file)
    try:
        tables = [
            name
            for (name,) in database.execute(
                "SELECT name FROM sqlite_schema WHERE type='table' AND name NOT LIKE 'sqlite%'"
            )
        ]
        full = [name for name in tables if database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]]
        return [(name, row[1]) for name in full for row in database.execute(f'PRAGMA table_info("{name}")')]
    finally:
        database.close()


def garble(file: Path, changes: list[tuple[tuple[str, str], Any]]) -> None:
    """Writes over a column of every row of a table, where the table's own rules let it."""
    database = sqlite3.connect(file)
    try:
        database.execute("PRAGMA ignore_check_constraints = on")
        for (table, column), value in changes:
            with suppress(sqlite3.IntegrityError, sqlite3.OperationalError, OverflowError):
                database.execute(f'UPDATE "{table}" SET "{column}" = ?', (value,))
        database.commit()
    finally:
        database.close()
