"""Opens the cockpit. Imports nothing heavy itself: the collector is switched off before Textual comes, for a quarter
of the start was its."""

from __future__ import annotations

import gc
import signal
import sys
from pathlib import Path

from ..core.cockpit import Cockpit
from ..core.errors import UsageError
from .screens import MAIN
from .terminal import prepare_environment

THEMES = ("dark", "light")


def run(home: Path | Cockpit, *, read_only: bool = False, screen: str | None = None, theme: str | None = None) -> int:
    """Open the cockpit on the project at `home` and stay until it is left; the exit code.

    The caller has checked the terminal (`terminal.check`). ConfigError where the person's keys.yaml cannot be used,
    UsageError for an unknown screen or theme. An error that nobody foresaw ends the cockpit and is raised here.
    """
    for what, given, known in (("screen", screen, tuple(each.name for each in MAIN)), ("theme", theme, THEMES)):
        if given is not None and given not in known:
            raise UsageError(f"there is no {what} {given!r}", hint=f"there are: {', '.join(known)}")
    prepare_environment()
    gc.disable()
    # Work in other threads gives the interpreter back ten times sooner than by default, for the sake of the keys.
    sys.setswitchinterval(0.0005)
    from . import keymap
    from .application import PodiumApp
    from .shutdown import ENDING

    keys = keymap.load()
    cockpit = home if isinstance(home, Cockpit) else Cockpit(home)
    app = PodiumApp(cockpit, read_only=read_only, screen=screen, theme=theme, keymap=keys)
    before = {number: signal.getsignal(number) for number in ENDING}
    try:
        app.run()
    finally:
        app.pool.close()
        gc.enable()
        for number, handler in before.items():
            signal.signal(number, handler)
    if app.failure is not None:
        raise app.failure
    return app.return_code or 0
