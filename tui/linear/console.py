"""The terminal of linear mode: it stays as it is and edits the line that is typed by itself; only lines are
written."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from ..external_program import NOT_FOUND

_CHUNK = 4096


class Console:
    """Lines in and lines out. What is typed before it is asked for waits; nothing of it is lost."""

    def __init__(self, source: TextIO, target: TextIO) -> None:
        self._source, self._target = source, target
        self._waiting: deque[str] = deque()
        self._rest = b""
        self._ended = False
        self._answer: asyncio.Future[str | None] | None = None
        self._prompt = ""
        self.on_interrupt: Callable[[], None] | None = None

    def open(self) -> None:
        """Begins to read. Ctrl-C leaves what is being made, and not the program."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._source.fileno(), self._read)
        loop.add_signal_handler(signal.SIGINT, self._interrupted)

    def close(self) -> None:
        with suppress(RuntimeError, ValueError):
            asyncio.get_running_loop().remove_reader(self._source.fileno())

    # Out

    def line(self, text: str = "") -> None:
        self._write(f"{text}\n")

    def tell(self, lines: Sequence[str]) -> None:
        """Writes lines that nobody has asked for; the question that stands is asked again below."""
        if not lines:
            return
        asked = self._answer is not None
        self._write(("\n" if asked else "") + "".join(f"{line}\n" for line in lines) + (self._prompt if asked else ""))

    def _write(self, text: str) -> None:
        encoding = getattr(self._target, "encoding", None) or "ascii"
        with suppress(OSError):
            self._target.write(text.encode(encoding, "replace").decode(encoding))
            self._target.flush()

    # In

    async def ask(self, prompt: str) -> str | None:
        """Returns the line that is typed next; None when nobody is at the terminal any more."""
        if self._waiting:
            line = self._waiting.popleft()
            self.line(f"{prompt}{line}")  # so that what follows is under what it is the answer to
            return line
        if self._ended:
            return None
        self._prompt = prompt
        self._write(prompt)
        self._answer = asyncio.get_running_loop().create_future()
        try:
            return await self._answer
        finally:
            self._answer = None

    def _read(self) -> None:
        try:
            data = os.read(self._source.fileno(), _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._ended = True
            self.close()
            if self._answer is not None and not self._answer.done():
                self._answer.set_result(None)
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._waiting.extend(line.decode("utf-8", "replace").strip() for line in lines)
        if self._waiting and self._answer is not None and not self._answer.done():
            self._answer.set_result(self._waiting.popleft())

    def _interrupted(self) -> None:
        self._waiting.clear()
        if self.on_interrupt is not None:
            self.on_interrupt()

    # Others

    def lend(
        self,
        argv: Sequence[str],
        words: str,
        environ: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> int:
        """Gives the terminal to another program until it ends; returns its exit code. `environ` is added to this
        process's variables."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._source.fileno())
        self.line(words)
        try:
            variables = {**os.environ, **environ} if environ is not None else None
            return subprocess.run(list(argv), check=False, env=variables, cwd=directory).returncode
        except OSError as error:
            self.line(f"{argv[0]} cannot be started: {error.strerror or error}")
            return NOT_FOUND
        finally:
            loop.add_reader(self._source.fileno(), self._read)
