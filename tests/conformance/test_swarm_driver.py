"""The driver `swarm` under the tests that every driver passes: a Swarm of three engines, each in a network of its own,
over SSH. They are slower than those of one engine, and take turns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.delivery.rollout import phases

from tests.conformance.drivers import DriverBench, DriverConformance
from tests.delivery.swarm.swarmed import Swarmed
from tests.servers.swarm import Swarm

pytestmark = pytest.mark.in_turn(2)


class TestDriver(DriverConformance):
    @pytest.fixture
    def bench(self, tmp_path: Path, swarm: Swarm, monkeypatch: pytest.MonkeyPatch) -> Iterator[DriverBench]:
        monkeypatch.setattr(phases, "WATCH_SECONDS", 0.05)
        swarmed = Swarmed(tmp_path, swarm, replicas=1)
        made = DriverBench(swarmed, swarmed.left)
        yield made
        made.close()
