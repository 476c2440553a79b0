"""A real terminal for the app: a pty of our own, read by a thread, so that signals, exit and raw modes can be seen."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

from tests.runner.scale import scaled
from tests.support import readable, wait_until

_ESCAPES = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|\x1b[PX^_][^\x1b]*\x1b\\|\x1b.")


class Terminal:
    """`python ARGUMENTS` on a pty of `size` (columns, rows). `leader`: as the leader of a session that the terminal
    belongs to."""

    def __init__(
        self,
        arguments: list[str],
        *,
        size: tuple[int, int] = (120, 40),
        environ: dict[str, str] | None = None,
        cwd: Path | None = None,
        leader: bool = True,
    ) -> None:
        self.master, self.slave = pty.openpty()
        self._ends = [self.master, self.slave]
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.before = termios.tcgetattr(self.slave)
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("TMUX", "NO_COLOR", "SSH_CONNECTION", "LINES", "COLUMNS")
        }
        environment |= {
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "PYTHONFAULTHANDLER": "",
            **(environ or {}),
        }

        def own_terminal() -> None:
            os.setsid()
            if leader:
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            env=environment,
            cwd=cwd,
            preexec_fn=own_terminal,
        )
        self.output = bytearray()
        self.times: list[tuple[float, int]] = []
        self._closing = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._closing:
            if not readable(self.master, seconds=0.05):
                continue
            try:
                data = os.read(self.master, 65_536)
            except OSError:
                return
            if not data:
                return
            self.output += data
            self.times.append((time.perf_counter(), len(self.output)))

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
        self.hang_up()

    def stop_reading(self) -> None:
        """As a line that stalls: nothing is read, and nothing ends."""
        self._closing = True
        self._thread.join(scaled(1))

    def hang_up(self) -> None:
        """As a window that is closed, or a line that is cut for good."""
        self.stop_reading()
        while self._ends:
            os.close(self._ends.pop())

    def press(self, keys: str) -> int:
        """Send keys; how much had been written before."""
        at = len(self.output)
        os.write(self.master, keys.encode())
        return at

    def words(self, since: int = 0) -> str:
        """Everything written since, without escapes (not a picture of the screen: only what was drawn)."""
        return _ESCAPES.sub(b"", bytes(self.output[since:])).decode("utf-8", "replace")

    def wait_for(self, words: str, since: int = 0, timeout: float = 10.0) -> None:
        wait_until(
            lambda: words in self.words(since),
            timeout,
            what=f"{words!r} on the terminal; there is: {self.words(since)[-1500:]!r}",
        )

    def wait_exit(self, timeout: float = 5.0) -> int:
        return self.process.wait(scaled(timeout))

    def restored(self) -> bool:
        """Whether the modes are as before and the alternate screen, the mouse and the hidden cursor are off."""
        tail = bytes(self.output)
        left = all(
            tail.rfind(off) > tail.rfind(on)
            for on, off in (
                (b"\x1b[?1049h", b"\x1b[?1049l"),
                (b"\x1b[?1000h", b"\x1b[?1000l"),
                (b"\x1b[?25l", b"\x1b[?25h"),
            )
        )
        return left and termios.tcgetattr(self.slave)[:4] == self.before[:4]
