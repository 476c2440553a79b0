"""Every driver that Podium brings, under the tests that every driver passes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core import plugins
from podium.core.delivery.host import daemon
from podium.core.delivery.rollout import phases
from podium.core.domain.delivery import Replica

from tests.conformance.drivers import DriverBench, DriverConformance
from tests.delivery.docker.docked import Docked
from tests.delivery.light import World


def process_bench(home: Path, request: pytest.FixtureRequest) -> DriverBench:
    """The driver `process` with another program: a server that is up in a tenth of a second (delivery/test_real.py has
    the real one)."""
    world = World(home, replicas=1)

    def left() -> list[str]:
        ids = {world.runtime.replica_id(version, number) for version in (1, 2) for number in (1, 2)}
        replicas = [str(pid) for each in ids for pid, _ in daemon.find(world.runtime.marker(each))]
        return replicas + [str(pid) for pid in world.proxy_pids()]

    return DriverBench(world, left)


def docker_bench(home: Path, request: pytest.FixtureRequest) -> DriverBench:
    docked = Docked(home, request.getfixturevalue("engine"), replicas=1)

    def left() -> list[str]:
        return [f"{count} {what}" for what, count in docked.things().items() if count]

    def disconnect(row: Replica) -> None:
        network = docked.driver.owned_names().network
        docked.engine.api.disconnect_container_from_network(row.container, network)

    return DriverBench(docked, left, disconnect)


BENCHES = {"process": process_bench, "docker": docker_bench}


class TestDrivers(DriverConformance):
    @pytest.fixture(params=sorted(BENCHES))
    def bench(
        self, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[DriverBench]:
        monkeypatch.setattr(phases, "WATCH_SECONDS", 0.05)
        made = BENCHES[request.param](tmp_path, request)
        yield made
        made.close()


def test_every_driver_of_the_table_is_tested() -> None:
    ours = {name for name, plugin in plugins.TABLE["drivers"].items() if plugin.target.startswith("podium.")}
    assert {*BENCHES, "swarm"} == ours, "swarm has its own file beside this one"
