"""The cockpit's line to the terminal, which over SSH may stall or be cut: neither keeps the cockpit from ending when
it is told to, and one that is cut ends it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import termios
import time
import tty
from typing import TYPE_CHECKING, Any, TextIO

from textual.drivers.linux_driver import LinuxDriver

if TYPE_CHECKING:
    from textual.app import App

# How long a terminal that reads nothing is waited for once the cockpit was told to end.
LAST_SECONDS = 0.5
_POLL_INTERVAL = 0.1
# What a terminal that can be written at all takes at once.
_PIECE_BYTES = 128


class Line:
    """A file that Textual's writer thread writes to. A terminal that is gone takes everything: Textual's thread
    would end at its error, and the cockpit then wait for it for ever. So would it for a terminal that reads nothing,
    hence a descriptor of our own that does not block."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._number = file.fileno()
        self._until: float | None = None
        self._gone = False

    def open(self) -> None:
        self.close()
        self._number = _not_blocking(self._file)

    def close(self) -> None:
        if self._number != self._file.fileno():
            with contextlib.suppress(OSError):
                os.close(self._number)
            self._number = self._file.fileno()

    def fileno(self) -> int:
        return self._file.fileno()

    def isatty(self) -> bool:
        return True

    def flush(self) -> None:
        """Nothing is held back."""

    def write(self, text: str) -> int:
        left = memoryview(text.encode("utf-8", "replace"))
        while left and not self._gone and self._writable():
            try:
                left = left[
                    os.write(self._number, left if self._number != self._file.fileno() else left[:_PIECE_BYTES]) :
                ]
            except BlockingIOError:
                continue
            except OSError:
                self._gone = True
        return len(text)

    def gone(self) -> bool:
        """Whether nobody is at the other end any more. Not everybody is sent a SIGHUP then: the kernel tells the
        leader of the session alone."""
        poll = select.poll()
        poll.register(self._file.fileno(), 0)
        return any(events & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, events in poll.poll(0))

    def hurry(self) -> None:
        """From now on a terminal that reads nothing loses what it does not read. Called by a signal handler."""
        if self._until is None:
            self._until = time.monotonic() + LAST_SECONDS

    def _writable(self) -> bool:
        """Waits. False when it is to be waited for no longer."""
        while True:
            left = (
                _POLL_INTERVAL if self._until is None else min(_POLL_INTERVAL, max(0.0, self._until - time.monotonic()))
            )
            poll = select.poll()
            poll.register(self._number, select.POLLOUT)
            if poll.poll(left * 1000):
                return True
            if self._until is not None and time.monotonic() >= self._until:
                return False


def _not_blocking(file: TextIO) -> int:
    """The terminal opened once more: a flag on the file that the shell has too would stay with the shell. Where it
    belongs to another user (after su), by the name that it has for those who work on it."""
    flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    with contextlib.suppress(OSError):
        return os.open(os.ttyname(file.fileno()), flags)
    with contextlib.suppress(OSError):
        os.tcgetpgrp(file.fileno())  # fails unless it is the one that /dev/tty stands for
        return os.open("/dev/tty", flags)
    return file.fileno()


class LineDriver(LinuxDriver):
    """Textual's driver for terminals, over a `Line`."""

    def __init__(
        self, app: App[Any], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self.line = Line(self._file)
        self._file: Any = self.line

    def _sigcont_application(self, *_: object) -> None:
        """Textual takes every SIGCONT for the end of a suspension and starts once more: two threads would then read
        the keys, and wait for one another at the end. One comes also after a stop that Textual did not see, and with
        a SIGTERM from systemd."""
        if self._app._exit:
            return
        if self._key_thread is None or not self._key_thread.is_alive():
            super()._sigcont_application()
            return
        self._set_modes()
        self.write("\x1b[?1049h\x1b[?25l")
        self._enable_mouse_support()
        asyncio.run_coroutine_threadsafe(self._app._post_message(self.SignalResume()), loop=self._loop)

    def _set_modes(self) -> None:
        """As start_application_mode does: a shell that went on in between has set its own."""
        with contextlib.suppress(termios.error):
            modes = termios.tcgetattr(self.fileno)
            modes[tty.LFLAG] = self._patch_lflag(modes[tty.LFLAG])
            modes[tty.IFLAG] = self._patch_iflag(modes[tty.IFLAG])
            modes[tty.CC][termios.VMIN] = 1
            termios.tcsetattr(self.fileno, termios.TCSANOW, modes)

    def start_application_mode(self) -> None:
        self.line.open()
        super().start_application_mode()

    def close(self) -> None:
        super().close()
        self.line.close()
