from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.lab import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path / "project")
    yield lab
    lab.close()
