"""Standard error and the exit codes: everything that a person is told on the way. Data goes to standard output, by
output.py."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable

from ...core.domain.text import clean, one_line
from ...core.errors import ConfigError, ExitCode, PodiumError

DONE, FAILED, USAGE = ExitCode.DONE, ExitCode.FAILED, ExitCode.USAGE
NOT_FOUND, REFUSED, UNREACHABLE = ExitCode.NOT_FOUND, ExitCode.REFUSED, ExitCode.UNREACHABLE
INTERRUPTED = ExitCode.INTERRUPTED

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def colourful(stream: object) -> bool:
    """Returns whether `stream` is a terminal on which a person wants colour (https://no-color.org)."""
    isatty = getattr(stream, "isatty", None)
    return (
        bool(isatty and isatty())
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM", "dumb") not in ("", "dumb")
    )


def paint(text: str, style: str, *, stream: object = None) -> str:
    """Returns `text` in a named style if the stream (by default standard error) shows colour."""
    code = _CODES.get(style)
    return f"\x1b[{code}m{text}\x1b[0m" if code and text and colourful(stream or sys.stderr) else text


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


def note(text: str = "", *, style: str = "") -> None:
    """Writes one line. A closed standard error is no error."""
    with contextlib.suppress(OSError, ValueError):
        print(paint(text, style), file=sys.stderr, flush=True)


def notes(lines: Iterable[str]) -> None:
    """Writes many lines at once: a step that prints a million is followed as fast as it prints."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write("".join(f"{line}\n" for line in lines))
        sys.stderr.flush()


def hint(text: str) -> None:
    for line in text.splitlines():
        note(f"  {line}", style="dim")


def report(error: PodiumError) -> int:
    """Says what happened and what to do; returns the exit code of the error."""
    lines = [clean(line) for line in (error.message or type(error).__name__).splitlines()]
    if isinstance(error, ConfigError):
        for line in lines:
            note(line)
        count = len(error.problems)
        note(f"podium: {count} problem{'s' if count != 1 else ''} in the configuration", style="red")
    else:
        note(f"podium: {lines[0]}", style="red")
        for line in lines[1:]:
            note(f"  {line}")
    hint(clean_lines(error.hint))
    return error.exit_code


def clean_lines(text: str) -> str:
    return "\n".join(clean(line) for line in text.splitlines())


def usage(error: Exception) -> int:
    """Reports a call that could not be parsed; returns its exit code."""
    format_message = getattr(error, "format_message", None)
    message = one_line(str(format_message() if format_message else error))
    context = getattr(error, "ctx", None)
    note(f"podium: {message[:1].lower()}{message[1:].rstrip('.')}", style="red")
    hint(f"`{context.command_path if context else 'podium'} --help` shows its arguments and options")
    return USAGE
