"""What a person types into a real terminal in one go, in tmux: the keys arrive together, before anything is drawn."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.runner.scale import scaled
from tests.support import wait_until

from .seed import seed

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Tmux:
    """A cockpit in a window of a tmux server of its own."""

    def __init__(self, socket: Path, home: Path, size: tuple[int, int], state: Path) -> None:
        self._socket = str(socket)
        command = (
            f"env LANG=C.UTF-8 TZ=UTC XDG_STATE_HOME={state} XDG_CONFIG_HOME={state} {sys.executable} -m podium.tui;"
            " echo ended with $?; sleep 60"
        )
        width, height = map(str, size)
        self.run("new-session", "-d", "-s", "podium", "-x", width, "-y", height, "-c", str(home), command)

    def run(self, *arguments: str) -> str:
        return subprocess.run(
            ["tmux", "-S", self._socket, "-f", "/dev/null", *arguments],
            capture_output=True,
            text=True,
            timeout=scaled(10),
            check=True,
        ).stdout

    def picture(self) -> str:
        return self.run("capture-pane", "-p", "-t", "podium")

    def type(self, *keys: str) -> None:
        """Sends all keys in one go."""
        self.run("send-keys", "-t", "podium", *keys)

    def wait_for(self, words: str) -> None:
        wait_until(lambda: words in self.picture(), 30, what=f"{words!r} in {self.picture()}")

    def end(self) -> None:
        self.run("kill-server")


Open = Callable[..., Tmux]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tmux") / "flight-delay"
    seed(directory, now=time.time()).close()
    return directory


@pytest.fixture
def opened(home: Path, tmp_path: Path) -> Iterator[Open]:
    made: list[Tmux] = []

    def opening(size: tuple[int, int] = (120, 40)) -> Tmux:
        made.append(Tmux(tmp_path / "tmux", home, size, tmp_path / "state"))
        return made[-1]

    yield opening
    for each in made:
        each.end()


def test_a_burst_right_after_the_start_ends_where_it_was_meant_to(opened: Open) -> None:
    """The third step of the failed run, and in its log the second line that says `checkpoint`."""
    terminal = opened()
    terminal.type("2", "j", "j", "j", "j", "Enter", "g", "j", "j", "j", "Enter", "g", "/", *"checkpoint", "Enter", "n")
    terminal.wait_for("Log of train[depth=4,rate=0.1]")
    terminal.wait_for("Steps of run 10")
    terminal.wait_for("checkpoint")
    terminal.type("C-q")
    terminal.wait_for("ended with 0")


@pytest.mark.parametrize(
    ("typed", "shown"), [("run 9", "Steps of run 9"), ("v2", "flight-delay v2"), ("prod", "production")]
)
def test_a_name_in_one_go_leads_there(opened: Open, typed: str, shown: str) -> None:
    terminal = opened((80, 24))
    terminal.type(":", *[{" ": "Space"}.get(letter, letter) for letter in typed], "Enter")
    wait_until(lambda: shown in (seen := terminal.picture()) and "Go to, or do" not in seen, 30, what=shown)
    terminal.type("C-q")
    terminal.wait_for("ended with 0")


def test_a_name_that_nothing_has_puts_nothing_into_the_background(opened: Open) -> None:
    terminal = opened((80, 24))
    terminal.wait_for("Needs you")
    terminal.type(":", *"suspnd", "Enter")
    terminal.wait_for("Nothing has the name 'suspnd'")
    terminal.type("Escape")
    wait_until(lambda: "Go to, or do" not in terminal.picture(), 30, what="closed")
    terminal.type("C-q")
    terminal.wait_for("ended with 0")
