"""The entry point. `--version` is answered before anything else is imported; every other call is guarded."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; raises nothing."""
    if arguments is None:
        _read_and_write_utf8()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words in (["--version"], ["-V"]):
        return _version()
    # Start-up makes a hundred thousand objects and hardly any garbage: looking for it at every 700 takes a tenth of the
    # time of a short command.
    gc.set_threshold(10_000)
    from .app import run
    from .guard import guarded

    return guarded(lambda: run(words))


_TERMINAL = "PODIUM_TERMINAL_ENCODING"


def _read_and_write_utf8() -> None:
    """Has Python take files, names and what its children write for UTF-8 whatever the locale is, because a project is
    the same for everybody. Python decides that when it starts, so in another locale it is started again; the terminal
    keeps its own encoding."""
    encoding = os.environ.pop(_TERMINAL, "")
    if encoding:
        for stream in (sys.stdin, sys.stdout, sys.stderr):
            if stream is not None and hasattr(stream, "reconfigure"):
                stream.reconfigure(encoding=encoding, errors="backslashreplace")
    elif sys.getfilesystemencoding() != "utf-8":
        given = getattr(sys.stdout, "encoding", None) or sys.getfilesystemencoding()
        environment = {**os.environ, "PYTHONUTF8": "1", _TERMINAL: given}
        os.execve(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]], environment)  # noqa: S606


def _version() -> int:
    from ..core.version import VERSION
    from .streams import OutputLost, guarded_streams

    try:
        with guarded_streams():
            print(f"podium {VERSION}")
    except OutputLost as lost:
        return lost.exit_code
    return 0
