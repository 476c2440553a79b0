"""A yard whose engine is reached through a gate that can be shut."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from podium.core.containers import Engine

from tests.containers.gate import Gate
from tests.containers.yard import Yard


@pytest.fixture
def gate(tmp_path: Path, engine: Engine) -> Iterator[Gate]:
    with Gate(tmp_path / "engine.sock", engine.address.path) as made:
        yield made


@pytest.fixture
def yard(tmp_path: Path, engine: Engine, shell_image: str, gate: Gate) -> Iterator[Yard]:
    made = Yard(tmp_path, engine, shell_image, gate.address)
    yield made
    made.close()
