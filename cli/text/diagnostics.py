"""Standard error and the exit codes: everything that a person is told on the way. Data goes to standard output, by
output.py.

What is written is cleaned here: names and messages come from elsewhere. The only escapes are those of `paint`, which
come as pieces of their own: what an f-string makes of one is text like any other.
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Iterable

from ...core.domain.text import clean, one_line, unbroken
from ...core.errors import ConfigError, ExitCode, PodiumError

DONE, FAILED, USAGE = ExitCode.DONE, ExitCode.FAILED, ExitCode.USAGE
NOT_FOUND, REFUSED, UNREACHABLE = ExitCode.NOT_FOUND, ExitCode.REFUSED, ExitCode.UNREACHABLE
INTERRUPTED = ExitCode.INTERRUPTED

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def colourful(stream: object = None) -> bool:
    """Returns whether the stream (by default standard error) is a terminal on which a person wants colour
    (https://no-color.org)."""
    isatty = getattr(stream or sys.stderr, "isatty", None)
    return (
        bool(isatty and isatty())
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM", "dumb") not in ("", "dumb")
    )


class Painted(str):
    """Text that `paint` has cleaned: the escapes in it are ours."""

    __slots__ = ()


def paint(text: str, style: str, *, stream: object = None) -> Painted:
    """Returns `text`, cleaned, in a named style if the stream (by default standard error) shows colour."""
    return _coloured(line_of((text,)), style, stream)


def _coloured(text: str, style: str, stream: object = None) -> Painted:
    code = _CODES.get(style)
    return Painted(f"\x1b[{code}m{text}\x1b[0m" if code and text and colourful(stream) else text)


def line_of(pieces: Iterable[str]) -> str:
    """Returns the pieces of a line, each cleaned for itself: what one says reaches into no other one."""
    return "".join(piece if isinstance(piece, Painted) else unbroken(piece) for piece in pieces)


def glyph(fancy: str, plain: str) -> str:
    """Returns `fancy` if standard error can encode it, else `plain`."""
    try:
        fancy.encode(sys.stderr.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return plain
    return fancy


def interactive() -> bool:
    """Returns whether there is a person to ask: standard input and standard error are terminals."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def note(*pieces: str, style: str = "") -> None:
    """Writes one line, of pieces with colours of their own or in one style."""
    _write(f"{_coloured(line_of(pieces), style)}\n")


def notes(lines: Iterable[str], before: Iterable[str] = ()) -> None:
    """Writes many lines at once, with the same pieces before each: a step that prints a million is followed as fast as
    it prints."""
    start = line_of(before)
    _write("".join([f"{start}{clean(line)}\n" for line in lines]))


def hint(text: str) -> None:
    for line in text.splitlines():
        note(f"  {line}", style="dim")


def ask(question: str) -> None:
    """Writes a question, behind which the answer is typed."""
    _write(paint(question, "bold"))


def redraw(*pieces: str) -> None:
    """Writes what stands in the last line for now; `wipe` takes it away."""
    _write(line_of(pieces))


def wipe() -> None:
    _write("\r\x1b[K")


def job_commands(lines: Iterable[str]) -> None:
    """Writes lines that a host's CI obeys. They are made in core/cockpit/ci_job.py, which cleans all that is not ours:
    GitLab's have escapes."""
    _write("".join([f"{line}\n" for line in lines]))


def debug(error: BaseException) -> None:
    """Writes the traceback, for who develops Podium."""
    notes("".join(traceback.format_exception(error)).splitlines())


def _write(text: str) -> None:
    """Writes to standard error. A closed one, or a lost terminal, keeps nobody from finishing what is being done."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()


def report(error: PodiumError) -> int:
    """Says what happened and what to do; returns the exit code of the error."""
    lines = (error.message or type(error).__name__).splitlines()
    if isinstance(error, ConfigError):
        for line in lines:
            note(line)
        count = len(error.problems)
        note(f"podium: {count} problem{'s' if count != 1 else ''} in the configuration", style="red")
    else:
        note("podium: ", lines[0], style="red")
        for line in lines[1:]:
            note("  ", line)
    hint(error.hint)
    return error.exit_code


def usage(error: Exception) -> int:
    """Reports a call that could not be parsed; returns its exit code."""
    format_message = getattr(error, "format_message", None)
    message = one_line(str(format_message() if format_message else error))
    context = getattr(error, "ctx", None)
    note(f"podium: {message[:1].lower()}{message[1:].rstrip('.')}", style="red")
    hint(f"`{context.command_path if context else 'podium'} --help` shows its arguments and options")
    return USAGE
