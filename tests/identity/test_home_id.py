"""Whose an engine's containers are: by what `.podium/home.json` says, and by nothing else while that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from podium.core.errors import Unreachable
from podium.core.identity.directory import StateDirectory, path_digest
from podium.core.identity.home import FILE, STATE, Home, HomeIds, judge


@pytest.fixture
def home(tmp_path: Path) -> Path:
    state = tmp_path / "shop" / STATE
    state.mkdir(parents=True)
    Home("0123456789ab", StateDirectory.of(state)).write(state)
    return state.parent


def hide(home: Path) -> None:
    """Reading it is an error of the system from now on, also for root."""
    file = home / STATE / FILE
    file.rename(file.with_name("hidden"))
    file.mkdir()


def test_one_that_cannot_be_read_is_what_it_was(home: Path) -> None:
    ids = HomeIds()
    assert ids.of(home) == "0123456789ab"
    hide(home)
    assert ids.of(home) == "0123456789ab"


def test_nothing_takes_its_place_where_it_was_never_read(home: Path) -> None:
    hide(home)
    with pytest.raises(Unreachable, match=r"home\.json cannot be read: Is a directory"):
        HomeIds().of(home)
    with pytest.raises(OSError, match="Is a directory"):
        judge(home / STATE, list)


def test_one_of_an_older_podium_or_of_somebody_else_has_that_of_its_path(home: Path) -> None:
    file = home / STATE / FILE
    elsewhere = json.loads(file.read_text())
    elsewhere["place"] |= {"path": "/somewhere/else", "inode": 1}
    for text in (json.dumps(elsewhere), "{", ""):
        file.write_text(text)
        assert HomeIds().of(home) == path_digest(home)
    file.unlink()
    assert HomeIds().of(home) == path_digest(home)
