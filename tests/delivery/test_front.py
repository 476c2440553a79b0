"""What clients of an environment in the open meet: TLS, tokens, client certificates, limits. Asked by curl, openssl and
httpx, which know nothing of Podium; HAProxy is the real one."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import signal
import socket
import ssl
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from podium.core.delivery.environment import front, healing
from podium.core.delivery.host.paths import INSTANCES
from podium.core.delivery.proxy.front import own_socket
from podium.core.delivery.proxy.placement import take_over
from podium.core.delivery.proxy.proxy import of_process
from podium.core.delivery.rollout import phases
from podium.core.delivery.status.status import status
from podium.core.domain.access.clients import Auth, ClientLimits, Tls, Token, TokenScope
from podium.core.domain.repair import DifferenceKind
from podium.core.errors import Refused, UsageError

from tests.delivery.light import Load, World
from tests.runner.scale import scaled
from tests.servers.pki import Authority, Pair, digest, shown
from tests.support import wait_until


class Open(World):
    """An environment with a certificate, and clients of it."""

    def __init__(self, home: Path, **environment: Any) -> None:
        self.authority = Authority(home / "pki")
        self.pair = self.authority.pair("server", "localhost", "127.0.0.1")
        named = Tls(str(self.pair.certificate), str(self.pair.key), "localhost")
        super().__init__(home, **{"replicas": 1, "https": named, "auth": Auth(tokens=True), **environment})
        self.version(1)

    def token(self, name: str, scope: TokenScope = TokenScope.PREDICT) -> str:
        secret = secrets.token_urlsafe(32)
        made = Token("staging", name, scope, hashlib.sha256(secret.encode()).hexdigest(), "anna", 1.0)
        self.journal.tokens.add(made)
        front.give_tokens(self.runtime)
        return secret

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.authority.file))

    def client(self, token: str = "", *, pair: Pair | None = None) -> httpx.Client:
        context = self.tls
        if pair is not None:
            context.load_cert_chain(pair.certificate, pair.key)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(
            base_url=f"https://localhost:{self.port}", verify=context, headers=headers, timeout=scaled(10)
        )

    def ask(self, path: str = "/version", token: str = "", *, pair: Pair | None = None) -> httpx.Response:
        with self.client(token, pair=pair) as client:
            return client.post(path, json={}) if path == "/invocations" else client.get(path)

    def replace(self, pair: Pair) -> None:
        self.pair.certificate.write_bytes(pair.certificate.read_bytes())
        self.pair.key.write_bytes(pair.key.read_bytes())

    def heal(self) -> list[str]:
        return healing.heal_environment(self.project, self.journal, self.environment)

    def certificate_words(self) -> list[str]:
        found = status(self.project, self.journal, self.environment).differences
        return [each.words for each in found if each.kind is DifferenceKind.CERTIFICATE]


def opened(home: Path, monkeypatch: pytest.MonkeyPatch, **environment: Any) -> Open:
    monkeypatch.setattr(phases, "WATCH_SECONDS", 0.05)
    return Open(home, **environment)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    made = opened(tmp_path, monkeypatch)
    yield made
    made.close()


def curl(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["curl", "-sS", *words], capture_output=True, text=True, timeout=scaled(20), check=False)


def test_it_speaks_modern_tls_and_both_versions_of_http(world: Open) -> None:
    world.deploy(1)
    assert shown(world.port) == digest(world.pair.certificate)
    assert shown(world.port, "-tls1_2") == digest(world.pair.certificate)
    for old in (
        ("-tls1_1",),
        ("-tls1_2", "-cipher", "AES128-SHA"),
        ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"),
    ):
        assert "alert" in shown(world.port, *old) or "no protocols" in shown(world.port, *old), old
    asked = ("--cacert", str(world.authority.file), "-o", "/dev/null", "-w", "%{http_version} %{http_code}")
    at = f"https://localhost:{world.port}/ping"
    assert curl(*asked, "--http2", at).stdout == "2 200" and curl(*asked, "--http1.1", at).stdout == "1.1 200"
    plain = curl("-o", "/dev/null", f"http://localhost:{world.port}/ping")
    assert plain.returncode, "plain HTTP has no answer"
    assert world.runtime.driver.url() == f"https://localhost:{world.port}"


def test_a_client_proves_who_it_is_or_is_told_what_is_missing(world: Open) -> None:
    world.deploy(1)
    billing, prometheus = world.token("billing"), world.token("prometheus", TokenScope.METRICS)
    wanted = {
        ("/invocations", ""): (401, 'Bearer realm="podium"'),
        ("/invocations", "wrong"): (401, 'Bearer realm="podium", error="invalid_token"'),
        ("/invocations", prometheus): (403, 'Bearer realm="podium", error="insufficient_scope"'),
        ("/invocations", billing): (200, None),
        ("/version", ""): (401, 'Bearer realm="podium"'),
        ("/version", billing): (200, None),
        ("/metrics", billing): (403, 'Bearer realm="podium", error="insufficient_scope"'),
        ("/metrics", ""): (401, 'Bearer realm="podium"'),
        ("/metrics", prometheus): (404, None),  # the light replica has none: it was asked
        ("/ping", ""): (200, None),
        ("/health", ""): (404, None),
        ("/%6detrics", billing): (404, None),
        ("/ping/../version", ""): (401, 'Bearer realm="podium"'),  # as httpx writes it
        ("//version", billing): (404, None),
        ("/ping;/version", ""): (404, None),
    }
    for (path, token), expected in wanted.items():
        answer = world.ask(path, token)
        assert (answer.status_code, answer.headers.get("www-authenticate")) == expected, (path, answer.text)
        if answer.status_code in (401, 403):
            assert set(answer.json()) == {"error_code", "message"}
            assert answer.headers["content-type"] == "application/json"
    as_it_is = curl(
        "--path-as-is", "--cacert", str(world.authority.file), f"https://localhost:{world.port}/ping/../version"
    )
    assert json.loads(as_it_is.stdout)["error_code"] == "ENDPOINT_NOT_FOUND"


def test_tokens_begin_and_end_at_once_and_without_losing_a_request(world: Open) -> None:
    world.deploy(1)
    steady = world.token("steady")
    pids = world.proxy_pids()
    with Load(world.port, tls=world.tls, token=steady) as load:
        wait_until(lambda: load.total > 20, 20)
        other = world.token("other")
        assert all(world.ask(token=other).status_code == 200 for _ in range(20)), "both instances know it"
        world.journal.tokens.remove("staging", "other", who="anna")
        assert front.give_tokens(world.runtime)
        assert all(world.ask(token=other).status_code == 401 for _ in range(20))
        seen = load.total
        wait_until(lambda: load.total > seen + 20, 20)
    assert not load.failures and world.proxy_pids() == pids
    with pytest.raises(Refused, match="has a token steady already"):
        world.token("steady")
    kept = [path for path in world.project.state.rglob("*") if path.is_file() and steady.encode() in path.read_bytes()]
    assert not kept, "a token is kept nowhere"
    for pid in pids:
        assert steady.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_renewed_certificate_is_shown_without_losing_a_request_and_a_bad_one_is_not(world: Open) -> None:
    world.deploy(1)
    token, before, pids = world.token("billing"), digest(world.pair.certificate), world.proxy_pids()
    with Load(world.port, tls=world.tls, token=token) as load:
        world.replace(world.authority.pair("expired", days=(-9, -1)))
        assert world.heal() == [] and shown(world.port) == before
        [words] = world.certificate_words()
        assert "expired on" in words and "clients see the one before, which holds until" in words
        world.pair.key.unlink()
        assert world.heal() == [] and "No such file" in world.certificate_words()[0]
        good = world.authority.pair("good")
        world.pair.certificate.write_bytes(good.certificate.read_bytes())
        world.pair.key.write_bytes(good.key.read_bytes())
        assert "was renewed" in world.certificate_words()[0]
        assert world.heal() == ["staging: the proxy has the certificate and tokens of now"]
        assert {shown(world.port) for _ in range(8)} == {digest(good.certificate)}
        assert world.certificate_words() == [] and world.heal() == []
        seen = load.total
        wait_until(lambda: load.total > seen + 20, 20)
    assert not load.failures and world.proxy_pids() == pids


def test_intermediates_that_were_forgotten_are_shown_once_they_are_there(world: Open) -> None:
    whole = world.pair.certificate.read_text()
    leaf = whole[: whole.index("-----END CERTIFICATE-----\n") + 26]
    world.pair.certificate.write_text(leaf)
    world.deploy(1)
    world.pair.certificate.write_text(whole)
    assert world.heal()
    for number in INSTANCES:
        instance = world.runtime.proxy.instances[number - 1]
        name = "served.pem" if number == 1 else f"served-{number}.pem"
        assert "podium-test CA" in instance.runtime.ask(f"show ssl cert {name}").partition("Chain Subject")[2]


def test_a_proxy_that_died_comes_back_with_the_certificate_that_was_good(world: Open) -> None:
    world.deploy(1)
    before = digest(world.pair.certificate)
    world.pair.certificate.write_text("not yet written")
    for pid in world.proxy_pids():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: world.heal(), 20)
    assert shown(world.port) == before
    assert oct((world.runtime.directory / "served.pem").stat().st_mode)[-3:] == "600"


def test_a_bad_certificate_refuses_a_deploy_before_anything_starts(world: Open) -> None:
    world.replace(world.authority.pair("other", "elsewhere.example.com"))
    with pytest.raises(Refused, match=r"environments.staging.tls: the certificate .* is for elsewhere.example.com"):
        world.deploy(1)
    assert not world.runtime.replicas()
    with pytest.raises(UsageError, match=r"elsewhere\.example\.com"):
        world.runtime.traffic.layout()
    world.replace(world.authority.pair("good"))
    world.deploy(1)
    world.version(2)
    world.deploy(2)
    world.pair.key.unlink()
    world.version(3)
    with pytest.raises(Refused, match="No such file"):
        world.deploy(3)
    world.rollback(1)
    assert world.ask(token=world.token("a")).json()["version"] == "1"


def test_clients_with_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Authority(tmp_path / "clients", "our clients")
    with ExitStack() as stack:
        auth = Auth(client_ca=str(mine.file), clients=("billing", "the crm"))
        world = opened(tmp_path, monkeypatch, auth=auth)
        stack.callback(world.close)
        world.deploy(1)
        assert world.ask().status_code == 403 and world.ask("/ping").status_code == 200
        for name in ("billing", "the crm"):
            assert world.ask(pair=mine.pair(name)).status_code == 200
        refused = world.ask(pair=mine.pair("somebody"))
        assert refused.status_code == 403 and refused.json()["error_code"] == "PERMISSION_DENIED"
        for stranger in (Authority(tmp_path / "strangers").pair("billing"), mine.pair("billing", days=(-9, -1))):
            with pytest.raises(httpx.HTTPError):
                world.ask(pair=stranger)
        assert world.ask("/metrics", pair=mine.pair("billing")).status_code == 401, "metrics have their own"
        assert world.ask("/metrics", world.token("prom", TokenScope.METRICS)).status_code == 404
        # Other authorities: another configuration, taken over by the next change.
        theirs = Authority(tmp_path / "others")
        mine.file.write_bytes(theirs.file.read_bytes())
        world.version(2)
        world.deploy(2)
        assert world.ask(pair=theirs.pair("billing")).status_code == 200


def test_one_client_gets_so_many_requests_and_the_others_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        world = opened(tmp_path, monkeypatch, limits=ClientLimits(rate=1 / 60))
        stack.callback(world.close)
        world.deploy(1)  # which asks a dozen times, as Podium itself
        busy, other = world.token("busy"), world.token("other")
        for token in (busy, other):
            with world.client(token) as client:
                answers = [client.get("/version") for _ in range(5)]
            assert [each.status_code for each in answers] == [200, 429, 429, 429, 429]
            assert answers[1].headers["retry-after"] == "60" and answers[1].json()["error_code"] == "RESOURCE_EXHAUSTED"
        with world.client() as client:
            found = Counter(client.get("/ping").status_code for _ in range(5))
        assert found == {200: 1, 429: 4}, "who says nothing is known by the address"


def test_one_address_gets_so_many_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack:
        world = opened(tmp_path, monkeypatch, limits=ClientLimits(connections=3))
        stack.callback(world.close)
        world.deploy(1)
        kept = [stack.enter_context(world.client()) for _ in range(3)]
        assert [client.get("/ping").status_code for client in kept] == [200] * 3
        held = [stack.enter_context(socket.create_connection(("127.0.0.1", world.port))) for _ in range(16)]
        answer = wait_until(lambda: refused if (refused := _quiet(world)) is not None else None, 20)
        assert answer.status_code == 429 and answer.headers["retry-after"] == "1"
        assert [client.get("/ping").status_code for client in kept] == [200] * 3, "they were there before"
        for each in held:
            each.close()
        wait_until(lambda: (found := _quiet(world)) is not None and found.status_code == 200, 20)
        world.version(2)
        world.deploy(2)


def test_one_address_does_not_take_all_connections_even_without_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "MAX_CONNECTIONS", 4)
    with ExitStack() as stack:
        world = opened(tmp_path, monkeypatch, https=None, auth=None, open=True, bind="0.0.0.0")
        stack.callback(world.close)
        world.deploy(1)
        held = [stack.enter_context(socket.create_connection(("127.0.0.1", world.port))) for _ in range(64)]
        request = b"GET /ping HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n"

        def answered(connection: socket.socket) -> bool:
            with suppress(ConnectionError):
                connection.settimeout(scaled(10))
                connection.sendall(request)
                return connection.recv(100).startswith(b"HTTP/1.1 200")
            return False

        with socket.create_connection(("127.0.0.1", world.port), source_address=("127.0.0.2", 0)) as other:
            assert answered(other), "the others are none of its business"
        assert 0 < sum(map(answered, held)) <= 2 * 4, "in each of the two instances"
        world.version(2)
        world.deploy(2)  # Podium itself comes another way


def _quiet(world: Open) -> httpx.Response | None:
    try:
        return world.ask("/ping")
    except httpx.HTTPError:
        return None  # over twice the limit nothing is accepted


def test_open_on_purpose_still_keeps_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack:
        world = opened(tmp_path, monkeypatch, https=None, auth=None, open=True, bind="0.0.0.0")
        stack.callback(world.close)
        world.deploy(1)
        prometheus = world.token("prometheus", TokenScope.METRICS)
        at = f"http://127.0.0.1:{world.port}"
        assert httpx.get(f"{at}/version").status_code == 200 and httpx.get(f"{at}/metrics").status_code == 401
        shown_ = httpx.get(f"{at}/metrics", headers={"Authorization": f"Bearer {prometheus}"})
        assert shown_.status_code == 404


def test_a_project_that_was_moved_shows_its_certificate_from_the_new_place(world: Open, tmp_path: Path) -> None:
    """As `core/adoption/` moves one: the configuration's files are beside it."""
    world.deploy(1)
    before, after = world.runtime.directory, tmp_path / "another place"
    before.rename(after)
    try:
        assert take_over(after, before)
        wait_until(lambda: shown(world.port) == digest(world.pair.certificate), 20)
        for instance in of_process(after).instances:
            own = Path(own_socket(instance.placement.socket))
            assert f"unix@{own} " in instance.placement.config() and own.is_socket()
    finally:
        of_process(after).stop()


def test_a_plain_environment_becomes_one_in_the_open_without_losing_a_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        world = opened(tmp_path, monkeypatch, https=None, auth=None)
        stack.callback(world.close)
        world.deploy(1)
        with Load(world.port) as load:
            wait_until(lambda: load.total > 20, 20)
            world.change(limits=ClientLimits(rate=100_000))
            world.version(2)
            world.deploy(2)
            seen = load.total
            wait_until(lambda: load.total > seen + 20, 20)
        assert not load.failures
