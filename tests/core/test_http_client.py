"""The HTTP client: bounded in time and size, credentials that stay where they belong, no proxy for this machine, and
words that help."""

from __future__ import annotations

import base64
import contextlib
import io
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from podium.core import http_client
from podium.core.errors import Refused, Unreachable
from podium.core.http_client import Credentials, HttpClient, Limits, Origin, Trust, is_loopback, origin_of, shown

from tests.runner.scale import scaled
from tests.servers import tls
from tests.support import free_port

QUICK = Limits(connect_seconds=2.0, read_seconds=0.5, answer_seconds=30.0, retry_pauses=(0.0, 0.0))


@dataclass
class Asked:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Web:
    """A server that keeps what it was asked, and answers by `reply(request)`: (status, headers, body)."""

    port: int
    reply: Callable[[BaseHTTPRequestHandler], tuple[int, dict[str, str], bytes]]
    asked: list[Asked] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self, *answers: tuple[int, dict[str, str], bytes]) -> None:
        """Gives these in turn, the last for ever."""
        left = list(answers)
        self.reply = lambda _: left.pop(0) if len(left) > 1 else left[0]


def well(_: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, b'{"well": true}'


@pytest.fixture
def web() -> Iterator[Callable[..., Web]]:
    servers: list[ThreadingHTTPServer] = []

    def start(*, context: ssl.SSLContext | None = None) -> Web:
        made = Web(0, well)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                made.asked.append(Asked(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                status, headers, content = made.reply(self)
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    for name, value in {"Content-Length": str(len(content)), **headers}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = do_CONNECT = _serve

            def log_message(self, *_: object) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        made.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        return made

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def raw() -> Iterator[Callable[..., str]]:
    """Starts a server that does with each connection what it is told, byte by byte; returns its address."""
    closing = contextlib.ExitStack()

    def start(handle: Callable[[socket.socket], None]) -> str:
        listening = closing.enter_context(socket.create_server(("127.0.0.1", 0)))

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    threading.Thread(target=one, args=[connection], daemon=True).start()

        def one(connection: socket.socket) -> None:
            with contextlib.suppress(OSError), connection:
                handle(connection)

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    with closing:
        yield start


def client(url: str, limits: Limits = QUICK, **more: Any) -> HttpClient:
    return HttpClient(url, limits=limits, hint="start it", **more)


def problem(one: HttpClient, path: str = "/") -> Unreachable:
    with pytest.raises(Unreachable) as caught:
        one.ask("GET", path)
    return caught.value


# -- what is asked -----------------------------------------------------------------------------------------------------


def test_an_answer_has_its_status_its_headers_and_its_body(web: Callable[..., Web]) -> None:
    server = web()
    server.answers((404, {"X-Why": "gone"}, b"no"), (200, {}, b"[1]"), (204, {}, b""))
    with client(f"{server.url}/base/") as one:
        answer = one.ask("GET", "/a b", params={"q": "x&y"})
        assert (answer.status, answer.headers.get("x-why"), answer.body, answer.good) == (404, "gone", b"no", False)
        assert answer.document() is None and one.ask("GET", "/").document() is None
        assert one.ask("GET", "/").document() == {}
        one.ask("POST", "/p", json={"k": "ü"})
    assert server.asked[0].target == "/base/a%20b?q=x%26y"
    assert (server.asked[3].method, server.asked[3].body) == ("POST", '{"k":"ü"}'.encode())


def test_one_connection_serves_several_questions(web: Callable[..., Web]) -> None:
    server, ports = web(), set[int]()

    def reply(request: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        ports.add(request.client_address[1])
        return well(request)

    server.reply = reply
    with client(server.url) as one:
        for _ in range(3):
            one.ask("GET", "/")
    assert len(ports) == 1


# -- time and size -----------------------------------------------------------------------------------------------------


def test_a_server_that_is_not_there_is_named_with_what_to_do(web: Callable[..., Web]) -> None:
    error = problem(client(f"http://anna:secret@127.0.0.1:{free_port()}", subject="the Git host"))
    assert error.message.startswith("the Git host http://127.0.0.1:") and "cannot be reached" in error.message
    assert error.hint == "start it" and "secret" not in error.message


def silent(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.recv(4096)


def drip(connection: socket.socket, beginning: bytes) -> None:
    """Sends a piece every now and then, and never comes to an end."""
    connection.recv(4096)
    connection.sendall(beginning)
    connection.settimeout(0.05)
    while True:
        connection.sendall(b"x")
        with contextlib.suppress(TimeoutError):
            if not connection.recv(1):
                return


def test_a_server_that_says_nothing_is_given_up(raw: Callable[..., str]) -> None:
    assert "does not answer in time" in problem(client(raw(silent))).message


@pytest.mark.parametrize(
    "beginning", [b"HTTP/1.1 200 OK\r\nX-Long: ", b"HTTP/1.1 200 OK\r\n\r\n"], ids=["head", "body"]
)
def test_an_answer_that_comes_a_letter_at_a_time_is_cut_off(raw: Callable[..., str], beginning: bytes) -> None:
    one = client(raw(lambda connection: drip(connection, beginning)), replace(QUICK, answer_seconds=1.0))
    assert "did not finish its answer within 1 s" in problem(one).message


def test_an_answer_that_is_too_large_is_not_read_to_its_end(web: Callable[..., Web]) -> None:
    server = web()
    server.answers((200, {}, b" " * (3 << 20)))
    assert "more than 1 MiB" in problem(client(server.url, replace(QUICK, answer_bytes=1 << 20))).message


def test_something_else_than_http_is_an_error_in_words(raw: Callable[..., str]) -> None:
    def banner(connection: socket.socket) -> None:
        connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        connection.recv(4096)

    assert "cannot be reached" in problem(client(raw(banner))).message


@pytest.mark.parametrize(
    "url", ["http://", "http://exa mple", "http://[::1", "http://127.0.0.1:99999", "gopher://x", ""]
)
def test_an_address_that_is_none_is_unreachable(url: str) -> None:
    problem(client(url))


# -- repetition --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_passing_weakness_is_asked_again_where_that_is_safe(web: Callable[..., Web], status: int) -> None:
    server = web()
    for method, repeat, times in (("GET", None, 2), ("POST", None, 1), ("POST", True, 2), ("GET", False, 1)):
        server.asked.clear()
        server.answers((status, {}, b"later"), (200, {}, b"{}"))
        with client(server.url) as one:
            assert one.ask(method, "/", repeat=repeat).good is (times == 2)
        assert len(server.asked) == times


def test_a_weakness_that_does_not_pass_is_answered_as_it_is(web: Callable[..., Web]) -> None:
    server = web()
    server.answers((503, {}, b"never"))
    with client(server.url) as one:
        assert one.ask("GET", "/").status == 503
    assert len(server.asked) == 3


def test_a_server_that_wants_a_long_pause_is_not_waited_for(web: Callable[..., Web]) -> None:
    server = web()
    server.answers((429, {"Retry-After": "3600"}, b"slowly"))
    with client(server.url) as one:
        assert one.ask("GET", "/").status == 429
    assert len(server.asked) == 1


def test_a_kept_connection_that_the_server_has_closed_is_no_error(raw: Callable[..., str]) -> None:
    seen: list[bytes] = []

    def once(connection: socket.socket) -> None:
        seen.append(connection.recv(4096))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        # It says that it keeps the connection, and closes it.

    with client(raw(once)) as one:
        assert one.ask("GET", "/").good and one.ask("GET", "/").good
    assert len(seen) == 2


def test_a_call_that_may_have_been_carried_out_is_not_made_again(raw: Callable[..., str]) -> None:
    seen: list[bytes] = []

    def drop(connection: socket.socket) -> None:
        seen.append(connection.recv(4096))

    address = raw(drop)
    with client(address) as one, pytest.raises(Unreachable):
        one.ask("POST", "/", json={})
    assert len(seen) == 1
    with client(address) as one, pytest.raises(Unreachable):
        one.ask("GET", "/")
    assert len(seen) == 4


# -- credentials and redirects -----------------------------------------------------------------------------------------


def test_credentials_go_to_their_own_server(web: Callable[..., Web]) -> None:
    server = web()
    for credentials in (
        Credentials.bearer(server.url, "t0ken"),
        Credentials(origin_of(server.url), "t0ken", "PRIVATE-TOKEN"),
    ):
        with client(server.url, credentials=credentials) as one:
            one.ask("GET", "/")
        assert server.asked[-1].headers[credentials.header.lower()] == credentials.value
        assert "t0ken" not in repr(credentials)
    with client(server.url.replace("//", "//anna:s%3Acret@")) as one:
        one.ask("GET", "/")
    assert server.asked[-1].headers["authorization"] == "Basic " + base64.b64encode(b"anna:s:cret").decode()


@pytest.mark.parametrize("other", ["http://127.0.0.1:1", "https://127.0.0.1:{port}", "http://localhost:{port}"])
def test_credentials_of_another_server_are_not_sent(web: Callable[..., Web], other: str) -> None:
    server = web()
    with client(server.url, credentials=Credentials.bearer(other.format(port=server.port), "t0ken")) as one:
        assert one.ask("GET", "/").good
    assert "authorization" not in server.asked[0].headers


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_server_is_not_followed(web: Callable[..., Web], status: int) -> None:
    first, second = web(), web()
    first.answers((status, {"Location": f"{second.url}/login?token=abc"}, b""))
    limits = replace(QUICK, redirects=5)
    with client(first.url, limits, credentials=Credentials.bearer(first.url, "t0ken")) as one:
        answer = one.ask("GET", "/")
        assert answer.status == status and answer.redirect() == f"{second.url}/login"
        got = io.BytesIO()
        assert one.download("/", got).status == status and got.getvalue() == b""
    assert second.asked == []


def test_a_redirect_within_a_server_is_followed_where_that_is_asked_for(web: Callable[..., Web]) -> None:
    server = web()
    server.answers(
        (301, {"Location": "/moved"}, b""), (302, {"Location": f"{server.url}/again"}, b""), (200, {}, b"{}")
    )
    credentials = Credentials.bearer(server.url, "t0ken")
    with client(server.url, replace(QUICK, redirects=5), credentials=credentials) as one:
        assert one.ask("GET", "/old", params={"a": "1"}).good
    assert [each.target for each in server.asked] == ["/old?a=1", "/moved", "/again"]
    assert all(each.headers["authorization"] == "Bearer t0ken" for each in server.asked)
    server.answers((301, {"Location": "/for-ever"}, b""))
    with client(server.url, replace(QUICK, redirects=2)) as one:
        assert one.ask("GET", "/").status == 301
        server.asked.clear()
        assert one.ask("POST", "/").status == 301 and len(server.asked) == 1
    with client(server.url) as one:
        server.asked.clear()
        assert one.ask("GET", "/").status == 301 and len(server.asked) == 1


@pytest.mark.parametrize("where", ["", "http://[", "\x01", "//", "http://user:pw@[::1"])
def test_a_redirect_to_nonsense_is_not_followed(web: Callable[..., Web], where: str) -> None:
    server = web()
    server.answers((302, {"Location": where}, b""))
    with client(server.url, replace(QUICK, redirects=5)) as one:
        try:
            assert one.ask("GET", "/").status == 302
        except Unreachable as error:
            assert "location" in error.message


def test_an_address_of_another_server_is_refused_before_anything_is_sent(web: Callable[..., Web]) -> None:
    first, second = web(), web()
    with client(first.url, credentials=Credentials.bearer(first.url, "t0ken")) as one, pytest.raises(Refused):
        one.ask("GET", f"{second.url}/next?page=2")
    assert first.asked == [] == second.asked
    with client(first.url) as one:
        assert one.ask("GET", f"{first.url}/next?page=2").good


# -- proxies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_server_on_this_machine_is_not_asked_through_a_proxy(
    web: Callable[..., Web], monkeypatch: pytest.MonkeyPatch, name: str, host: str
) -> None:
    server, proxy = web(), web()
    monkeypatch.setenv(name, proxy.url)
    with client(f"http://{host}:{server.port}") as one:
        assert one.ask("GET", "/").good
    assert len(server.asked) == 1 and proxy.asked == []


def test_any_other_server_is_asked_through_the_proxy(web: Callable[..., Web], monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = web()
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", proxy.url)
    with client("http://mlflow.example.test") as one:
        assert one.ask("GET", "/x").good
    assert proxy.asked[0].target == "http://mlflow.example.test/x"


@pytest.mark.parametrize(
    ("given", "got"),
    [
        ({}, {}),
        ({"NO_PROXY": "x"}, {"NO_PROXY": "x"}),
        ({"http_proxy": ""}, {"http_proxy": ""}),
        ({"http_proxy": "p"}, {"no_proxy": "localhost,127.0.0.1,::1", "NO_PROXY": "localhost,127.0.0.1,::1"}),
        ({"HTTPS_PROXY": "p", "NO_PROXY": "a, localhost"}, {"NO_PROXY": "a,localhost,127.0.0.1,::1"}),
        ({"all_proxy": "p", "no_proxy": "*"}, {"no_proxy": "*"}),
    ],
)
def test_what_is_on_this_machine_is_not_behind_a_childs_proxy(given: dict[str, str], got: dict[str, str]) -> None:
    assert http_client.without_proxy_for_loopback(given) == {**given, **got}


@pytest.mark.parametrize(
    ("host", "is_this_machine"),
    [
        ("localhost", True),
        ("a.localhost", True),
        ("LocalHost.", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
        ("10.0.0.1", False),
        ("", False),
    ],
)
def test_this_machine_is_known_by_its_names(host: str, is_this_machine: bool) -> None:
    assert is_loopback(host) is is_this_machine


def test_origins_are_compared_with_their_ports() -> None:
    assert (
        origin_of("HTTPS://User:pw@Example.com/x")
        == Origin("https", "example.com", 443)
        == origin_of("https://example.com.:443")
    )
    assert origin_of("http://example.com") == Origin("http", "example.com", 80)
    assert origin_of("http://bücher.example") == Origin("http", "xn--bcher-kva.example", 80)
    assert origin_of("http://h:99999") == Origin("", "", 0) == origin_of("http://[")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://u:p#ss?w/o@127.0.0.1:1", "http://127.0.0.1:1"),
        ("http://u:p/w@host/x", "http://host/x"),
        ("http://host:8080/x@y", "http://host:8080/x@y"),
        ("https://u:pw@host/x@y", "https://host/x@y"),
        ("postgresql+psycopg2://u:p?w@db/mlflow", "postgresql+psycopg2://db/mlflow"),
        ("sqlite:////home/a@b/mlflow.db", "sqlite:////home/a@b/mlflow.db"),
    ],
)
def test_a_password_that_is_no_part_of_an_address_is_not_shown_either(address: str, said: str) -> None:
    assert shown(address) == said


def test_what_is_sent_as_a_credential_is_hidden_in_errors() -> None:
    Credentials.basic("https://host", "anna", "pass/word-1")
    Credentials.bearer("https://host", "tok en-2")
    error = Refused("pass/word-1 pass%2Fword-1 YW5uYTpwYXNzL3dvcmQtMQ==", hint='say "tok+en-2"')
    assert "word-1" not in str(error) and "b3JkLT" not in error.message and error.hint == 'say "***"'


def test_addresses_are_shown_without_passwords() -> None:
    assert shown("https://anna:pw@host/x?y#z") == "https://host/x?y#z" and shown("http://[bad@host") == "host"


# -- files -------------------------------------------------------------------------------------------------------------


def test_a_download_streams_into_the_file_and_counts(web: Callable[..., Web]) -> None:
    server, got = web(), io.BytesIO()
    server.answers((200, {}, b"a" * (5 << 20)))
    with client(server.url, replace(QUICK, answer_bytes=1)) as one:
        assert one.download("/f", got, size=5 << 20).good and got.getvalue() == b"a" * (5 << 20)
        for promised in ((5 << 20) + 1, 100):
            with pytest.raises(Unreachable, match=f"of {promised} bytes"):
                one.download("/f", io.BytesIO(), size=promised)


def test_a_download_that_is_refused_writes_nothing(web: Callable[..., Web]) -> None:
    server, got = web(), io.BytesIO()
    server.answers((403, {}, b'{"message": "no"}'))
    with client(server.url) as one:
        answer = one.download("/f", got)
    assert answer.document() == {"message": "no"} and got.getvalue() == b""


def test_a_disk_that_is_full_is_not_the_servers_fault(web: Callable[..., Web]) -> None:
    server = web()
    server.answers((200, {}, b"a" * (1 << 20)))
    with (
        client(server.url) as one,
        open("/dev/full", "wb", buffering=0) as full,
        pytest.raises(OSError, match="No space"),
    ):
        one.download("/f", full)


# -- certificates ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if tls.missing():
        pytest.skip(tls.missing())
    return tls.make(tmp_path_factory.mktemp("authority"))


def serving(authority: Path, *, clients: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority / "server-cert.pem", authority / "server-key.pem")
    if clients:
        context.load_verify_locations(authority / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def test_a_certificate_is_checked_against_the_bundle_that_was_named(web: Callable[..., Web], authority: Path) -> None:
    url = web(context=serving(authority, clients=False)).url.replace("http", "https")
    assert "certificate" in problem(client(url)).message.lower()
    with client(url, trust=Trust(bundle=str(authority / "ca.pem"))) as one:
        assert one.ask("GET", "/").good
    with client(url, trust=Trust(verify=False)) as one:
        assert one.ask("GET", "/").good
    absent = str(authority / "none.pem")
    assert f"{absent} cannot be read" in problem(client(url, trust=Trust(bundle=absent))).message


def test_a_client_shows_its_certificate(web: Callable[..., Web], authority: Path) -> None:
    url = web(context=serving(authority, clients=True)).url.replace("http", "https")
    both = authority / "both.pem"
    both.write_bytes((authority / "cert.pem").read_bytes() + (authority / "key.pem").read_bytes())
    bundle = str(authority / "ca.pem")
    problem(client(url, trust=Trust(bundle=bundle)))
    with client(url, trust=Trust(bundle=bundle, client_certificate=str(both))) as one:
        assert one.ask("GET", "/").good


def test_an_answer_over_tls_is_cut_off_when_it_is_late(web: Callable[..., Web], authority: Path) -> None:
    server, ended = web(context=serving(authority, clients=False)), threading.Event()

    def reply(_: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        ended.wait(scaled(20))
        return 200, {}, b""

    server.reply = reply
    limits = replace(QUICK, read_seconds=20.0, answer_seconds=0.5)
    one = client(server.url.replace("http", "https"), limits, trust=Trust(bundle=str(authority / "ca.pem")))
    assert "did not finish its answer" in problem(one).message
    ended.set()


def test_the_module_is_light_until_something_is_asked() -> None:
    code = "import sys, podium.core.http_client; print({'httpx', 'ssl', 'socket', 'threading'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", "import site; site.main(); " + code],
        capture_output=True,
        text=True,
        timeout=scaled(60),
        check=True,
    )
    assert "httpx" not in done.stdout and "ssl" not in done.stdout
