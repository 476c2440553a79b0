"""A seeded project for the cockpit in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tui.seed import seed


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    seed(tmp_path / "flight-delay").close()
    return tmp_path / "flight-delay"
