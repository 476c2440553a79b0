"""Connects this terminal to one in a container: keys, output and the size of the window."""

from __future__ import annotations

import fcntl
import os
import selectors
import signal
import struct
import sys
import termios
import tty
from collections.abc import Generator
from contextlib import contextmanager, suppress
from types import FrameType

from ...core.domain.engines.shells import ShellSession

_CHUNK = 1 << 14


def converse(session: ShellSession) -> None:
    """Passes keys and output on until the shell ends or this terminal goes away."""
    source = sys.stdin.fileno()
    woken, waking = os.pipe()
    os.set_blocking(waking, False)

    def resized(number: int, frame: FrameType | None) -> None:
        with suppress(BlockingIOError):
            os.write(waking, b"r")

    before = signal.signal(signal.SIGWINCH, resized)
    selector = selectors.DefaultSelector()
    for descriptor in (source, session.fileno(), woken):
        selector.register(descriptor, selectors.EVENT_READ)
    try:
        with raw(source):
            _resize(session, source)
            _pass_on(session, selector, source, woken)
    finally:
        signal.signal(signal.SIGWINCH, before)
        selector.close()
        os.close(woken)
        os.close(waking)


def _pass_on(session: ShellSession, selector: selectors.BaseSelector, source: int, woken: int) -> None:
    while True:
        ready = {key.fd for key, _ in selector.select(0 if session.pending() else None)}
        if session.fileno() in ready or session.pending():
            data = session.read()
            if not data:
                return
            _write(data)
        if woken in ready:
            os.read(woken, _CHUNK)
            _resize(session, source)
        if source in ready:
            keys = os.read(source, _CHUNK)
            if not keys:
                return
            session.write(keys)


def _write(data: bytes) -> None:
    rest = memoryview(data)
    while len(rest):
        rest = rest[os.write(sys.stdout.fileno(), rest) :]


def _resize(session: ShellSession, source: int) -> None:
    with suppress(OSError):
        rows, columns = struct.unpack("HHHH", fcntl.ioctl(source, termios.TIOCGWINSZ, b"\0" * 8))[:2]
        if rows and columns:
            session.resize(rows, columns)


@contextmanager
def raw(descriptor: int) -> Generator[None]:
    """Makes every key arrive as it was pressed, Ctrl-C too; restores the terminal afterwards."""
    before = termios.tcgetattr(descriptor)
    try:
        # Keys that were pressed already are meant for the shell.
        tty.setraw(descriptor, termios.TCSADRAIN)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
