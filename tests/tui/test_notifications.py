"""Notifications (OSC 9) reach the terminal around tmux and screen, or nobody: nothing of them is drawn."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from podium.core.domain.monitoring import Ring
from podium.tui.ringing import sequences

from tests.runner.scale import scaled

from .terminal import Terminal

NOTE = "9;Podium: errors-high firing on prodüction"
PROGRAM = """
import sys, time
from podium.core.domain.monitoring import Ring
from podium.tui.ringing import sequences
found = [Ring("osc9", "errors-high firing on prodüction"), Ring("osc9", "x" * 300), Ring("bell", "b")]
sys.stdout.write("before" + sequences(found) + "after" + "\\n"); sys.stdout.flush()
time.sleep(600)
"""


def test_a_notification_steers_no_terminal_and_there_is_one_bell() -> None:
    found = sequences([Ring("osc9", "a\x1b]0;title\x07\x9dtext\nb" + "x" * 500), Ring("osc9", "9;1")], {})
    assert (found.count("\x1b"), found.count("\x1b]9;Podium: "), found.count("\x07"), "\n" in found) == (2, 2, 3, False)
    assert found.endswith("\x1b]9;Podium: 9;1\x07\a"), "no progress bar of some terminals"
    assert sequences([Ring("bell", "a"), Ring("bell", "b")]) == "\a"


@pytest.fixture
def multiplexer(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Starts tmux or screen with the program in it, in a terminal."""
    ends: list[tuple[Terminal, list[str]]] = []

    def start(words: list[str], end: list[str]) -> Terminal:
        environ = {"SCREENDIR": str(tmp_path)}
        command = f"import os; os.execvp({words[0]!r}, {words!r})"
        ends.append((Terminal(["-c", command], size=(80, 24), environ=environ), end))
        ends[-1][0].wait_for("beforeafter", timeout=30)
        return ends[-1][0]

    tmp_path.chmod(0o700)
    yield start
    for terminal, end in ends:
        environ = {**os.environ, "SCREENDIR": str(tmp_path)}
        subprocess.run(end, env=environ, timeout=scaled(10), check=True, capture_output=True)
        with terminal:
            terminal.wait_exit()


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
@pytest.mark.parametrize("passes", ["on", "off"])
def test_a_notification_goes_through_tmux_where_that_is_allowed(
    tmp_path: Path, multiplexer: Callable[..., Terminal], passes: str
) -> None:
    tmux = ["tmux", "-u", "-S", str(tmp_path / "tmux"), "-f", "/dev/null"]
    pane = shlex.join([sys.executable, "-c", PROGRAM])
    options = ["start-server", ";", "set-option", "-g", "allow-passthrough", passes, ";", "new-session", pane]
    terminal = multiplexer([*tmux, *options], [*tmux, "kill-server"])
    shown = terminal.output.decode("utf-8", "replace")
    assert (f"\x1b]{NOTE}\x07" in shown and f"{'x' * 200}\x07" in shown) is (passes == "on")
    assert "Podium" not in terminal.words() and "tmux;" not in terminal.words(), "nothing of it is drawn"
    assert "\x07" in shown.replace(f"{NOTE}\x07", "").replace(f"{'x' * 200}\x07", ""), "the bell comes either way"


@pytest.mark.skipif(shutil.which("screen") is None, reason="screen is not installed")
def test_a_notification_goes_through_screen(multiplexer: Callable[..., Terminal]) -> None:
    terminal = multiplexer(
        ["screen", "-U", "-S", "podium", "-c", "/dev/null", sys.executable, "-c", PROGRAM],
        ["screen", "-S", "podium", "-X", "quit"],
    )
    shown = terminal.output.decode("utf-8", "replace")
    assert f"\x1b]{NOTE}\x07" in shown and f"{'x' * 200}\x07" in shown
    assert "Podium" not in terminal.words(), "nothing of it is drawn"
