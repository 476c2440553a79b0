from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.delivery.rollout import phases

from tests.delivery.light import World


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(phases, "WATCH_SECONDS", 0.05)  # where a test has nothing to watch
    made = World(tmp_path)
    yield made
    made.close()
