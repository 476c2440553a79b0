"""A private package index: what pip needs to reach it gets to a step, and its password to no log."""

from __future__ import annotations

import base64
import io
import sys
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest
from podium.core.domain.runs import RunState

from tests.engine.lab import Lab
from tests.support import http_server

PASSWORD, WHEEL = "hush-hush-of-the-index", "ours-1.0-py3-none-any.whl"


def wheel() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("ours.py", "V = 'from the private index'\n")
        archive.writestr("ours-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: ours\nVersion: 1.0\n")
        archive.writestr("ours-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("ours-1.0.dist-info/RECORD", "")
    return made.getvalue()


class Index(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        wanted = "Basic " + base64.b64encode(f"anna:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != wanted:
            self.answer(401, b"who are you?", "text/plain", ("WWW-Authenticate", 'Basic realm="index"'))
        elif self.path == "/simple/ours/":
            self.answer(200, f'<a href="/files/{WHEEL}">{WHEEL}</a>'.encode(), "text/html")
        elif self.path == f"/files/{WHEEL}":
            self.answer(200, wheel(), "application/zip")
        else:
            self.answer(404, b"", "text/plain")

    def answer(self, status: int, body: bytes, kind: str, *more: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(body))), *more):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def index() -> Iterator[str]:
    with http_server(Index) as server:
        yield f"http://anna:{PASSWORD}@127.0.0.1:{server.server_port}/simple"


def test_a_step_installs_from_a_private_index_and_its_password_is_in_no_log(
    lab: Lab, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", index)
    pip = f"{sys.executable} -m pip install -v --no-cache-dir --disable-pip-version-check --target lib ours"
    lab.write("show.py", "import sys; sys.path.insert(0, 'lib'); import ours; print(ours.V)\n")
    lab.pipeline(f"install: {{run: '{pip} && env | grep PIP_ && {sys.executable} show.py'}}")
    file = lab.home / "podium.yaml"
    file.write_text(file.read_text().replace("project: lab\n", "project: lab\npass: [PIP_INDEX_URL]\n"))
    run, _ = lab.run(timeout=90)
    said = lab.log(run.id, "install", "oep")
    assert run.state is RunState.SUCCEEDED and "from the private index" in said, said
    assert "PIP_INDEX_URL=http://anna:***@127.0.0.1:" in said
    for path in (lab.home / ".podium").rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes(), path
