"""Since when a host counts as away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.containers import Engine
from podium.core.containers.engine.errors import EngineAway
from podium.core.delivery.drivers import DriverContext
from podium.core.delivery.drivers.docker.driver import DockerDriver
from podium.core.delivery.drivers.hosts import fleet

from tests.delivery.light import World


@pytest.fixture
def host(tmp_path: Path, engine: Engine) -> Iterator[fleet.Host]:
    world = World(tmp_path, replicas=1)
    setting = DriverContext(world.project, world.journal, world.environment, world.runtime.directory, lambda _: None)
    yield fleet.Host("there", engine.address, setting)
    world.close()


def silent_since(host: fleet.Host) -> tuple[float, float]:
    """When a host was asked that does not answer for half a second, and since when it counts as away."""
    asked: list[float] = []

    def work(_: DockerDriver) -> None:
        asked.append(time.time())
        time.sleep(0.5)
        raise EngineAway("it does not answer")

    with pytest.raises(EngineAway):
        host.ask(work)
    assert host.state.absent is not None
    return asked[0], host.state.absent.since


def test_it_is_away_since_it_was_asked_and_not_since_nobody_waits_any_longer(host: fleet.Host) -> None:
    asked, since = silent_since(host)
    assert since < asked + 0.25, "so that `replace` does not begin a whole time-out later"


def test_it_may_have_answered_until_a_time_out_ago(host: fleet.Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked of it may be much, such as taking an image."""
    monkeypatch.setattr(fleet, "TIMEOUT", 0.1)
    asked, since = silent_since(host)
    assert since > asked + 0.25
