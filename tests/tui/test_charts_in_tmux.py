"""Comparison, curves and logs in a real terminal."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from tests.support import wait_until

from .seed import seed
from .tmux import Tmux

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tmux") / "project"
    seed(directory, now=time.time()).close()
    return directory


def test_one_line_of_a_log_and_a_range_reach_the_clipboard(home: Path, tmp_path: Path) -> None:
    with Tmux(tmp_path, home, "--screen", "runs") as tmux:
        tmux.until("Log of")
        tmux.press("l", "v", "y")
        wait_until(lambda: tmux.clipboard, 20, what="one line")
        first = tmux.clipboard
        assert "\n" not in first.rstrip("\n") and first.strip() in tmux.screen
        tmux.press("v", "k", "k", "y")
        wait_until(lambda: tmux.clipboard != first, 20, what="three lines")
        assert len(tmux.clipboard.splitlines()) == 3 and tmux.clipboard.rstrip("\n").endswith(first.rstrip("\n"))


def test_a_comparison_without_colour_says_what_is_better(home: Path, tmp_path: Path) -> None:
    with Tmux(tmp_path, home, "--screen", "models", NO_COLOR="1", PODIUM_GLYPHS="ascii") as tmux:
        tmux.until("challenger")
        tmux.press("Space", "Space", "c")
        tmux.until("Compare v3, v4")
        assert "^ +0.0065 better" in tmux.screen and "v -0.0013 worse" in tmux.screen
        assert tmux.screen.isascii()


def test_charts_fill_a_window_that_grows(home: Path, tmp_path: Path) -> None:
    with Tmux(tmp_path, home, "--screen", "environments") as tmux:
        tmux.until("PROTECTED")
        tmux.press("p")
        tmux.until("Requests of production")
        assert "Memory of production" not in tmux.screen
        tmux("resize-window", "-t", "podium", "-x", "200", "-y", "50")
        tmux.until("Memory of production")
        assert "Traffic by version" in tmux.screen
