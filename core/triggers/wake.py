"""How others wake the agent at once: one byte through a named pipe, `.podium/agent.wake`.

A pipe and not a socket, because a shell hook can write to it with no program of ours, and because its path may be of
any length.
"""

from __future__ import annotations

import os
import select
import shlex
from contextlib import suppress
from pathlib import Path

NAME = "agent.wake"


def wake(home: Path) -> bool:
    """Wake the agent of the project at `home`; whether one was listening."""
    try:
        pipe = os.open(home / ".podium" / NAME, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        os.write(pipe, b"x")
    except OSError:
        return False
    finally:
        os.close(pipe)
    return True


def hook_command(home: Path) -> str:
    """A shell line for a git hook. Opening the pipe for reading and writing never waits, so a dead agent cannot stop
    a commit."""
    pipe = shlex.quote(str(home / ".podium" / NAME))
    return f"if [ -p {pipe} ]; then printf x 1<>{pipe}; fi"


class Doorbell:
    """The agent's end of the pipe."""

    def __init__(self, state: Path) -> None:
        self.path = state / NAME
        if not self.path.is_fifo():
            with suppress(FileNotFoundError):
                self.path.unlink()
            os.mkfifo(self.path, 0o600)
        self._pipe = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)

    def wait(self, seconds: float) -> bool:
        """Wait until somebody rings, at most `seconds`; whether somebody did."""
        ready, _, _ = select.select([self._pipe], [], [], max(0.0, seconds))
        if not ready:
            return False
        with suppress(BlockingIOError):
            os.read(self._pipe, 65536)
        return True

    def close(self) -> None:
        os.close(self._pipe)
        with suppress(FileNotFoundError):
            self.path.unlink()
