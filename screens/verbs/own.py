"""A person's own commands, on what is under the cursor of a screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...core.domain.delivery import EnvironmentStatus
from ...core.domain.plans import Change, Plan
from ...tui.own import background
from ...tui.own.commands import OwnCommand
from ...tui.own.values import named_in, values
from .changes import ask

if TYPE_CHECKING:
    from ..base import PodiumScreen


def run(screen: PodiumScreen, own: OwnCommand) -> None:
    """Runs it, after a question where it asks for one."""
    project = screen.project
    home = screen.podium.cockpit.home
    environ = dict(values(screen.context(), project.name if project is not None else home.name, home))
    if own.confirm or own.dangerous:
        ask(screen, _plan(screen, own, environ), lambda _decision: _start(screen, own, environ))
    else:
        _start(screen, own, environ)


def _plan(screen: PodiumScreen, own: OwnCommand, environ: dict[str, str]) -> Plan:
    """What would be run, with which values; on a protected environment its name has to be typed."""
    status = screen.context().find(EnvironmentStatus)
    protected = own.dangerous and status is not None and status.protected
    return Plan(
        status.name if status is not None else "",
        "own",
        own.name,
        "Run",
        own.command,
        changes=tuple(Change(f"${name}", "", environ[name]) for name in named_in(own.command) if name in environ),
        type_to_confirm=status.name if protected and status is not None else "",
        kept_in="",
    )


def _start(screen: PodiumScreen, own: OwnCommand, environ: dict[str, str]) -> None:
    podium, home = screen.podium, screen.podium.cockpit.home
    if own.background:

        def done(code: int | None, last: str) -> None:
            how = "took too long and was killed" if code is None else f"ended with {code}" if code else "is done"
            podium.say_later(f"{own.name} {how}{f': {last}' if last else ''}", "warn" if code else "ok")

        podium.say(f"{own.name} runs in the background")
        background.start(own.command, environ, home, own.timeout, done)
        return
    argv = ("/bin/sh", "-c", own.command)
    code = podium.run_outside(argv, own.name, environ=environ, directory=home, pause=own.pause)
    podium.say(f"{own.name} ended with {code}" if code else f"back from {own.name}", "warn" if code else "accent")
    screen.ask(force=True)
