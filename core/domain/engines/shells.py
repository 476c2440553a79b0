"""Shells in the place where a step ran: the data that a front end needs to open one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Protocol

from ..frozen import Frozen


class LocalShell(Frozen):
    """The shell of a step that is a process: start `argv` in `directory` with `env` on the caller's own terminal.
    `words` describe the place."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    directory: Path
    words: str


class ShellSession(Protocol):
    """A shell in a container: bytes to and from its terminal. The caller closes it."""

    words: str

    def fileno(self) -> int:
        """Returns a descriptor for `select`: it is readable when `read` has something."""
        ...

    def read(self) -> bytes:
        """Waits for output and returns it; empty when the shell has ended or its connection was cut."""
        ...

    def pending(self) -> bool:
        """Tells whether `read` would return immediately although no more data has arrived."""
        ...

    def write(self, data: bytes) -> None: ...

    def resize(self, rows: int, columns: int) -> None: ...

    def close(self) -> None:
        """Ends the shell and removes everything that was created for it."""
        ...
