"""Carries out a whole call: whatever goes wrong in it becomes a sentence and an exit code."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from ..core.domain.text import one_line
from ..core.errors import PodiumError
from .session import directory
from .text.diagnostics import DONE, FAILED, INTERRUPTED, UNREACHABLE, clean_lines, hint, note, report

PIPE_CLOSED = 141  # what a shell reports for a process that SIGPIPE ended


def guarded(action: Callable[[], int]) -> int:
    """Carries out a whole call and returns its exit code. No traceback reaches a person."""
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
        return _reported(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else DONE if end.code is None else FAILED
    except BrokenPipeError:
        return PIPE_CLOSED
    except OSError as error:
        if error.filename is None or debugging():
            return crash(error)
        note(f"podium: {one_line(str(error.filename))}: {error.strerror}", style="red")
        return UNREACHABLE
    except Exception as error:
        return crash(error)


@contextlib.contextmanager
def _stream_ends_quietly() -> Iterator[None]:
    """Lets a reader that went away (`| head`) end the command without a word, also when Python flushes at its end."""
    try:
        yield
    except BrokenPipeError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def debugging() -> bool:
    return os.environ.get("PODIUM_DEBUG", "") not in ("", "0")


def _reported(error: PodiumError) -> int:
    """Says what happened, with the traceback for who debugs; returns the exit code."""
    if debugging():
        traceback.print_exception(error)
    return report(error)


def crash(error: BaseException) -> int:
    """Reports an error that nobody foresaw: one sentence, and the traceback in a file. Returns the exit code."""
    if debugging():
        traceback.print_exception(error)
        return FAILED
    text = "".join(traceback.format_exception(error))
    where = _keep(text)
    said = " ".join(one_line(str(error)).split())[:200]
    note(f"podium: unexpected error: {type(error).__name__}{f': {said}' if said else ''}", style="red")
    hint(f"the traceback is in {where}" if where else clean_lines(text))
    return FAILED


def _keep(text: str) -> Path | None:
    """Writes `text` to the project's state directory, or else to the one for temporary files; returns its path."""
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
