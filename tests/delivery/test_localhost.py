"""`bind: localhost` is both loopback addresses: clients take the name for either."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.delivery.host import ports
from podium.core.delivery.rollout import phases
from podium.core.errors import UsageError

from tests.delivery.light import World
from tests.runner.scale import scaled

pytestmark = pytest.mark.skipif(ports.addresses("localhost") == ("127.0.0.1",), reason="this machine has no ::1")


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(phases, "WATCH_SECONDS", 0.05)
    made = World(tmp_path, bind="localhost", replicas=1)
    yield made
    made.close()


def asked(host: str, port: int) -> str:
    connection = http.client.HTTPConnection(host, port, timeout=scaled(5))
    try:
        connection.request("GET", "/version")
        return str(json.loads(connection.getresponse().read())["version"])
    finally:
        connection.close()


def test_clients_of_either_address_are_answered(both: World) -> None:
    both.version(1)
    both.deploy(1)
    assert [asked(host, both.port) for host in ("127.0.0.1", "::1", "localhost")] == ["1", "1", "1"]
    assert both.environment.url(both.environment.bind) == f"http://localhost:{both.port}"


def test_a_port_that_is_taken_for_one_of_them_is_said_before_anything_starts(both: World) -> None:
    both.version(1)
    with socket.socket(socket.AF_INET6) as taken:
        taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        taken.bind(("::1", both.port))
        taken.listen()
        assert ports.bindable("127.0.0.1", both.port)
        assert not ports.bindable("localhost", both.port)
        with pytest.raises(UsageError, match=f"port {both.port} of environment staging is in use at ::1 by pid"):
            both.deploy(1)
    assert both.runtime.replicas() == []
