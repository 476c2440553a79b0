"""The cockpit in tmux: what a person's terminal shows of it, and what reaches the clipboard."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.runner.scale import scaled
from tests.support import wait_until


class Tmux:
    """A tmux server of its own with the cockpit in its one window; ends with the `with`."""

    def __init__(self, directory: Path, home: Path, *arguments: str, size: tuple[int, int] = (80, 24), **environ: str):
        self._socket = str(directory / "tmux")
        self._home, self._size = home, size
        variables: Mapping[str, str] = {"LANG": "C.UTF-8", "TZ": "UTC", **environ}
        words = ["env", *(f"{name}={value}" for name, value in variables.items()), sys.executable, "-m", "podium.tui"]
        self._command = shlex.join([*words, *arguments]) + "; echo ended with $?; sleep 60"

    def __enter__(self) -> Tmux:
        width, height = map(str, self._size)
        self(
            *("start-server", ";", "set-option", "-s", "set-clipboard", "on", ";"),
            *("new-session", "-d", "-s", "podium", "-x", width, "-y", height, "-c", str(self._home), self._command),
        )
        return self

    def __exit__(self, *_: object) -> None:
        self("kill-server")

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", self._socket, "-f", "/dev/null", *arguments],
            capture_output=True,
            text=True,
            timeout=scaled(10),
            check=True,
        )
        return done.stdout

    @property
    def screen(self) -> str:
        return self("capture-pane", "-p", "-t", "podium")

    def until(self, words: str) -> None:
        wait_until(lambda: words in self.screen, 30, what=words)

    def press(self, *keys: str) -> None:
        """Sends each key when what the one before it asked for is painted."""
        for key in keys:
            seen = [""]

            def still(seen: list[str] = seen) -> bool:
                before, seen[0] = seen[0], self.screen
                return before == seen[0]

            wait_until(still, 20, interval=0.3, what="a picture that stands still")
            self("send-keys", "-t", "podium", key)

    @property
    def clipboard(self) -> str:
        return self("show-buffer") if self("list-buffers") else ""
