"""Receives webhooks of the Git host. All that one does is ring the agent's bell: the host is asked then, so a forged or
a lost one costs a look and no more. Nothing in its body is read; it is signed, small, new, and comes in time, or it is
refused."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final, Self

from ..domain.frozen import Frozen
from ..domain.project import Project
from ..errors import Refused, UsageError
from ..replacing import replace_file
from .wake import wake

MAX_BODY: Final = 1 << 20
MAX_CONNECTIONS: Final = 16
# A request has so long, in all: one byte now and then keeps nobody out.
REQUEST_TIMEOUT: Final = 15.0
# How old a signature with a time may be, or how far ahead.
MAX_AGE: Final = 300.0
REMEMBERED: Final = 2000
KEPT: Final = "agent.deliveries"
_HASH_LENGTH: Final = 32
_IDS: Final = ("x-github-delivery", "x-gitea-delivery", "x-forgejo-delivery", "webhook-id", "x-gitlab-event-uuid")


def listening(text: str, option: str = "--listen") -> tuple[str, int]:
    """Returns (address, port) of `PORT`, which is on this machine only, or `ADDRESS:PORT`. Raises UsageError, which
    names the option."""
    address, colon, port = text.rpartition(":")
    if not port.isdecimal() or not 0 <= int(port) < 1 << 16 or (colon and not address):
        raise UsageError(f"{option} {text}: not of the form PORT or ADDRESS:PORT", hint=f"{option} 127.0.0.1:8140")
    return address.strip("[]") or "127.0.0.1", int(port)


def may_listen(where: str, secret: str) -> tuple[str, int]:
    """Returns what `listening` does. Raises Refused without a secret, too."""
    if not secret:
        hint = "add git.webhook_secret: ${WEBHOOK_SECRET} to podium.yaml, and the same to the host's webhook"
        raise Refused("a webhook without a secret could be anybody's", hint=hint)
    return listening(where)


def signed(secret: str, kind: str, headers: Mapping[str, str], body: bytes, now: float) -> bool:
    """Tells whether a request was made by who knows the secret. `headers` have names in lower case; `kind` is the
    host's, empty for any. Compares in constant time."""
    key = secret.encode()
    mac = hmac.new(key, body, hashlib.sha256).hexdigest()
    if "x-hub-signature-256" in headers and kind != "gitlab":
        return _same(headers["x-hub-signature-256"], f"sha256={mac}")
    for name in ("x-gitea-signature", "x-forgejo-signature"):
        if name in headers and kind in ("", "git", "gitea"):
            return _same(headers[name], mac)
    if kind not in ("", "git", "gitlab"):
        return False
    if "webhook-signature" in headers:
        return _signed_with_time(secret, headers, body, now)
    return "x-gitlab-token" in headers and _same(headers["x-gitlab-token"], secret)


def _signed_with_time(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> bool:
    """Checks GitLab's newer form: `v1,` and the base64 of an HMAC over id, time and body. Its key is what follows
    `whsec_`, in base64."""
    identity, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not identity or not at.isdecimal() or len(at) > 12 or abs(now - int(at)) > MAX_AGE:
        return False
    key = secret.encode()
    if secret.startswith("whsec_"):
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except (binascii.Error, ValueError):
            return False
    mac = hmac.new(key, f"{identity}.{at}.".encode() + body, hashlib.sha256).digest()
    wanted = f"v1,{base64.b64encode(mac).decode()}"
    return any(_same(each, wanted) for each in headers["webhook-signature"].split(" ")[:8])


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode())


