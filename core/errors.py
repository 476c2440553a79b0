"""Every exception that Podium raises on purpose. Each carries a message, a hint that says what to do about it, so
that a front end can print both without knowing the part that failed, and an exit code, so that scripts can tell the
kinds apart (docs/cli.md lists the codes)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Self

from .known_secrets import known

UNREADABLE = (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, RecursionError)
"""What taking a document apart may raise that somebody else has written: anything may stand anywhere in it, at any
depth."""


class ExitCode(IntEnum):
    """The exit code of a headless command. `meaning` is the line of `podium --help`."""

    DONE = 0, "done"
    FAILED = 1, "a run failed, or its gate refused the version"
    USAGE = 2, "wrong usage or configuration"
    NOT_FOUND = 3, "what was named does not exist"
    REFUSED = 4, "refused: a gate not passed, a lock, a protection, a missing approval, a quarantine"
    UNREACHABLE = 5, "a server, store or program that is needed cannot be reached, or the output not written"
    INTERRUPTED = 130, "interrupted"

    meaning: str

    def __new__(cls, value: int, meaning: str) -> Self:
        code = int.__new__(cls, value)
        code._value_ = value
        code.meaning = meaning
        return code


class PodiumError(Exception):
    """An error that is reported to the user. `exit_code` is that of a headless command. What this process holds as a
    credential is hidden in its words."""

    exit_code: int = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message, self.hint = known.hidden(message), known.hidden(hint)
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message


class RunFailed(PodiumError):
    """A run or one of its steps failed, for example a gate that refused a version."""

    exit_code = ExitCode.FAILED


class UsageError(PodiumError):
    """The call cannot be carried out as it was written."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem in a file."""

    file: str
    line: int
    """Counts from 1; 0 if the problem concerns the file as a whole."""
    column: int
    """Counts from 1; 0 if the problem concerns the file as a whole."""
    key: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        key = f" {self.key}:" if self.key else ""
        return f"{where}:{key} {self.message}"


class ConfigError(PodiumError):
    """podium.yaml cannot be used. It holds every problem found, not only the first."""

    exit_code = ExitCode.USAGE

    def __init__(self, problems: tuple[Problem, ...], *, hint: str = "") -> None:
        lines = [f"{problem}\n  {problem.hint}" if problem.hint else str(problem) for problem in problems]
        super().__init__("\n".join(lines), hint=hint)
        self.problems = problems


class NotFound(PodiumError):
    """The named run, version, environment, step or file does not exist."""

    exit_code = ExitCode.NOT_FOUND


class Refused(PodiumError):
    """Podium could do it but must not: a failed gate, a lock, a protection, a missing approval, a quarantine."""

    exit_code = ExitCode.REFUSED


class NotNamed(Refused):
    """A credential would go to a server that podium.yaml names and no person on this machine has."""

    def __init__(self, message: str, *, hint: str = "", home: Path, address: str) -> None:
        super().__init__(message, hint=hint)
        self.home, self.address = home, address


class Unreachable(PodiumError):
    """A required server, daemon or store does not answer."""

    exit_code = ExitCode.UNREACHABLE


class JournalError(PodiumError):
    """The journal cannot be opened, read or written (locked, read-only, damaged, disk full)."""

    exit_code = ExitCode.UNREACHABLE


class MissingExtra(PodiumError):
    """An optional part needs a package or program that is not installed."""

    exit_code = ExitCode.UNREACHABLE


class Interrupted(PodiumError):
    """A person pressed Ctrl-C, or the process received a signal to end."""

    exit_code = ExitCode.INTERRUPTED
