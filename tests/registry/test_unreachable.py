"""Servers that are not there, are something else, or answer nonsense: an error with a hint each time, and soon."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from podium.core.domain.project import Mlflow
from podium.core.errors import NotFound, PodiumError, Unreachable, UsageError
from podium.core.registry import http as wire
from podium.core.registry import open_registry
from podium.core.registry.prepare import prepare
from podium.core.registry.rest import RestRegistry

from tests.runner.scale import scaled
from tests.support import free_port, http_server

Answer = tuple[int, str, bytes]


@pytest.fixture
def answering() -> Iterator[Callable[..., str]]:
    """Starts a server that gives these answers in turn, the last for ever; returns its address."""
    servers = ExitStack()

    def start(*answers: Answer, headers: dict[str, str] | None = None) -> str:
        left = list(answers)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, kind, body = left.pop(0) if len(left) > 1 else left[0]
                self.send_response(status)
                for name, value in {"Content-Type": kind, **(headers or {})}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_: object) -> None: ...

        return f"http://127.0.0.1:{servers.enter_context(http_server(Handler)).server_port}"

    with servers:
        yield start


def registry(uri: str) -> RestRegistry:
    return RestRegistry(Mlflow(uri, "e", "m"), Path("/nonexistent"), {})


def refused(uri: str) -> PodiumError:
    with pytest.raises(PodiumError) as caught:
        registry(uri).versions("m")
    return caught.value


@pytest.mark.timeout(30)  # MLflow's own client would try for minutes
def test_nobody_listens() -> None:
    error = refused(f"http://anna:secret@127.0.0.1:{free_port()}")
    assert isinstance(error, Unreachable) and "cannot be reached" in error.message and "tracking_uri" in error.hint
    assert "secret" not in error.message + error.hint


def test_somebody_listens_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(wire, "LIMITS", replace(wire.LIMITS, read_seconds=0.3))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = refused(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert isinstance(error, Unreachable) and "in time" in error.message


@pytest.mark.parametrize("uri", ["http://", "http://exa mple", "http://[::1", "http://127.0.0.1:99999"])
def test_an_address_that_is_none(uri: str) -> None:
    assert isinstance(refused(uri), Unreachable)


def test_a_web_page(answering: Callable[..., str]) -> None:
    error = refused(answering((200, "text/html", b"<html><title>\x1b[31mLog in</title>")))
    assert isinstance(error, Unreachable) and "not MLflow's JSON" in error.message
    assert "\x1b" not in error.message
    assert isinstance(refused(answering((404, "text/html", b"<h1>Not found"))), Unreachable)
    assert isinstance(refused(answering((200, "application/json", b"[1, 2]"))), Unreachable)


def test_credentials_redirects_and_failures(answering: Callable[..., str]) -> None:
    assert "MLFLOW_TRACKING_USERNAME" in refused(answering((401, "text/plain", b"no"))).hint
    assert "redirects to" in refused(answering((302, "text/html", b""), headers={"Location": "https://login"})).message
    missing = json.dumps({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "Model m not found"}).encode()
    with pytest.raises(NotFound, match="Model m not found"):
        registry(answering((404, "application/json", missing))).version("m", 1)
    wrong = json.dumps({"error_code": "INVALID_PARAMETER_VALUE", "message": "bad name"}).encode()
    assert isinstance(refused(answering((400, "application/json", wrong))), UsageError)
    assert "500" in refused(answering((500, "text/html", b"<h1>Oops"))).message


@pytest.mark.parametrize(
    ("status", "body", "environ", "said", "hint"),
    [
        (401, b"no", {}, "asks for credentials, and there are none", "MLFLOW_TRACKING_TOKEN"),
        (403, b"no", {}, "asks for credentials, and there are none", "MLFLOW_TRACKING_USERNAME"),
        (
            401,
            b"no",
            {"MLFLOW_TRACKING_TOKEN": "t0ken-1"},
            "refused the credentials (401) in MLFLOW_TRACKING_TOKEN",
            "set",
        ),
        (
            403,
            b'{"error_code": "PERMISSION_DENIED", "message": "not yours"}',
            {"MLFLOW_TRACKING_USERNAME": "anna"},
            "does not let MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD do this (403: not yours)",
            "permission",
        ),
        (
            403,
            b"Invalid Host header - possible DNS rebinding attack detected",
            {"MLFLOW_TRACKING_TOKEN": "t0ken-1"},
            "Invalid Host header",
            "--allowed-hosts 127.0.0.1:",
        ),
    ],
)
def test_a_refusal_says_which_of_them_it_is(
    answering: Callable[..., str], status: int, body: bytes, environ: dict[str, str], said: str, hint: str
) -> None:
    with pytest.raises(Unreachable) as caught:
        RestRegistry(Mlflow(answering((status, "x/y", body)), "e", "m"), Path("/nonexistent"), environ).versions("m")
    assert said in caught.value.message and hint in caught.value.hint
    assert ("password" in caught.value.hint.lower()) == ("Invalid" not in said and "permission" not in hint)


def test_a_passing_weakness_is_tried_again(answering: Callable[..., str]) -> None:
    whole = json.dumps({"registered_model": {"name": "m"}}).encode()
    assert registry(answering((503, "text/plain", b"later"), (200, "application/json", whole))).versions("m") == []
    assert "503" in refused(answering((503, "text/plain", b"never"))).message


def test_an_answer_without_end(answering: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "LIMITS", replace(wire.LIMITS, answer_bytes=1 << 20))
    assert "more than 1 MiB" in refused(answering((200, "application/json", b" " * (2 << 20)))).message
    again = json.dumps({"registered_model": {}, "model_versions": [], "next_page_token": "same"}).encode()
    assert registry(answering((200, "application/json", again))).versions("m") == []


def test_files_outside_the_model_are_not_written(answering: Callable[..., str], tmp_path: Path) -> None:
    place = json.dumps({"artifact_uri": "mlflow-artifacts:/1/models/m-1/artifacts"}).encode()
    listing = json.dumps({"files": [{"path": "..", "is_dir": True}]}).encode()
    with pytest.raises(Unreachable, match="outside the model"):
        registry(answering((200, "application/json", place), (200, "application/json", listing))).fetch(
            "m", 1, tmp_path / "m" / "1"
        )
    assert [path.name for path in (tmp_path / "m").iterdir()] == []


@pytest.mark.timeout(60)
def test_a_database_that_cannot_be_used(tmp_path: Path) -> None:
    broken = tmp_path / "mlflow.db"
    broken.write_bytes(b"this is no database, and long enough to be looked at" * 40)
    with pytest.raises(Unreachable, match="cannot be used"):
        open_registry(Mlflow(f"sqlite:///{broken}", "e", "m"), tmp_path).versions("m")
    with pytest.raises(PodiumError):
        open_registry(Mlflow("nonsense+driver://nowhere/db", "e", "m"), tmp_path).versions("m")


@pytest.mark.timeout(120)
def test_a_store_of_an_older_mlflow_is_brought_up_to_date(migrated: Path, tmp_path: Path) -> None:
    from alembic import command
    from mlflow.store.db import utils

    store = shutil.copy(migrated, tmp_path / "mlflow.db")
    new = schema(store)
    command.downgrade(utils._get_alembic_config(f"sqlite:///{store}"), "-1")
    assert schema(store) != new
    assert prepare(Mlflow(f"sqlite:///{store}", "e", "m"), tmp_path)
    assert schema(store) == new


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("found", "hint"),
    [
        ("cc1f77228345", "the store was made by an older MLflow: back it up, then run `mlflow db upgrade sqlite:///"),
        ("fedcba987654", "the store was made by a newer MLflow than "),
    ],
    ids=["older", "newer"],
)
def test_a_store_of_another_mlflow_says_which_way_to_go(migrated: Path, tmp_path: Path, found: str, hint: str) -> None:
    """MLflow itself calls both out of date, and advises an upgrade that fails for the newer one."""
    store = shutil.copy(migrated, tmp_path / "mlflow.db")
    with closing(sqlite3.connect(store)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = ?", (found,))
    with pytest.raises(Unreachable, match="out-of-date database schema") as caught:
        prepare(Mlflow(f"sqlite:///{store}", "e", "m"), tmp_path)
    assert caught.value.hint.startswith(hint)
    assert schema(store) == found, "nothing was changed"


def schema(store: Path) -> str:
    with closing(sqlite3.connect(store)) as database:
        return database.execute("SELECT version_num FROM alembic_version").fetchone()[0]


def test_the_rest_path_loads_no_mlflow() -> None:
    code = f"""
