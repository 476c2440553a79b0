"""A command: a program of the user's, with the message as JSON on its standard input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
from contextlib import suppress

from ...domain.project import Sink
from ...domain.text import one_line
from ...errors import RunFailed
from . import Notice

# What a program needs to find others and to write in a person's language; the rest of the agent's environment may hold
# secrets that are none of its business.
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ")
MAX_OUTPUT = 4_096
"""Bytes of its standard error that are kept: the last."""


def send(sink: Sink, notice: Notice) -> None:
    """Runs the command in the project's directory; it has the message when it ends with 0. Raises RunFailed otherwise,
    and when it does not end in time. Whatever it started is killed when it ends."""
    environ = {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | dict(sink.env)
    with tempfile.TemporaryFile() as given:  # a pipe would hang on a program that does not read
        given.write(json.dumps(notice.document()).encode())
        given.seek(0)
        try:
            process = subprocess.Popen(
                list(sink.command),
                stdin=given,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd=notice.home,
                env=environ,
                start_new_session=True,
            )
        except OSError as error:
            words = f"sink {sink.name}: {one_line(sink.command[0])} cannot be started: {error.strerror or error}"
            raise RunFailed(words, hint="the path of a program is relative to the project") from error
    _follow(sink, process)


def _follow(sink: Sink, process: subprocess.Popen[bytes]) -> None:
    said = _Last(process)
    try:
        code = process.wait(sink.timeout)
    except subprocess.TimeoutExpired:
        raise RunFailed(f"sink {sink.name}: its command did not end within {sink.timeout:g} s") from None
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        line = said.line()
    if code:
        raise RunFailed(f"sink {sink.name}: its command ended with {code}{f': {line}' if line else ''}")


class _Last:
    """The end of what a process writes to its standard error, however much that is."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._stream = process.stderr
        self._tail = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        if self._stream is None:
            return
        with self._stream:
            while data := os.read(self._stream.fileno(), 65_536):
                self._tail = (self._tail + data)[-MAX_OUTPUT:]

    def line(self) -> str:
        """Returns the last line, once everything that could write has ended."""
        self._thread.join(timeout=5.0)
        lines = self._tail.decode("utf-8", "replace").strip().splitlines()
        return one_line(lines[-1]) if lines else ""
