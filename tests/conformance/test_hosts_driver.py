"""The driver `docker` on several hosts, under the tests that every driver passes: three engines, each in a network of its
own, over SSH. They are slower than those of one engine, and take turns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.delivery.rollout import phases
from podium.core.domain.delivery import Replica

from tests.conformance.drivers import DriverBench, DriverConformance
from tests.delivery.hosts.hosted import Hosted
from tests.servers.nodes import Nodes

pytestmark = pytest.mark.in_turn(2)


class TestDriver(DriverConformance):
    @pytest.fixture
    def bench(self, tmp_path: Path, nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> Iterator[DriverBench]:
        monkeypatch.setattr(phases, "WATCH_SECONDS", 0.05)
        hosted = Hosted(tmp_path, nodes, replicas=1, stale="serve")

        def disconnect(row: Replica) -> None:
            engine = hosted.engine_of(row.host)
            network = hosted.runtime.driver.owned_names().network
            engine.api.disconnect_container_from_network(row.container, network)

        made = DriverBench(hosted, hosted.left, disconnect)
        yield made
        made.close()
