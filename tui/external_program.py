"""Hands the terminal to another program and takes it back when that ends. Imports no Textual: the app does its part
in `suspend`."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.app import App

NOT_FOUND = 127
# What starts Podium's command line, whatever is on PATH.
PODIUM = (sys.executable, "-P", "-m", "podium.cli")


def run_outside(app: App[int], argv: Sequence[str], words: str) -> int:
    """Run `argv` on the app's terminal and wait for it; its exit code. `words` are said before it begins.

    Nothing is awaited and nothing may be raised in here: either would leave a suspended app that never comes back.
    """
    with app.suspend():
        code = _run(argv, words)
    app.refresh(layout=True)
    return code


def _run(argv: Sequence[str], words: str) -> int:
    # ctrl+c reaches us too, as we share the terminal, and is meant for the program. It inherits "ignore", but no
    # handler of Python's.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        print(f"\r\n{words}\r\n", file=sys.__stderr__, flush=True)
        return subprocess.run(list(argv), check=False).returncode
    except OSError as error:
        print(f"{argv[0]} cannot be started: {error.strerror or error}", file=sys.__stderr__, flush=True)
        return NOT_FOUND
    finally:
        signal.signal(signal.SIGINT, before)