class Remembered:
    """The deliveries that came last, by what names them and by their bodies: each counts once, for the next agent of
    the project too. The file has a hash a line, and is written anew when it has twice as many as count."""

    def __init__(self, file: Path, limit: int = REMEMBERED) -> None:
        self._file, self._limit, self._seen = file, limit, OrderedDict[str, None]()
        self._lock = threading.Lock()
        with suppress(OSError):
            lines = file.read_text("ascii", "replace").splitlines()
            self._seen.update(dict.fromkeys(line for line in lines if len(line) == _HASH_LENGTH))
            self._forget()
        self._written = 2 * limit  # what a crash or another version has left of the file is written anew first

    def is_new(self, headers: Mapping[str, str], body: bytes) -> bool:
        names = {f"{name} {headers[name][:200]}" for name in _IDS if name in headers}
        hashes = {_hash(body), *(_hash(name.encode("utf-8", "surrogatepass")) for name in names)}
        with self._lock:
            new = hashes - self._seen.keys()
            self._seen.update(dict.fromkeys(new))
            self._forget()
            with suppress(OSError):  # on a full disk one that comes again after a restart costs a look, and no more
                self._keep(new)
        return new == hashes

    def _forget(self) -> None:
        while len(self._seen) > self._limit:
            self._seen.popitem(last=False)

    def _keep(self, new: set[str]) -> None:
        if self._written + len(new) > 2 * self._limit:
            replace_file(self._file, "".join(f"{each}\n" for each in self._seen))
            self._written = len(self._seen)
            return
        handle = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write("".join(f"{each}\n" for each in new))
        self._written += len(new)


def _hash(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:_HASH_LENGTH]


class SmallServer(ThreadingHTTPServer):
    """A server of a few connections, each of which has a bounded time."""

    daemon_threads, block_on_close, request_queue_size = True, False, 32

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._places = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(address, handler)

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)  # type: ignore[arg-type]
        except BaseException:  # no thread is to be had, which may be over soon; whoever called closes the connection
            self._places.release()
            raise

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        assert isinstance(request, socket.socket)
        end = threading.Timer(REQUEST_TIMEOUT, _cut, (request,))
        end.daemon = True
        try:
            end.start()
            super().process_request_thread(request, client_address)  # type: ignore[arg-type]
        except RuntimeError:  # no thread is to be had that would cut it off: it is not read at all
            self.shutdown_request(request)
        finally:
            end.cancel()
            self._places.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing: a client that goes away is none of our troubles."""


def _cut(request: socket.socket) -> None:
    with suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)


class Bell(Frozen):
    """What a webhook rings: a project's agent, with the secret and the kind of host that its podium.yaml has now."""

    home: Path
    secret: str
    kind: str = ""


def bell(project: Project) -> Bell:
    """Returns the project's bell."""
    git = project.git
    return Bell(project.home, git.webhook_secret, git.host.kind if git.host is not None else "")


class Receiver:
    """Listens until it is closed."""

    def __init__(self, bells: Callable[[], Sequence[Bell]], where: str, say: Callable[[str], None]) -> None:
        """`bells` returns those there are now: a webhook rings each whose secret it is signed with. Raises Refused if
        none has a secret, and where nobody can listen there."""
        address = may_listen(where, next((bell.secret for bell in bells() if bell.secret), ""))
        seen: dict[Path, Remembered] = {}

        def is_new(home: Path, headers: Mapping[str, str], body: bytes) -> bool:
            if home not in seen:
                seen[home] = Remembered(home / ".podium" / KEPT)
            return seen[home].is_new(headers, body)

        class Handler(_Handler):
            def verdict(self, headers: Mapping[str, str], body: bytes) -> int:
                now = time.time()
                rung = [
                    bell.home for bell in bells() if bell.secret and signed(bell.secret, bell.kind, headers, body, now)
                ]
                if not rung:
                    return 401
                new = [home for home in rung if is_new(home, headers, body)]
                for home in new:
                    wake(home)
                return 204 if new else 409

        try:
            self._server = SmallServer(address, Handler)
        except OSError as error:
            raise Refused(f"--listen {where}: {error.strerror or error}", hint="is another program there?") from None
        self.port = int(self._server.server_address[1])
        say(f"webhooks are received at http://{where if ':' in where else f'{address[0]}:{where}'}/")
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.2,), name="webhooks", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5.0)


class _Handler(BaseHTTPRequestHandler):
    timeout = REQUEST_TIMEOUT
    server_version, sys_version = "podium", ""

    def verdict(self, headers: Mapping[str, str], body: bytes) -> int:
        raise NotImplementedError

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or self.headers.get("Transfer-Encoding"):
            self._answer(411)
            return
        if len(length) > 9 or int(length) > MAX_BODY:
            self._answer(413)
            return
        body = self.rfile.read(int(length))
        if len(body) == int(length):
            self._answer(self.verdict({name.lower(): value for name, value in self.headers.items()}, body))

    def _answer(self, status: int) -> None:
        self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Writes nothing: what strangers send does not belong in the agent's log."""
