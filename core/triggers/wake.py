"""Wakes the agent with one byte through a named pipe, `.podium/agent.wake`. It is a pipe and not a socket because a
shell hook can write to it without any program of Podium, and because its path may have any length."""

from __future__ import annotations

import os
import select
import shlex
from contextlib import suppress
from pathlib import Path

PIPE_NAME = "agent.wake"
RUNG = b"x"
"""There may be something new: a hook, a webhook."""
FETCHED = b"f"
"""Something new was fetched from the host."""


def wake(home: Path, why: bytes = RUNG) -> bool:
    """Wakes the agent of the project at `home`; returns whether one was listening."""
    try:
        pipe = os.open(home / ".podium" / PIPE_NAME, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        os.write(pipe, why)
    except OSError:
        return False
    finally:
        os.close(pipe)
    return True


def hook_command(home: Path) -> str:
    """Returns a shell line for a git hook. Opening the pipe for reading and writing never blocks, so a dead agent
    cannot stop a commit."""
    pipe = shlex.quote(str(home / ".podium" / PIPE_NAME))
    return f"if [ -p {pipe} ]; then printf x 1<>{pipe}; fi"


class Doorbell:
    """The agent's end of the pipe."""

    def __init__(self, state: Path) -> None:
        self.path = state / PIPE_NAME
        if not self.path.is_fifo():
            with suppress(FileNotFoundError):
                self.path.unlink()
            os.mkfifo(self.path, 0o600)
        self._pipe = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        self.heard = b""
        """What was rung at the last wake-up."""

    def wait(self, seconds: float) -> bool:
        """Waits at most `seconds` for a wake-up; returns whether there was one."""
        self.heard = b""
        poll = select.poll()  # `select` knows no more than 1,024 descriptors
        poll.register(self._pipe, select.POLLIN)
        if not poll.poll(max(0.0, seconds) * 1000):
            return False
        with suppress(BlockingIOError):
            self.heard = os.read(self._pipe, 65536)
        return True

    def close(self) -> None:
        os.close(self._pipe)
        with suppress(FileNotFoundError):
            self.path.unlink()
