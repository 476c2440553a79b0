"""A cockpit of one browser tab: a process on a terminal of its own, which ends when the tab is closed.

The kernel ends it too if the server dies without a word.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import signal
import struct
import sys
import termios
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress

from ...core.domain.frozen import Frozen

_READ_BYTES = 65_536
_END_SECONDS = 2.0
_TYPE_SECONDS = 5.0
MOST_COLUMNS, MOST_ROWS = 500, 300
# Of the terminal that the server was started on; a tab's is another one.
_OTHERS = ("TMUX", "TMUX_PANE", "STY", "SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY", "LINES", "COLUMNS", "NO_COLOR")


class Opening(Frozen):
    """What each session is opened with."""

    homes: tuple[str, ...]
    read_only: bool = True
    theme: str | None = None
    screen: str | None = None

    def words(self) -> str:
        """Returns it as one argument of a command."""
        given = {"homes": self.homes, "read_only": self.read_only, "theme": self.theme, "screen": self.screen}
        return json.dumps(given)


class Session:
    """Has to be ended (`end`), also when the cockpit has left by itself."""

    def __init__(self, process: asyncio.subprocess.Process, master: int) -> None:
        self._process, self._master = process, master
        self._ended = False

    @classmethod
    async def start(cls, opening: Opening, columns: int, rows: int) -> Session:
        """Starts a cockpit."""
        master, slave = pty.openpty()
        os.set_blocking(master, False)
        _resize(master, columns, rows)
        try:
            process = await asyncio.create_subprocess_exec(
                *(
                    sys.executable,
                    "-P",
                    "-X",
                    "utf8",
                    "-m",
                    "podium.tui.web.session_main",
                    opening.words(),
                    str(os.getpid()),
                ),
                stdin=slave,
                stdout=slave,
                stderr=slave,
                env=_environment(os.environ),
                start_new_session=True,
            )
        except BaseException:
            os.close(master)
            raise
        finally:
            os.close(slave)
        return cls(process, master)

    @property
    def pid(self) -> int:
        return self._process.pid

    def resize(self, columns: int, rows: int) -> None:
        """Tells the cockpit how large the tab is, in characters."""
        if not self._ended:
            _resize(self._master, columns, rows)

    async def output(self) -> AsyncIterator[bytes]:
        """Yields what the cockpit draws, until it ends. No more is read than is taken: a browser that reads slowly
        slows its own cockpit."""
        while not self._ended:
            try:
                data = os.read(self._master, _READ_BYTES)
            except BlockingIOError:
                await self._ready(reading=True)
                continue
            except OSError:  # nobody is on the terminal any more
                return
            if not data:
                return
            yield data

    async def type(self, text: str) -> bool:
        """Hands on what was typed; False if the cockpit has not taken it for seconds."""
        left = memoryview(text.encode("utf-8", "replace"))
        while left and not self._ended:
            try:
                left = left[os.write(self._master, left) :]
            except BlockingIOError:
                try:
                    await asyncio.wait_for(self._ready(reading=False), _TYPE_SECONDS)
                except TimeoutError:
                    return False
            except OSError:
                return False
        return True

    async def end(self) -> None:
        """Hangs up, and kills what does not go."""
        if self._ended:
            return
        self._ended = True
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._master)
        loop.remove_writer(self._master)
        os.close(self._master)
        try:
            await asyncio.wait_for(self._process.wait(), _END_SECONDS)
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()

    async def _ready(self, *, reading: bool) -> None:
        loop = asyncio.get_running_loop()
        ready = loop.create_future()

        def tell() -> None:
            if not ready.done():
                ready.set_result(None)

        add, remove = (loop.add_reader, loop.remove_reader) if reading else (loop.add_writer, loop.remove_writer)
        add(self._master, tell)
        try:
            await ready
        finally:
            if not self._ended:
                remove(self._master)


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in environ.items() if name not in _OTHERS}
    return {**kept, "TERM": "xterm-256color", "COLORTERM": "truecolor"}


def _resize(master: int, columns: int, rows: int) -> None:
    size = max(2, min(rows, MOST_ROWS)), max(2, min(columns, MOST_COLUMNS))
    with suppress(OSError):
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
