"""Hands the terminal to another program and takes it back when that ends. Imports no Textual: the app does its part
in `suspend`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.app import App

NOT_FOUND = 127
# What starts Podium's command line, whatever is on PATH.
PODIUM = (sys.executable, "-P", "-m", "podium.cli")


def run_outside(
    app: App[int],
    argv: Sequence[str],
    words: str,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
    *,
    pause: bool = False,
) -> int:
    """Run `argv` on the app's terminal and wait for it; its exit code. `words` are said before it begins, `environ` is
    added to this process's variables. With `pause` the terminal stays as it left it until enter is pressed.

    Nothing is awaited and nothing may be raised in here: either would leave a suspended app that never comes back.
    """
    with app.suspend():
        code = _run(argv, words, environ, directory)
        if pause:
            _wait_for_enter(code)
    app.refresh(layout=True)
    return code


def _wait_for_enter(code: int) -> None:
    with suppress(OSError, ValueError):
        print(f"\r\nended with {code}; enter goes back to the cockpit", file=sys.__stderr__, flush=True)
        if sys.__stdin__ is not None:
            sys.__stdin__.readline()


def _run(argv: Sequence[str], words: str, environ: Mapping[str, str] | None, directory: Path | None) -> int:
    # ctrl+c reaches us too, as we share the terminal, and is meant for the program. It inherits "ignore", but no
    # handler of Python's.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        print(f"\r\n{words}\r\n", file=sys.__stderr__, flush=True)
        variables = {**os.environ, **environ} if environ is not None else None
        return subprocess.run(list(argv), check=False, env=variables, cwd=directory).returncode
    except OSError as error:
        print(f"{argv[0]} cannot be started: {error.strerror or error}", file=sys.__stderr__, flush=True)
        return NOT_FOUND
    finally:
        signal.signal(signal.SIGINT, before)
