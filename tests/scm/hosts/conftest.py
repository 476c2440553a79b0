"""A host that answers what it is told to, and clients of it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from podium.core.config import load
from podium.core.demo.forge import Forge
from podium.core.domain.project import Project

from tests.conftest import required
from tests.servers import node

TOKEN = "ghp_" + "s3cr3t" * 6
Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Asked:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def document(self) -> Any:
        return json.loads(self.body or b"null")


@dataclass
class Web:
    """Answers by `answers`, of which the last stays for ever; or by `reply`."""

    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    left: list[Answer] = field(default_factory=list)
    reply: Callable[[Asked], Answer | None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self, *answers: Answer) -> None:
        self.left[:] = answers

    def answer(self, asked: Asked) -> Answer | None:
        if self.reply is not None:
            return self.reply(asked)
        return self.left.pop(0) if len(self.left) > 1 else self.left[0]


def said(document: Any, status: int = 200, **headers: str) -> Answer:
    return (
        status,
        {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}},
        json.dumps(document).encode(),
    )


@pytest.fixture
def web() -> Iterator[Callable[[], Web]]:
    servers: list[ThreadingHTTPServer] = []

    def start() -> Web:
        made = Web(left=[said({})])

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                asked = Asked(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                made.asked.append(asked)
                answer = made.answer(asked)
                if answer is None:  # drops the connection
                    self.close_connection = True
                    return
                status, headers, content = answer
                with contextlib.suppress(OSError):
                    self.send_response_only(status)
                    for name, value in {"Content-Length": str(len(content)), **headers}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

            def log_message(self, *_: object) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.handle_error = lambda *_: None  # a client that was told to give up
        made.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        return made

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """What npm installs: programs by others that know GitHub's API. A machine without npm does without them, wherever
    servers are required, too."""
    if without := node.missing():
        pytest.skip(without)
    try:
        return node.modules()
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        required(f"npm's packages: {error}")
        raise


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Project]:
    """Makes a project whose podium.yaml names a host."""

    def make(
        kind: str, url: str = "", *, repo: str = "acme/flight-delay", token: str = TOKEN, more: str = ""
    ) -> Project:
        lines = [f"project: flight-delay\ngit:\n  host:\n    kind: {kind}\n    repo: {repo}\n"]
        lines += [f"    url: {url}\n"] if url else []
        lines += [f"    token: {token}\n"] if token else []
        (tmp_path / "podium.yaml").write_text("".join(lines) + more)
        return load(tmp_path)

    return make


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    """Starts a fake host of a kind, with a repository that has one commit."""
    with contextlib.ExitStack() as stack:

        def start(kind: str) -> Any:
            made = stack.enter_context(Forge(kind, tmp_path / f"forge-{kind}"))
            made.make_repo("acme/flight-delay")
            made.sha = made.commit("acme/flight-delay", "First", {"podium.yaml": "project: x\n", "a/b c.txt": "text"})
            return made

        yield start
