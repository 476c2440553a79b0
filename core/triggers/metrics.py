"""Shows the agent's series to an existing Prometheus, at `/metrics`: on this machine alone, or to who has a token."""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

from ..domain.project import Project
from ..errors import PodiumError, Refused
from ..http_client import is_loopback
from ..journal import Journal
from .webhooks import SmallServer, listening

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def may_show(where: str, token: str) -> tuple[str, int]:
    """Returns (address, port) of `PORT`, which is on this machine only, or `ADDRESS:PORT`. Raises UsageError, and
    Refused for another machine to see without a token."""
    address, port = listening(where, "--metrics")
    if not token and not is_loopback(address):
        hint = "add metrics: {token: ${METRICS_TOKEN}} to podium.yaml, or listen on 127.0.0.1"
        raise Refused(f"--metrics {where}: everybody there could read them", hint=hint)
    return address, port


class Metrics:
    """A job of the agent: listens where podium.yaml says, or where it was told when it was started (`where`), and
    elsewhere once that changes."""

    def __init__(self, project: Callable[[], Project], where: str = "") -> None:
        self._project, self._where = project, where
        self._listens = ("", "")
        self._server: SmallServer | None = None

    def __call__(self, project: Project, journal: Journal) -> None:
        """Raises Refused where it may not or cannot listen; that is tried again."""
        wanted = (self._where or project.metrics.listen, project.metrics.token)
        if wanted == self._listens:
            return
        self.close()
        if wanted[0]:
            self._server = _served(self._project, *wanted)
        self._listens = wanted

    @property
    def port(self) -> int:
        """Returns the port that it listens on; 0 if it does not."""
        return int(self._server.server_address[1]) if self._server is not None else 0

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        self._server, self._listens = None, ("", "")


def _served(project: Callable[[], Project], where: str, token: str) -> SmallServer:
    class Handler(_Handler):
        def text(self) -> str:
            return _text(project())

        def may(self, given: str) -> bool:
            # The server reads headers as Latin-1, whatever bytes they have.
            return not token or hmac.compare_digest(given.encode("latin-1"), f"Bearer {token}".encode())

    try:
        server = SmallServer(may_show(where, token), Handler)
    except OSError as error:
        raise Refused(f"--metrics {where}: {error.strerror or error}", hint="is another program there?") from None
    threading.Thread(target=server.serve_forever, args=(0.2,), name="metrics", daemon=True).start()
    return server


def _text(project: Project) -> str:
    from ..alerts.exposition import exposition

    with Journal.open(project.state / "journal.db", create=False, read_only=True) as journal:
        return exposition(project, journal, time.time())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10.0

    def text(self) -> str:
        raise NotImplementedError

    def may(self, given: str) -> bool:
        raise NotImplementedError

    def do_GET(self) -> None:
        if not self.may(self.headers.get("Authorization", "")):
            self._answer(401, "", {"WWW-Authenticate": "Bearer"})
        elif self.path.partition("?")[0] != "/metrics":
            self._answer(404, "see /metrics\n")
        else:
            try:
                self._answer(200, self.text(), {"Content-Type": CONTENT_TYPE})
            except PodiumError as error:  # a journal that cannot be read now
                self._answer(503, f"{error.message}\n")

    def _answer(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        body = text.encode()
        self.close_connection = True
        self.send_response(status)
        for name, value in {"Content-Type": "text/plain", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Writes nothing: a scrape every few seconds does not belong in the agent's log."""