import sys
from pathlib import Path
from podium.core.domain.project import Mlflow
from podium.core.errors import Unreachable
from podium.core.registry import open_registry, snapshot, aliases, register_step
try:
    open_registry(Mlflow("http://127.0.0.1:{free_port()}", "e", "m"), Path("/x")).versions("m")
except Unreachable:
    print([name for name in ("mlflow", "pandas", "numpy", "requests", "sqlalchemy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=scaled(60), check=True)
    assert done.stdout.strip() == "[]"


def test_importing_the_registry_and_the_gate_is_light() -> None:
    code = """
import sys
import podium.core.registry, podium.core.registry.snapshot, podium.core.registry.aliases, podium.core.quality.gate_step
print([name for name in ("mlflow", "pandas", "numpy", "httpx", "sklearn", "yaml") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=scaled(60), check=True)
    assert done.stdout.strip() == "[]"


def test_a_link_to_another_database_is_not_made_a_store(tmp_path: Path) -> None:
    """A step in a container may write where the store is: MLflow would add its tables to the journal."""
    journal, link = tmp_path / "journal.db", tmp_path / "mlflow/mlflow.db"
    link.parent.mkdir()
    with closing(sqlite3.connect(journal)) as database, database:
        database.execute("CREATE TABLE runs (id)")
    link.symlink_to(journal)
    before = journal.read_bytes()
    with pytest.raises(PodiumError, match="something else than MLflow"):
        prepare(Mlflow(f"sqlite:///{link}", "flights", "flights"), tmp_path)
    assert journal.read_bytes() == before
