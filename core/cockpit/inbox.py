"""`cockpit.inbox`: the CI runs of this project, and of those that one agent watches together with it. Each project is
read and asked with an environment of its own: variables and tokens of one are sent to no other's host."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..domain.hosts import CiAttention, CiInbox, HostState, InboxProject
from ..errors import NotFound, PodiumError, UsageError
from ..identity.account import expanded
from .ci import LIMIT, Ci, in_order
from .opened import OpenProject

if TYPE_CHECKING:
    from collections.abc import Sequence


class Inbox:
    """Projects are named by their label (`InboxProject.label`), or by their directory; an empty name is this one."""

    def __init__(self, opened: OpenProject, ci: Ci) -> None:
        """`ci` is what this project's runs are asked of where it is the only one."""
        self._opened, self._ci = opened, ci
        self._lock = threading.Lock()
        self._kept: dict[Path, tuple[Mapping[str, str], Ci]] = {}

    def homes(self) -> tuple[Path, ...]:
        """Returns the directories of the projects whose runs are here; none if it is this project alone."""
        from ..triggers.projects import listed

        found = listed()
        return found if len(found) > 1 and self._opened.home in found else ()

    def read(self, *, limit: int = LIMIT, attention: Collection[CiAttention] = (), project: str = "") -> CiInbox:
        """Returns the inbox as it was last seen, from the journals: what failed, what waits for this account, what
        runs, then the rest, each the newest first. A project that cannot be read is said and left out. With `project`,
        the others' runs are not in it."""
        homes = self.homes()
        if not homes:
            return self.of(project).inbox(limit=limit, attention=attention)
        found = {home: self._read(home, limit, attention) for home in homes}
        labels = self._label(homes)
        wanted = homes if not project else (self._named(project),)
        rows = [replace(row, project=labels[home]) for home in wanted for row in found[home][0].rows]
        projects = tuple(
            InboxProject(labels[home], str(home), inbox.host, missing) for home, (inbox, missing) in found.items()
        )
        own = found[self._opened.home][0].host
        return CiInbox(tuple(in_order(rows)[:limit]), own, projects)

    def of(self, project: str) -> Ci:
        """Returns what a project's CI runs are asked of. Raises NotFound for one that is not here."""
        homes = self.homes()
        if not homes:
            if project not in ("", str(self._opened.home)):
                raise NotFound(f"no project {project!r} is watched together with this one", hint="`podium watch DIR…`")
            return self._ci
        return self._asked(self._named(project) if project else self._opened.home)

    def refresh(self, *, before: float = 0.0) -> Sequence[tuple[str, PodiumError]]:
        """Asks the hosts now, all but those that were asked since `before`; returns which projects' host was not
        reached, and why. Raises the error where this project is the only one."""
        homes = self.homes()
        if not homes:
            self._ci.refresh()
            return ()
        failed: list[tuple[str, PodiumError]] = []
        for home, label in self._label(homes).items():
            try:
                ci = self._asked(home)
                if ci.asks_a_host() and (not before or (_asked_at(ci) < before)):
                    ci.refresh()
            except (PodiumError, OSError) as error:
                failed.append((label, error if isinstance(error, PodiumError) else NotFound(str(error))))
        return failed

    def close(self) -> None:
        """Closes this thread's clients and connections."""
        with self._lock:
            kept = [ci for _, ci in self._kept.values()]
        for ci in kept:
            ci.close()
            ci.opened.close()

    def _read(self, home: Path, limit: int, attention: Collection[CiAttention]) -> tuple[CiInbox, str]:
        """Returns a project's inbox, and why there is none."""
        try:
            return self._asked(home).inbox(limit=limit, attention=attention), ""
        except (PodiumError, OSError) as error:
            return CiInbox(), error.message if isinstance(error, PodiumError) else str(error)

    def _asked(self, home: Path) -> Ci:
        """Returns what a listed project is asked of. It is made anew when the project's own variables are others now.
        Raises NotFound for one that is gone."""
        from ..config import FILE
        from ..config.own import own_environment, own_variables

        if not (home / FILE).is_file():
            raise NotFound(
                f"there is no {home / FILE} any more", hint="`podium watch --stop DIR` takes it off the list"
            )
        here = home == self._opened.home
        environ = {**own_variables(home), **os.environ} if here else own_environment(home)
        if here and environ == dict(os.environ):
            return self._ci
        if not here and not (home / ".podium" / "journal.db").is_file():
            raise NotFound(f"{home} was never watched")
        with self._lock:
            known = self._kept.get(home)
            if known is None or known[0] != environ:
                known = self._kept[home] = (environ, Ci(OpenProject(home, environ=environ)))
            return known[1]

    def _label(self, homes: Sequence[Path]) -> dict[Path, str]:
        """Returns what names each project: its name, or the directory where that is another one's name too."""
        names = {home: self._name(home) for home in homes}
        many = Counter(names.values())
        return {home: name if many[name] == 1 else str(home) for home, name in names.items()}

    def _name(self, home: Path) -> str:
        try:
            return self._asked(home).opened.config.name
        except (PodiumError, OSError):
            return home.name

    def _named(self, project: str) -> Path:
        homes = self.homes()
        labels = self._label(homes)
        found = next((home for home in homes if project in (labels[home], str(home))), None)
        if found is not None:
            return found
        if (place := expanded(project).resolve()) in homes:
            return place
        raise UsageError(f"there is no project {project!r} here", hint=f"one of: {', '.join(labels.values())}")


def _asked_at(ci: Ci) -> float:
    state: HostState | None = ci.inbox(limit=1).host
    return state.asked if state is not None else 0.0
