from __future__ import annotations

from pathlib import Path

import pytest

from .support import git


@pytest.fixture(params=["plain", "with space", 'it\'s "quoted"', "ünï-漢", "-dash", "$(echo)"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    directory = tmp_path / str(request.param)
    directory.mkdir()
    git(directory, "init", "-q", "-b", "main")
    return directory


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    directory = tmp_path / "a tree"
    directory.mkdir()
    git(directory, "init", "-q", "-b", "main")
    return directory
