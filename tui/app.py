"""Opens the cockpit. Imports nothing heavy itself: the collector is switched off before Textual comes, for a quarter
of the start was its."""

from __future__ import annotations

import gc
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.cockpit import Cockpit
from ..core.errors import UsageError
from .screens import FIRST, MAIN
from .terminal import cannot_draw, prepare_environment

if TYPE_CHECKING:
    from .application import PodiumApp
    from .keys import Keymap
    from .personal.themes import OwnThemes
    from .pool import Pool
    from .projects.session import Session


def run(
    home: Path | Cockpit,
    *,
    read_only: bool = False,
    screen: str | None = None,
    theme: str | None = None,
    linear: bool = False,
    projects: Sequence[Path] = (),
    browser: bool = False,
) -> int:
    """Open the cockpit on the project at `home` and stay until it is left; the exit code. `linear`, or a terminal that
    cannot be drawn on, has it told line by line. `projects` are others that one can go to. With `browser` the terminal
    is one that a browser shows; read-only, nothing is written or run there either.

    The caller has checked the terminal (`terminal.check`). ConfigError where a file of the person's own cannot be used,
    UsageError for an unknown screen or theme. An error that nobody foresaw ends the cockpit and is raised here.
    """
    own = check_choices(screen=screen, theme=theme)
    prepare_environment()
    gc.disable()
    # Work in other threads gives the interpreter back ten times sooner than by default, for the sake of the keys.
    sys.setswitchinterval(0.0005)
    cockpit = home if isinstance(home, Cockpit) else Cockpit(home)
    session, pool = _begun(cockpit, screen or FIRST.name)
    try:
        from .projects.known import together

        keys = own_keys()
        if browser and read_only:
            keys = keys.only_looking()
        known = together((cockpit.home, *projects))
        given = {"read_only": read_only, "screen": screen, "theme": theme or own.use, "keymap": keys, "projects": known}
        given |= {"themes": own.themes, "browser": browser, "begun": (session, pool)}
        return _shown(_linear(cockpit, given) if linear or cannot_draw() else _drawn(cockpit, given))
    finally:
        pool.close()
        gc.enable()


def _shown(app: PodiumApp) -> int:
    """Shows the cockpit until it is left; returns the exit code. Raises what nobody foresaw."""
    from .shutdown import ENDING

    before = {number: signal.getsignal(number) for number in ENDING}
    try:
        app.run(headless=app.unseen is not None, size=app.unseen)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if app.failure is not None:
        raise app.failure
    return app.return_code or 0


def _begun(cockpit: Cockpit, screen: str) -> tuple[Session, Pool]:
    """Begins to read the project, in the pool's threads."""
    from .pool import Pool
    from .projects.session import Session

    session, pool = Session(0, cockpit, time.time), Pool()
    session.read_first(screen, pool)
    return session, pool


def check_choices(*, screen: str | None, theme: str | None) -> OwnThemes:
    """Returns a person's own themes. Raises UsageError for an unknown screen or theme, ConfigError where the file of
    themes cannot be used."""
    from .personal import themes

    own = themes.load()
    for what, given, known in (("screen", screen, tuple(each.name for each in MAIN)), ("theme", theme, own.names)):
        if given is not None and given not in known:
            raise UsageError(f"there is no {what} {given!r}", hint=f"there are: {', '.join(known)}")
    return own


def own_keys() -> Keymap:
    """Returns the keys as a person has them, with those of their own commands. Raises ConfigError for a file of theirs
    that cannot be used."""
    from . import keymap
    from .own import commands as own_commands

    keys = keymap.load()
    return keys.with_own([each.action for each in own_commands.load(keys)])


def _drawn(cockpit: Cockpit, given: Mapping[str, Any]) -> PodiumApp:
    from .application import PodiumApp

    return PodiumApp(cockpit, **given)


def _linear(cockpit: Cockpit, given: Mapping[str, Any]) -> PodiumApp:
    from .linear.app import LinearApp

    return LinearApp(cockpit, **given)
