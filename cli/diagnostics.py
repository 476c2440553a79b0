"""Owns standard error and the exit codes. Standard output is data and belongs to output.py; everything a person is
told on the way goes here."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ..core.domain.text import clean, one_line
from ..core.errors import ConfigError, ExitCode, PodiumError

DONE, FAILED, USAGE = ExitCode.DONE, ExitCode.FAILED, ExitCode.USAGE
NOT_FOUND, REFUSED, UNREACHABLE = ExitCode.NOT_FOUND, ExitCode.REFUSED, ExitCode.UNREACHABLE
INTERRUPTED = ExitCode.INTERRUPTED
PIPE_CLOSED = 141  # what a shell reports for a process that SIGPIPE ended

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def colourful(stream: object) -> bool:
    """Whether `stream` is a terminal that a person wants colour on (https://no-color.org)."""
    isatty = getattr(stream, "isatty", None)
    return (
        bool(isatty and isatty())
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM", "dumb") not in ("", "dumb")
    )


def paint(text: str, style: str, *, stream: object = None) -> str:
    """`text` in a named style where the stream (default: standard error) shows colour."""
    code = _CODES.get(style)
    return f"\x1b[{code}m{text}\x1b[0m" if code and text and colourful(stream or sys.stderr) else text


def glyph(fancy: str, plain: str) -> str:
    """`fancy` where standard error can encode it, else `plain`."""
    try:
        fancy.encode(sys.stderr.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return plain
    return fancy


def interactive() -> bool:
    """Whether there is a person to ask: both ends of the conversation are terminals."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def note(text: str = "", *, style: str = "") -> None:
    """One line of narration. A closed standard error is nobody's loss."""
    with contextlib.suppress(OSError, ValueError):
        print(paint(text, style), file=sys.stderr, flush=True)


def notes(lines: Iterable[str]) -> None:
    """Many lines in one write: a step that prints a million is followed as fast as it prints."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write("".join(f"{line}\n" for line in lines))
        sys.stderr.flush()


def hint(text: str) -> None:
    for line in text.splitlines():
        note(f"  {line}", style="dim")


def report(error: PodiumError) -> int:
    """Say what happened and what to do; the exit code that goes with it."""
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
    """A call that could not be parsed."""
    format_message = getattr(error, "format_message", None)
    message = one_line(str(format_message() if format_message else error))
    context = getattr(error, "ctx", None)
    note(f"podium: {message[:1].lower()}{message[1:].rstrip('.')}", style="red")
    hint(f"`{context.command_path if context else 'podium'} --help` shows how it is called")
    return USAGE


def guarded(action: Callable[[], int]) -> int:
    """Carry out a whole call. Whatever goes wrong becomes a sentence and an exit code; a person never meets a
    traceback."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        with _stream_ends_quietly():
            code = action()
            if sys.stdout is not None:
                sys.stdout.flush()
            return code
    except PodiumError as error:
        return _shown(error) or report(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else DONE if end.code is None else FAILED
    except BrokenPipeError:
        return PIPE_CLOSED
    except OSError as error:
        if error.filename is None or debugging():
            return crash(error)
        note(f"podium: {error.filename}: {error.strerror}", style="red")
        return UNREACHABLE
    except Exception as error:
        return crash(error)


@contextlib.contextmanager
def _stream_ends_quietly() -> Iterator[None]:
    """A reader that went away (`| head`) ends the command without a word, also when Python flushes at its end."""
    try:
        yield
    except BrokenPipeError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def debugging() -> bool:
    return os.environ.get("PODIUM_DEBUG", "") not in ("", "0")


def _shown(error: PodiumError) -> int | None:
    if debugging():
        traceback.print_exception(error)
    return None


def crash(error: BaseException) -> int:
    """Something that nobody foresaw: one sentence, and the traceback in a file."""
    if debugging():
        traceback.print_exception(error)
        return FAILED
    text = "".join(traceback.format_exception(error))
    where = _keep(text)
    said = " ".join(str(error).split())[:200]
    note(f"podium: something unexpected happened: {type(error).__name__}{f': {said}' if said else ''}", style="red")
    hint(f"what is known about it was written to {where}" if where else text)
    return FAILED


def _keep(text: str) -> Path | None:
    """Write `text` where it will be found: the project's state directory, else the one for temporary files."""
    from .session import directory

    start = (directory.get() or Path.cwd()).absolute()
    homes = [parent / ".podium" for parent in (start, *start.parents)]
    for folder in [*(home for home in homes if home.is_dir()), Path(tempfile.gettempdir())]:
        path = folder / f"crash-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{os.getpid()}.txt"
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
        except OSError:
            continue
        return path
    return None
