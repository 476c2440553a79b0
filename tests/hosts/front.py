"""A server in front of a forge, as companies have one: with TLS, below a path, or with another name for a repository."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
from podium.core.demo.forge import Forge

from tests.runner.scale import scaled

# (status, headers, body) instead of what the forge answers.
Instead = Callable[[str, str], tuple[int, Mapping[str, str], bytes] | None]
_PASSED = ("authorization", "content-type", "content-encoding", "accept", "if-none-match", "git-protocol", "range")
_BACK = ("content-type", "etag", "link", "location", "cache-control")


@contextlib.contextmanager
def front(
    forge: Forge, *, below: str = "", tls: Path | None = None, instead: Instead = lambda method, target: None
) -> Iterator[str]:
    """Gives the address at which the forge is then. `tls` is a directory with a certificate (`tests/servers/tls.py`)."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = (
                self.rfile.read(int(self.headers.get("Content-Length") or 0)) if not self._chunked() else self._parts()
            )
            status, headers, content = instead(self.command, self.path) or self._forge(body)
            self.send_response_only(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def _chunked(self) -> bool:
            return self.headers.get("Transfer-Encoding", "").lower() == "chunked"

        def _parts(self) -> bytes:
            parts = b""
            while size := int(self.rfile.readline().strip() or b"0", 16):
                parts += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return parts

        def _forge(self, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
            if not self.path.startswith(f"{below}/"):
                return 404, {}, b"nothing here"
            given = {name: value for name, value in self.headers.items() if name.lower() in _PASSED}
            target = forge_at + self.path.removeprefix(below)
            answer = asking.request(self.command, target, headers=given, content=body)
            return answer.status_code, {n: v for n, v in answer.headers.items() if n.lower() in _BACK}, answer.content

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

        def log_message(self, format: str, *args: object) -> None: ...

    forge_at = forge.url
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that believes no certificate
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls / "server-cert.pem", tls / "server-key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    url = f"{'https' if tls is not None else 'http'}://127.0.0.1:{server.server_address[1]}{below}"
    # What the forge says of itself, as it is configured there.
    forge.links.web, forge.links.api = url, url + forge.dialect.prefixes[0]
    with httpx.Client(timeout=scaled(30), trust_env=False) as asking:
        try:
            yield url
        finally:
            server.shutdown()
            server.server_close()
            thread.join(scaled(5))
