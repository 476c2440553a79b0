"""Several projects that one agent watches: what `podium watch DIR…` does with them. It needs no opened project."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError, PodiumError, UsageError
from .opened import OpenProject

if TYPE_CHECKING:
    from ..config.latest import Latest
    from ..domain.project import Project
    from ..domain.watching import AgentStatus, Service, WatchedProject, WatchedTogether


def listed() -> tuple[Path, ...]:
    """Returns the directories of the projects that are to be watched together on this machine."""
    from ..triggers.projects import listed

    return listed()


def run(homes: Sequence[Path], *, listen: str = "") -> None:
    """Watches the projects in this process until it is stopped. Raises Refused if another one does."""
    from ..triggers.several import run

    run(homes, listen=listen)


def start(homes: Sequence[Path], *, listen: str = "") -> WatchedTogether:
    """Has the projects watched in the background, beside those that are already, and waits until it is known how each
    is."""
    from ..triggers.several import start

    for home in homes:
        OpenProject(home).require_own()
    return start(homes, listen)


def status(homes: Sequence[Path] = ()) -> WatchedTogether:
    """Returns how the projects are, by default all that are watched together."""
    from ..domain.watching import WatchedTogether
    from ..triggers import projects

    found = projects.reported() or WatchedTogether()
    states = {each.home: each for each in found.projects}
    seen = tuple(states.get(str(home)) or _alone(home) for home in tuple(homes) or projects.listed())
    return replace(found, projects=seen)


def _alone(home: Path) -> WatchedProject:
    """Returns how a project is that the agent of several does not watch."""
    from ..config import FILE
    from ..domain.watching import WatchedProject, WatchState

    if not (home / FILE).is_file():
        return WatchedProject(str(home), WatchState.GONE, f"there is no {home / FILE}")
    agent = agent_of(home)
    if agent is None or not agent.alive:
        return WatchedProject(str(home), WatchState.NOT_RUNNING, "" if agent is None else agent.message)
    return WatchedProject(str(home), WatchState.ELSEWHERE, "an agent of its own", agent.pid, since=agent.started)


def agent_of(home: Path) -> AgentStatus | None:
    """Returns what the project's journal says of its agent; None if there is none that can be read."""
    from ..attention import agent_status

    opened = OpenProject(home)
    if not (opened.state / "journal.db").is_file():
        return None
    try:
        return agent_status(opened.state, opened.journal)
    except (PodiumError, OSError):
        return None
    finally:
        opened.close()


def stop(homes: Sequence[Path]) -> tuple[Path, ...]:
    """Stops the agents of the projects, whichever started them; returns those of which one was running. When no project
    is left, the agent of several ends too."""
    from ..triggers import daemon, several

    left = several.leave(homes)
    stopped: list[Path] = []
    for home in homes:
        opened = OpenProject(home)
        try:
            own = (opened.state / "journal.db").is_file() and daemon.stop(opened.journal)
        finally:
            opened.close()
        if own or home in left:
            stopped.append(home)
    return tuple(stopped)


def install(homes: Sequence[Path]) -> tuple[Service, ...]:
    """Has systemd start the agent of each project at boot: it is the process above them then. Nothing is installed if
    one of them cannot be used. Raises Unreachable where there is no systemd."""
    from ..config.latest import Latest
    from ..config.own import own_environment
    from ..triggers import projects, service

    with ExitStack() as stack:
        opened = [stack.enter_context(closing(OpenProject(home))) for home in homes]
        for each in opened:
            each.require_own()
        wanted = [_own(home, Latest(home, own_environment(home))) for home in homes]
        done = [service.install(project, each.journal) for project, each in zip(wanted, opened, strict=True)]
    if projects.reported() is None:
        with projects.editing():
            projects.put((*projects.listed(certain=True), *homes))
    return tuple(done)


def _own(home: Path, latest: Latest) -> Project:
    """Returns what a project's podium.yaml says with its own variables."""
    try:
        return latest.current()
    except ConfigError as error:
        hint = f"{home} has the variables of its own .podium/agent.env, and none of this shell"
        raise UsageError(f"{home}: {error.message}", hint=hint) from error


def uninstall(homes: Sequence[Path]) -> tuple[Service, ...]:
    """Removes the units of the projects' agents. Raises NotFound, before any is removed, if one has none."""
    from ..config.latest import Latest
    from ..config.own import own_environment
    from ..triggers import projects, service

    wanted = [Latest(home, own_environment(home)).project() for home in homes]
    for project in wanted:
        service.installed(project)
    done = tuple(map(service.uninstall, wanted))
    projects.forget(homes)
    return done


def resolved(directories: Sequence[Path], start: Path) -> tuple[Path, ...]:
    """Returns the projects that directories belong to, each once; relative ones are of `start`. A directory that is
    listed, and has no project any more, is itself. Raises UsageError for any other one."""
    from ..config import find_root

    known, found = listed(), list[Path]()
    for each in directories:
        place = (start / each).resolve()
        if place not in known and not place.is_dir():
            raise UsageError(f"{each}: no such directory")
        found.append(place if place in known else find_root(place))
    return tuple(dict.fromkeys(found))
