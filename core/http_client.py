"""Talks HTTP to the servers that a project names (MLflow's, Git hosts): bounded in time and size, with errors that
say what to do.

Knows HTTP and nothing of what is said over it: each server's own words (its error codes, its hints) belong to who
uses the client. What holds for all:

- a time-out for connecting, for each piece, and for the whole answer; an answer has a largest size;
- calls that may be made twice are repeated after a pause when the server is overloaded or has dropped a connection;
- credentials belong to one origin (scheme, host, port) and are sent nowhere else, and over plain http to this machine
  alone. A redirect to another origin is never followed;
- a server on this machine is never asked through a proxy, whatever HTTP_PROXY says.

The only other clients are `core/delivery/host/http.py` and `core/delivery/replay/sending.py`, which ask our own
replicas on addresses that Podium chose, a thousand times a second, where loading httpx would cost more than the
question (docs/dependencies.md).
"""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from .closing import Closing
from .errors import Refused, Unreachable
from .known_secrets import in_address, known

if TYPE_CHECKING:
    import ssl
    import threading

    import httpx

# What a proxy is never asked for: in the form that no_proxy takes.
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_RETRIED = frozenset({429, 502, 503, 504})
_REPEATABLE = frozenset({"GET", "HEAD"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# A server that wants us to wait longer is told to the person instead.
_MAX_PAUSE = 5.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds what one server may take of us."""

    connect_seconds: float = 3.0
    """Until the connection stands."""
    read_seconds: float = 15.0
    """Until the next piece of an answer is there."""
    answer_seconds: float = 60.0
    """Until the whole answer is there, from its request on. Downloads have no such bound: only each piece has."""
    answer_bytes: int = 64 << 20
    """Of an answer that is kept in memory."""
    retry_pauses: tuple[float, ...] = (0.2, 0.6)
    """Seconds before each repetition of a call that may be repeated."""
    redirects: int = 0
    """Followed at most, within one origin and for GET and HEAD alone."""
    repeated: frozenset[int] = _RETRIED
    """The answers after which a call that may be repeated is."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Names who is talked to: what credentials belong to."""

    scheme: str
    host: str
    port: int

    @property
    def loopback(self) -> bool:
        return is_loopback(self.host)

    @property
    def own(self) -> bool:
        """Tells whether it is certainly this machine: a name below `.localhost` may be asked of others."""
        return self.loopback and not self.host.endswith(".localhost")

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port in (0, _DEFAULT_PORTS.get(self.scheme)) else f":{self.port}"
        return f"{self.scheme}://{host}{port}"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Is one header that proves who asks, and the only origin that it is sent to."""

    origin: Origin
    value: str = field(repr=False)
    header: str = "Authorization"

    @classmethod
    def basic(cls, url: str, name: str, password: str) -> Credentials:
        known.remember(password)
        pair = base64.b64encode(f"{name}:{password}".encode()).decode()
        return cls(origin_of(url), f"Basic {pair}")

    @classmethod
    def bearer(cls, url: str, token: str) -> Credentials:
        known.remember(token)
        return cls(origin_of(url), f"Bearer {token}")

    @classmethod
    def token(cls, url: str, token: str) -> Credentials:
        """Returns them as Gitea's own tokens are sent."""
        known.remember(token)
        return cls(origin_of(url), f"token {token}")

    @classmethod
    def in_address(cls, url: str) -> Credentials | None:
        """Returns those that stand in the address itself (`https://anna:secret@host`); None where none do."""
        with suppress(ValueError):
            parts = urlsplit(url)
            if parts.username or parts.password:
                return cls.basic(url, unquote(parts.username or ""), unquote(parts.password or ""))
        return None


@dataclass(frozen=True, slots=True)
class Trust:
    """Says which certificates are believed, and which one is shown."""

    verify: bool = True
    bundle: str = ""
    client_certificate: str = ""
    variable: str = "SSL_CERT_FILE"
    """The variable that can name other certificates."""

    @property
    def hint(self) -> str:
        return f"if it is the server that you mean, name the certificate of its authority (PEM) in {self.variable}"


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """Is a whole answer. `body` is empty after a download that went well: it is in the file then."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def good(self) -> bool:
        return self.status < 300

    def document(self) -> dict[str, Any] | None:
        """Returns the JSON object that was answered ({} for nothing at all); None for anything else."""
        try:
            found = json.loads(self.body or b"{}")
        except (ValueError, RecursionError):
            return None
        return cast("dict[str, Any]", found) if isinstance(found, dict) else None

    def redirect(self) -> str:
        """Returns where the server sends us, fit to be shown; empty when it does not."""
        where = self.headers.get("location", "") if 300 <= self.status < 400 else ""
        return printable(shown(where.partition("?")[0]), 100)


class HttpClient(Closing):
    """Asks one server. Connections are kept; `close()` gives them back. Not for use by several threads at once."""

    def __init__(
        self,
        url: str,
        *,
        subject: str = "the server at",
        hint: str = "",
        credentials: Credentials | None = None,
        trust: Trust | None = None,
        limits: Limits | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`subject` and `hint` are for the error when it does not answer: `<subject> <name> cannot be reached`, and
        what to do about it."""
        self._url = _without_user(url.rstrip("/"))
        self.name = shown(url.rstrip("/"))
        self.origin = origin_of(url)
        self._subject, self._hint = subject, hint
        self._credentials = credentials or Credentials.in_address(url)
        self._trust = trust or Trust()
        self.limits = limits or Limits()
        self._headers = dict(headers or {})
        self._client: httpx.Client | None = None
        self._streams: list[Any] = []

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
        self._streams.clear()

    def use(self, credentials: Credentials | None) -> None:
        """Sends these from now on, where others have run out."""
        self._credentials = credentials

    def ask(self, method: str, path: str, *, repeat: bool | None = None, **options: Any) -> HttpResponse:
        """Returns the whole answer, whatever its status. `repeat` says that the call may be carried out twice (GET
        and HEAD always may); `options` are httpx's (`params`, `json`, `content`, `headers`). Unreachable when there
        is no answer, or one that is too large or too slow."""
        pauses = iter(self.limits.retry_pauses if (method in _REPEATABLE if repeat is None else repeat) else ())
        while True:
            try:
                answer = self._followed(method, path, options)
                pause = next(pauses, None) if answer.status in self.limits.repeated else None
                if pause is None:
                    return answer
                pause = _asked_pause(answer, pause)
                if pause > _MAX_PAUSE:
                    return answer
            except _Dropped as error:
                pause = next(pauses, None)
                if pause is None:
                    raise error.problem from error.__cause__
            time.sleep(pause)

    def download(self, path: str, into: BinaryIO, *, size: int | None = None) -> HttpResponse:
        """Writes what lies at `path` into an open file, as it comes. `size` is what was promised: one byte more or
        less is an error. With a status that is none of success nothing is written, and the answer has its body."""
        received = 0
        with self._dropped_is_unreachable(), self._sent("GET", path, {}) as response:
            if response.status_code >= 300:
                return self._answer(response)
            for chunk in response.iter_bytes():
                received += len(chunk)
                if size is not None and received > size:
                    break
                into.write(chunk)
            if size is not None and received != size:
                raise Unreachable(
                    f"{self.name} sent {received} of {size} bytes", hint="try again; the connection was cut"
                )
            return HttpResponse(response.status_code, response.headers)

    def _followed(self, method: str, path: str, options: Mapping[str, Any]) -> HttpResponse:
        left = self.limits.redirects if method in _REPEATABLE else 0
        while True:
            with self._deadline(), self._sent(method, path, options) as response:
                answer = self._answer(response)
                target = _onward(response)
            if not left or not target or origin_of(target) != self.origin:
                return answer
            left -= 1
            path, options = target, {name: value for name, value in options.items() if name != "params"}

    def _answer(self, response: httpx.Response) -> HttpResponse:
        return HttpResponse(response.status_code, response.headers, self._bounded(response.iter_bytes()))

    def _bounded(self, chunks: Iterator[bytes]) -> bytes:
        parts: list[bytes] = []
        total = 0
        for chunk in chunks:
            total += len(chunk)
            if total > self.limits.answer_bytes:
                limit = self.limits.answer_bytes >> 20
                raise Unreachable(
                    f"{self.name} answered with more than {limit} MiB", hint="ask for fewer things, or delete old ones"
                )
            parts.append(chunk)
        return b"".join(parts)

    # -- one request
    # -----------------------------------------------------------------------------------------------------------

    @contextmanager
    def _sent(self, method: str, path: str, options: Mapping[str, Any]) -> Generator[httpx.Response]:
        """Sends one request and gives the answer, which streams. Every failure becomes Unreachable, or _Dropped
        where repeating may help."""
        loaded()
        import httpx

        dropped = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)
        try:
            client = self._connected()
            response = client.send(self._request(client, method, path, options), stream=True)
        except httpx.TimeoutException as error:
            raise Unreachable(f"{self._subject} {self.name} does not answer in time", hint=self._hint) from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            words = printable(error) or type(error).__name__
            hint = self._trust.hint if "CERTIFICATE_VERIFY_FAILED" in words else self._hint
            problem = Unreachable(f"{self._subject} {self.name} cannot be reached: {words}", hint=hint)
            raise (_Dropped(problem) if isinstance(error, dropped) else problem) from error
        try:
            yield response
        except httpx.HTTPError as error:
            words = printable(error) or type(error).__name__
            problem = Unreachable(f"{self.name} broke off its answer: {words}", hint="try again")
            raise (_Dropped(problem) if isinstance(error, dropped) else problem) from error
        finally:
            response.close()

    def _request(self, client: httpx.Client, method: str, path: str, options: Mapping[str, Any]) -> httpx.Request:
        given = {key: value for key, value in options.items() if value is not None}
        request = client.build_request(method, path, extensions={"trace": self._note_stream}, **given)
        target = origin_of(str(request.url))
        if target != self.origin:
            raise Refused(
                f"{printable(shown(str(request.url)), 100)} is not on {self.name}",
                hint="check what that server answers",
            )
        if self._credentials is not None and self._credentials.origin == target:
            if target.scheme == "http" and not target.own:
                raise Refused(
                    f"no credential is sent to {self.name}: over plain http everybody on the way reads it",
                    hint="use its https:// address, or a tunnel that ends on 127.0.0.1",
                )
            request.headers[self._credentials.header] = self._credentials.value
        return request

    def _connected(self) -> httpx.Client:
        import httpx

        if self._client is None:
            limits = self.limits
            client = httpx.Client(
                base_url=self._url,
                timeout=httpx.Timeout(limits.read_seconds, connect=limits.connect_seconds),
                headers=self._headers,
                verify=self._verify(),
                follow_redirects=False,
                trust_env=not self.origin.loopback,
            )
            if origin_of(str(client.base_url)) != self.origin:
                raise ValueError("this is not an address")
            self._client = client
        return self._client

    def _verify(self) -> ssl.SSLContext | bool:
        import ssl

        import httpx

        trust = self._trust
        if self.origin.scheme == "http":
            return False  # nothing to verify, and reading the certificate bundle costs 30 ms
        named = trust.bundle if trust.verify else ""
        try:
            if named:
                many = Path(named).is_dir()
                context = ssl.create_default_context(capath=named if many else None, cafile=None if many else named)
            else:
                context = httpx.create_ssl_context(verify=trust.verify)
            if named := trust.client_certificate:
                context.load_cert_chain(named)
        except OSError as error:
            raise Unreachable(
                f"the certificates in {named or 'SSL_CERT_FILE'} cannot be read: {printable(error)}",
                hint="correct the variable that names them: a file has to hold certificates as PEM",
            ) from error
        return context

    # -- the whole answer's time
    # -----------------------------------------------------------------------------------------------

    def _note_stream(self, event: str, info: Mapping[str, Any]) -> None:
        """Remembers each new connection, so that a late answer can be cut off."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._streams = [*self._streams[-3:], info["return_value"]]

    @contextmanager
    def _deadline(self) -> Generator[None]:
        """Cuts the connection when the answer is not whole in time. httpx bounds each piece, and a server that sends
        a byte at a time, of its headers too, would never be late."""
        import threading

        late = threading.Event()
        timer = threading.Timer(self.limits.answer_seconds, self._cut, [late])
        timer.daemon = True
        timer.start()
        problem: Exception | None = None
        try:
            yield
        except (_Dropped, Unreachable) as error:
            if not late.is_set():
                raise
            problem = error
        finally:
            timer.cancel()
        if late.is_set():  # also where the cut looks like the answer's own end
            seconds = self.limits.answer_seconds
            raise Unreachable(
                f"{self.name} did not finish its answer within {seconds:g} s", hint="look at the server's load"
            ) from problem

    def _cut(self, late: threading.Event) -> None:
        import socket

        late.set()
        for stream in self._streams:
            connection = stream.get_extra_info("socket")
            if connection is not None:
                with suppress(OSError):
                    # The plain socket's: a TLS one would first say good-bye, and wait for the answer.
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)

    @contextmanager
    def _dropped_is_unreachable(self) -> Generator[None]:
        try:
            yield
        except _Dropped as error:
            raise error.problem from error.__cause__


class _Dropped(Exception):
    """A connection that ended in the middle: a server closes those that it has kept long enough, and one request is
    the first to notice."""

    def __init__(self, problem: Unreachable) -> None:
        super().__init__(problem.message)
        self.problem = problem


def _onward(response: httpx.Response) -> str:
    """Returns where a redirect leads; empty where there is none, or none that can be understood."""
    import httpx

    where = response.headers.get("location", "") if response.status_code in _REDIRECTS else ""
    with suppress(httpx.InvalidURL, ValueError):
        return str(response.url.join(where)) if where else ""
    return ""


def _asked_pause(answer: HttpResponse, pause: float) -> float:
    """Returns how long to wait: at least `pause`, and what the server asks for in seconds."""
    asked = answer.headers.get("retry-after", "")
    return max(pause, float(asked)) if asked.isascii() and asked.isdecimal() and len(asked) < 9 else pause


# -- addresses
# ---------------------------------------------------------------------------------------------------------------------


def origin_of(url: str) -> Origin:
    """Returns whom the address names. Of something that is no address, an origin that equals no server's."""
    try:
        parts = urlsplit(url)
        scheme, host = parts.scheme.lower(), (parts.hostname or "").rstrip(".")
        if not host.isascii():
            import idna

            host = idna.encode(host).decode()
        return Origin(scheme, host, parts.port or _DEFAULT_PORTS.get(scheme, 0))
    except ValueError:
        return Origin("", "", 0)


def is_loopback(host: str) -> bool:
    """Whether the host is this machine, by its name or number."""
    import ipaddress

    plain = host.strip("[]").rstrip(".").lower()
    if plain == "localhost" or plain.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(plain).is_loopback
    except ValueError:
        return False


def without_proxy_for_loopback(environ: Mapping[str, str], *, always: bool = False) -> dict[str, str]:
    """Returns an environment of a child process, with loopback added to `no_proxy` where a proxy is set: what is on
    this machine is not behind it. `always` is for programs that have a setting of their own for a proxy."""
    proxies = ("http_proxy", "https_proxy", "all_proxy")
    if not always and not any(name.lower() in proxies and value for name, value in environ.items()):
        return dict(environ)
    names = [name for name in environ if name.lower() == "no_proxy"] or ["no_proxy", "NO_PROXY"]
    return {**environ, **{name: _with_loopback(environ.get(name, "")) for name in names}}


def _with_loopback(no_proxy: str) -> str:
    known = [one.strip() for one in no_proxy.split(",") if one.strip()]
    return no_proxy if "*" in known else ",".join([*known, *(one for one in LOOPBACK if one not in known)])


def shown(uri: str) -> str:
    """Returns the address without a user's name and password in it, also where it is none: a password that holds `/`,
    `?` or `#` as it is."""
    if "@" not in uri:
        return uri
    try:
        parts = urlsplit(uri)
    except ValueError:  # not an address at all: say only what cannot hold a password
        return uri.rpartition("@")[2]
    if "@" in parts.netloc:
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    if any(True for _ in in_address(uri)):
        return f"{parts.scheme}://{uri.rpartition('@')[2]}"
    return uri  # as it was written: put together again, a file's address would lose slashes


_without_user = shown


def printable(text: object, limit: int = 300) -> str:
    """Returns a server's words, fit for one line of an error."""
    flat = "".join(letter if letter.isprintable() else " " for letter in str(text)[: limit * 2])
    return " ".join(flat.split())[:limit]


def escaped(path: str) -> str:
    """Returns the path as it stands in an address."""
    return quote(path, safe="/")


def loaded() -> ModuleType:
    """Returns httpx, without its command line: that one loads click, rich and pygments, which is half of the
    import's time. None in the table of modules is Python's way to say "not installed", which httpx provides for."""
    if "httpx" in sys.modules:
        return sys.modules["httpx"]
    sys.modules.setdefault("httpx._main", cast("ModuleType", None))
    try:
        import httpx
    finally:
        if not sys.modules.get("httpx._main"):
            sys.modules.pop("httpx._main", None)
    return httpx
