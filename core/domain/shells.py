"""A shell where a step ran: what a front end needs to know to give a person one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class LocalShell:
    """For a step that is a process: start `argv` in `directory` with `env` on the caller's own terminal. `words` say
    where that is."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    directory: Path
    words: str


class ShellSession(Protocol):
    """A shell in a container: bytes to and from its terminal. Whoever opened it closes it."""

    words: str

    def fileno(self) -> int:
        """For `select`: readable when `read` has something."""
        ...

    def read(self) -> bytes:
        """What has come; waits for it. Empty when the shell has ended, or the line to it was cut."""
        ...

    def pending(self) -> bool:
        """Whether `read` would return at once although nothing more has come."""
        ...

    def write(self, data: bytes) -> None: ...

    def resize(self, rows: int, columns: int) -> None: ...

    def close(self) -> None:
        """End the shell and remove what was made for it."""
        ...
