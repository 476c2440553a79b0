"""A child that is told something and answers, as `subprocess.run` would have it."""

from __future__ import annotations

import contextlib
import os
import select
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from .client import Process
from .protocol import Child

# How long a child that is killed may take to be gone, in seconds.
_KILL_TIMEOUT = 5.0


class Piped:
    """A started child whose standard input is a pipe and whose output is kept in files without a name. To be closed.

    The descriptors in `inherit` are its own from now on: a child that is started late finds them under their numbers.
    """

    def __init__(
        self, state: Path, module: str, arguments: Sequence[str], *, cwd: Path, inherit: Sequence[int] = ()
    ) -> None:
        self._inherit = list(inherit)
        child = Child(module, tuple(arguments), dict(os.environ), str(cwd), (0, 1, 2, *inherit))
        reading, self._input = os.pipe()
        self._out: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._err: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        try:
            streams = (reading, self._out.fileno(), self._err.fileno())
            self._process = Process(state, child, (*streams, *inherit))
        except BaseException:
            self._close_files()
            raise
        finally:
            os.close(reading)

    def communicate(self, text: str, timeout: float) -> tuple[int, str, str]:
        """Gives it a line and waits; returns its exit code and what it wrote. Raises subprocess.TimeoutExpired, and
        ValueError for more than a pipe takes at once."""
        if len(text.encode()) > select.PIPE_BUF:
            raise ValueError("too much for a line")
        with contextlib.suppress(BrokenPipeError):  # it may have ended before; its exit code says why
            os.write(self._input, text.encode())
        self._close_input()
        code = self._process.wait(timeout)
        return code, _text(self._out), _text(self._err)

    def close(self) -> None:
        """Ends the child if it still runs."""
        self._close_input()
        self._process.end(_KILL_TIMEOUT)
        self._close_files()

    def _close_input(self) -> None:
        if self._input >= 0:
            os.close(self._input)
            self._input = -1

    def _close_files(self) -> None:
        self._close_input()
        self._out.close()
        self._err.close()
        while self._inherit:
            os.close(self._inherit.pop())


def run(state: Path, module: str, arguments: Sequence[str], *, cwd: Path, timeout: float) -> tuple[int, str, str]:
    """Runs a child to its end; returns its exit code and what it wrote. Raises subprocess.TimeoutExpired, and has it
    killed then."""
    child = Piped(state, module, arguments, cwd=cwd)
    try:
        return child.communicate("", timeout)
    finally:
        child.close()


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")
