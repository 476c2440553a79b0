"""A seeded project for the screens' tests: made once, copied for each test, with the time standing still."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from podium.tui.application import PodiumApp

from tests.tui.driving import make_app
from tests.tui.seed import SeededCockpit, empty, seed
from tests.tui.seed_containers import seed_containers


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("SSH_CONNECTION", "NO_COLOR", "PODIUM_GLYPHS", "TMUX"):
        monkeypatch.delenv(name, raising=False)
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    yield
    if before is None:
        os.environ.pop("TZ", None)
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.fixture(scope="session")
def _seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("seeded") / "flight-delay"
    seed(home).close()
    return home


def _copy(seeded: Path, home: Path) -> None:
    """A project of its own: without the note of where the seeded one lives, and of its last good podium.yaml."""
    shutil.copytree(seeded, home, ignore=shutil.ignore_patterns("home.json", "podium.yaml.good"))


@pytest.fixture
def cockpit(_seeded: Path, tmp_path: Path) -> SeededCockpit:
    home = tmp_path / "flight-delay"
    _copy(_seeded, home)
    return SeededCockpit(home)


@pytest.fixture(scope="session")
def _docked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("docked") / "flight-delay"
    seed_containers(home).close()
    return home


@pytest.fixture
def docked(_docked: Path, tmp_path: Path) -> SeededCockpit:
    """The project with both environments on Docker."""
    home = tmp_path / "flight-delay"
    _copy(_docked, home)
    return SeededCockpit(home)


@pytest.fixture
def bare(tmp_path: Path) -> SeededCockpit:
    return empty(tmp_path / "flight-delay")


@pytest.fixture
def app(cockpit: SeededCockpit) -> Callable[..., PodiumApp]:
    return lambda **options: make_app(cockpit, **options)
