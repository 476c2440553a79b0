"""Carries out a whole call: whatever goes wrong in it becomes a sentence and an exit code."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ..core.domain.text import one_line
from ..core.errors import NotNamed, PodiumError, known
from .session import directory
from .streams import OutputLost, guarded_streams
from .text.diagnostics import DONE, FAILED, INTERRUPTED, UNREACHABLE, debug, hint, interactive, note, report


def guarded(action: Callable[[], int]) -> int:
    """Carries out a whole call and returns its exit code. No traceback reaches a person."""
    try:
        with guarded_streams():
            return _guarded(action)
    except OutputLost as lost:
        return _lost(lost)


def _guarded(action: Callable[[], int]) -> int:
    try:
        code = action()
        sys.stdout.flush()
        return code
    except OutputLost as lost:
        return _lost(lost)
    except NotNamed as error:
        return _asked(error, action)
    except PodiumError as error:
        return _reported(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else DONE if end.code is None else FAILED
    except OSError as error:
        if error.filename is None or debugging():
            return crash(error)
        note("podium: ", str(error.filename), f": {error.strerror}", style="red")
        return UNREACHABLE
    except Exception as error:
        return crash(error)


def _asked(error: NotNamed, action: Callable[[], int]) -> int:
    """Asks the person at the terminal whether the server may get the credential, remembers it and starts again;
    without a terminal, or with another answer, the error is reported."""
    if not interactive():
        return _reported(error)
    from ..core.cockpit import Cockpit
    from .interaction.confirm import ask

    try:
        ask(
            [error.message],
            f"send it to {error.address}, now and later",
            "",
            otherwise="nothing was sent",
        )
        Cockpit(error.home).project.name_server(error.address)
    except PodiumError as refused:
        return _reported(refused)
    return _guarded(action)


def _lost(lost: OutputLost) -> int:
    """Says that output was lost, unless its reader went away by itself (`| head`); returns the exit code."""
    if lost.message:
        note(f"podium: {lost.message}", style="red")
    return lost.exit_code


def debugging() -> bool:
    return os.environ.get("PODIUM_DEBUG", "") not in ("", "0")


def _reported(error: PodiumError) -> int:
    """Says what happened, with the traceback for who debugs; returns the exit code."""
    if debugging():
        debug(error)
    return report(error)


def crash(error: BaseException) -> int:
    """Reports an error that nobody foresaw: one sentence, and the traceback in a file. Returns the exit code."""
    if debugging():
        debug(error)
        return FAILED
    text = known.hidden("".join(traceback.format_exception(error)))
    where = _keep(text)
    said = " ".join(one_line(known.hidden(str(error))).split())[:200]
    note(f"podium: unexpected error: {type(error).__name__}{f': {said}' if said else ''}", style="red")
    hint(f"the traceback is in {where}" if where else text)
    return FAILED


def _temporary() -> list[Path]:
    with suppress(ImportError, OSError):  # a process without descriptors may have crashed of that
        import tempfile  # brings `random`, which no command needs

        return [Path(tempfile.gettempdir())]
    return []


def _keep(text: str) -> Path | None:
    """Writes `text` to the project's state directory, or else to the one for temporary files; returns its path."""
    start = (directory.get() or Path.cwd()).absolute()
    homes = [parent / ".podium" for parent in (start, *start.parents)]
    for folder in [*(home for home in homes if home.is_dir()), *_temporary()]:
        path = folder / f"crash-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{os.getpid()}.txt"
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
        except OSError:
            continue
        return path
    return None
