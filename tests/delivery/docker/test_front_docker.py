"""What clients meet where HAProxy is a container: on this machine's engine, with its files mounted, and on another
one's, with its files in a volume and a relay that asks for Podium itself."""

from __future__ import annotations

import hashlib
import os
import secrets
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from podium.core.containers import Engine
from podium.core.containers.engine.connections import close_all
from podium.core.delivery.environment import front, healing
from podium.core.delivery.rollout import phases
from podium.core.domain.access.clients import Auth, ClientLimits, Tls, Token, TokenScope

from tests.delivery.docker.docked import Docked
from tests.delivery.docker.front import Front
from tests.delivery.light import Load
from tests.runner.scale import scaled
from tests.servers import tls
from tests.servers.pki import Authority, Pair, digest, shown
from tests.support import wait_until

pytestmark = pytest.mark.in_turn(12, of="containers")


class OpenDocked(Docked):
    authority: Authority
    pair: Pair

    @property
    def trusted(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.authority.file))

    def token(self, name: str) -> str:
        secret = secrets.token_urlsafe(32)
        known = hashlib.sha256(secret.encode()).hexdigest()
        self.journal.tokens.add(Token("staging", name, TokenScope.PREDICT, known, "anna", 1.0))
        assert front.give_tokens(self.runtime)
        return secret

    def status_of(self, token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        at = f"https://localhost:{self.port}/version"
        return httpx.get(at, headers=headers, verify=self.trusted, timeout=scaled(10)).status_code


@pytest.fixture
def docked(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenDocked]:
    monkeypatch.setattr(phases, "WATCH_SECONDS", 0.05)
    authority = Authority(tmp_path / "pki")
    pair = authority.pair("server", "localhost")
    made = OpenDocked(
        tmp_path,
        engine,
        replicas=1,
        https=Tls(str(pair.certificate), str(pair.key), "localhost"),
        auth=Auth(tokens=True),
        limits=ClientLimits(rate=10_000, connections=1000),
    )
    made.authority, made.pair = authority, pair
    yield made
    made.close()


def test_on_this_machine(docked: OpenDocked) -> None:
    walk(docked)


def test_on_another_one(docked: OpenDocked, tmp_path: Path) -> None:
    if tls.missing():
        pytest.fail(tls.missing()) if os.environ.get("PODIUM_REQUIRE_SERVERS") else pytest.skip(tls.missing())
    certificates = tls.make(tmp_path / "certificates")
    line = Front(certificates, docked.engine.address.path)
    try:
        docked.change(host=f"tcp://127.0.0.1:{line.port}", tls=str(certificates))
        walk(docked)
    finally:
        line.close()
        close_all()
        docked.change(host="", tls="")


def walk(docked: OpenDocked) -> None:
    """Everything once: deploy, tokens, a renewal, a proxy that comes back, a rollback."""
    docked.version(1)
    docked.version(2)
    docked.deploy(1)
    token, other = docked.token("steady"), docked.token("other")
    with Load(docked.port, rate=100, tls=docked.trusted, token=token) as load:
        wait_until(lambda: load.total > 20, 20)
        assert docked.status_of(other) == 200 and docked.status_of("nobody's") == 401
        docked.journal.tokens.remove("staging", "other", who="anna")
        assert front.give_tokens(docked.runtime) and {docked.status_of(other) for _ in range(8)} == {401}
        renewed = docked.authority.pair("renewed", "localhost")
        docked.pair.certificate.write_bytes(renewed.certificate.read_bytes())
        docked.pair.key.write_bytes(renewed.key.read_bytes())
        done = healing.heal_environment(docked.project, docked.journal, docked.environment)
        assert done == ["staging: the proxy has the certificate and tokens of now"]
        assert {shown(docked.port) for _ in range(8)} == {digest(renewed.certificate)}
        docked.deploy(2)
        docked.rollback(1)
        seen = load.total
        wait_until(lambda: load.total > seen + 20, 20)
    assert load.failures == []
    # One that is started anew has them, too.
    for container in docked.containers("proxy"):
        docked.engine.api.remove_container(container["Id"], force=True)
    wait_until(lambda: healing.heal_environment(docked.project, docked.journal, docked.environment), 20)
    assert {shown(docked.port) for _ in range(8)} == {digest(renewed.certificate)}
    wait_until(lambda: docked.status_of(token) == 200 and docked.status_of(other) == 401, 20)
