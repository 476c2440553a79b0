"""A tracking server says what it serves. What it names of this machine, or of another server, is refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from podium.core.beneath import LinkRefused
from podium.core.domain.project import Mlflow
from podium.core.errors import Refused, Unreachable
from podium.core.registry import files
from podium.core.registry.rest import RestRegistry

from tests.support import http_server

SECRET = "the host's own"
API = "/api/2.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"


@pytest.fixture
def naming() -> Iterator[Callable[[str], str]]:
    """Starts a server whose only version, and whose only run, have their files where it says; returns its address."""
    servers = ExitStack()

    def start(place: str, listing: object = None) -> str:
        answers: dict[str, object] = {
            f"{API}/model-versions/get-download-uri": {"artifact_uri": place},
            f"{API}/runs/get": {"run": {"info": {"run_id": "r", "artifact_uri": place}}},
            ARTIFACTS: listing,
        }

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer = answers.get(unquote(urlsplit(self.path).path))
                self.send_response(200 if answer else 404)
                self.end_headers()
                self.wfile.write(json.dumps(answer or {}).encode())

            def log_message(self, *_: object) -> None: ...

        return f"http://127.0.0.1:{servers.enter_context(http_server(Handler)).server_port}"

    with servers:
        yield start


@pytest.fixture
def host(tmp_path: Path) -> Path:
    host = tmp_path / "host"
    (host / "1/r/artifacts/model").mkdir(parents=True)
    (host / "1/r/artifacts/model/MLmodel").write_text("a model")
    (host / "secret").write_text(SECRET)
    return host


def registry(uri: str, artifacts: str = "") -> RestRegistry:
    return RestRegistry(Mlflow(uri, "e", "m", artifacts), Path("/nonexistent"), {})


@pytest.mark.parametrize(
    "place",
    [
        "file://{host}",
        "FILE://{host}",
        "file:{host}",
        "{host}",
        "..",
        "../host",
        ".",
        "",
        "file://localhost{host}",
        "http://127.0.0.1:1/x",
        "https://elsewhere.example/x",
        "runs:/x/y",
        "models:/m/1",
    ],
)
def test_what_a_server_does_not_serve_is_neither_read_nor_written(
    naming: Callable[[str], str], host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    one = registry(naming(place.format(host=host)))
    with pytest.raises((Refused, Unreachable)):
        one.fetch("m", 1, tmp_path / "models/m/1")
    with pytest.raises((Refused, Unreachable)):
        one.log_report("r", "podium/report.txt", "text")
    assert not [path for path in (tmp_path / "models").rglob("*") if path.is_file()]
    assert not list(tmp_path.rglob("report.txt"))


@pytest.mark.parametrize("place", ["file://{host}/1/r/artifacts/model", "{host}/1/r/artifacts/model"])
def test_the_directory_that_a_person_named_is_read_and_written(
    naming: Callable[[str], str], host: Path, tmp_path: Path, place: str
) -> None:
    one = registry(naming(place.format(host=host)), str(host))
    one.fetch("m", 1, tmp_path / "models/m/1")
    assert (tmp_path / "models/m/1/MLmodel").read_text() == "a model"
    one.log_report("r", "podium/report.txt", "first")
    one.log_report("r", "podium/report.txt", "second")
    assert (host / "1/r/artifacts/model/podium/report.txt").read_text() == "second"


@pytest.mark.parametrize(
    "place", ["file://{host}/..", "{host}2/x", "file:///etc", "{host}/1/../../other", "{host}/out"]
)
def test_no_other_directory_than_the_named_one_is(
    naming: Callable[[str], str], host: Path, tmp_path: Path, place: str
) -> None:
    for name in ("host2/x", "other"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_text(SECRET)
    (host / "out").symlink_to(tmp_path / "other")
    one = registry(naming(place.format(host=host)), str(host))
    with pytest.raises((Refused, LinkRefused)):
        one.fetch("m", 1, tmp_path / "models/m/1")
    with pytest.raises((Refused, LinkRefused)):
        one.log_report("r", "report.txt", "text")
    assert not [path for path in (tmp_path / "models").rglob("*") if path.is_file()]
    assert not list(tmp_path.rglob("report.txt"))


@pytest.mark.parametrize("root", ["mlflow-artifacts:/../../x", "mlflow-artifacts:/1/../../../api"])
def test_a_path_on_the_server_does_not_lead_out_of_what_it_serves(
    naming: Callable[[str], str], tmp_path: Path, root: str
) -> None:
    with pytest.raises(Unreachable, match="outside the model"):
        registry(naming(root)).fetch("m", 1, tmp_path / "models/m/1")


@pytest.mark.parametrize("target", ["{host}/secret", "../../../../secret", "{host}"])
def test_a_link_in_a_local_model_that_leads_out_is_named(host: Path, tmp_path: Path, target: str) -> None:
    """A step in a container writes into the store of artifacts: a link that it left there is not followed to the host."""
    model = host / "1/r/artifacts/model"
    (model / "taken").symlink_to(target.format(host=host))
    dest = tmp_path / "models/m/1"
    with pytest.raises(LinkRefused, match="'taken' is a link to"):
        files.bring(dest, lambda into: files.copy_tree(model, into))
    assert not dest.exists() and not list(dest.parent.iterdir())


def test_a_link_inside_of_a_local_model_is_copied_as_a_file(host: Path, tmp_path: Path) -> None:
    model = host / "1/r/artifacts/model"
    (model / "also").symlink_to("MLmodel")
    files.bring(tmp_path / "1", lambda into: files.copy_tree(model, into))
    assert (tmp_path / "1/also").read_text() == "a model" and not (tmp_path / "1/also").is_symlink()


def test_a_file_whose_name_is_no_utf_8_is_brought_and_known_again(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.txt")

    def download(into: Path) -> None:
        (into / name).write_text("vocabulary")

    dest = tmp_path / "models/m/1"
    digest = files.bring(dest, download)
    assert files.present(dest) == digest == files.digest(dest)
    (dest / name).rename(dest / "plain.txt")
    assert files.present(dest) is None and files.digest(dest) != digest


def test_the_digest_of_a_kept_model_is_what_it_always_was(tmp_path: Path) -> None:
    for path, text in {"a/b": "one", "a.b": "two", "ä": "three", "a/ü/x": ""}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert files.digest(tmp_path) == "sha256:2f8c628230905496efc63cb029bd9692f878afe5ca708650a849d8f00f35a52d"
