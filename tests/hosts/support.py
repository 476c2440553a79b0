"""What the tests of the forge share: a listener for webhooks, and git with a user's settings of its own."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.runner.scale import scaled


class Received:
    """The webhooks that came: (headers with names in lower case, body)."""

    def __init__(self) -> None:
        self.url = ""
        self.all: list[tuple[dict[str, str], bytes]] = []

    def of(self, header: str, value: str) -> list[tuple[dict[str, str], bytes]]:
        return [found for found in self.all if found[0].get(header) == value]


@contextmanager
def webhook_receiver() -> Iterator[Received]:
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.all.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
        thread.join(scaled(5))


def run_git(where: Path, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs git without a prompt and without this machine's settings."""
    environment = {
        **os.environ,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        **{
            f"GIT_{role}_{what}": "nina" if what == "NAME" else "nina@example.org"
            for role in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        },
        **(env or {}),
    }
    return subprocess.run(
        ["git", *arguments], cwd=where, env=environment, capture_output=True, text=True, timeout=scaled(60)
    )


def commit_file(where: Path, name: str, text: str, message: str) -> str:
    (where / name).write_text(text)
    assert run_git(where, "add", name).returncode == 0
    done = run_git(where, "commit", "-q", "-m", message)
    assert done.returncode == 0, done.stderr
    return run_git(where, "rev-parse", "HEAD").stdout.strip()
