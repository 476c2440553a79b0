"""Looks at several projects, each by itself: one that cannot be read hides no other. Nothing stays open between two
looks, so that a hundred projects cost no more than a list."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from ..config import FILE
from ..domain.projects import ProjectGlance
from ..errors import PodiumError
from ..identity.home import STATE

# What can change without the journal does (a replica's process is gone): so old a look may be.
_FRESH_SECONDS = 15.0
_JOURNAL = f"{STATE}/journal.db"
_STAMPED = (FILE, _JOURNAL, f"{_JOURNAL}-wal")

_Stamp = tuple[tuple[int, int], ...]


class Glances:
    """Remembers what it saw until a project's files change."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[Path, tuple[_Stamp, float, ProjectGlance]] = {}

    def look(self, home: Path) -> ProjectGlance:
        """Returns how a project is. Asks the engines of its environments; raises nothing."""
        stamp = _stamp(home)
        with self._lock:
            known = self._seen.get(home)
        if known is not None and known[0] == stamp and time.monotonic() - known[1] < _FRESH_SECONDS:
            return known[2]
        found = _look(home)
        with self._lock:
            self._seen[home] = (stamp, time.monotonic(), found)
        return found


def _stamp(home: Path) -> _Stamp:
    found: list[tuple[int, int]] = []
    for name in _STAMPED:
        try:
            status = (home / name).stat()
        except OSError:
            found.append((0, 0))
        else:
            found.append((status.st_mtime_ns, status.st_size))
    return tuple(found)


def _look(home: Path) -> ProjectGlance:
    from . import Cockpit

    if not (home / FILE).is_file():
        return ProjectGlance(str(home), home.name, problem=f"there is no {home / FILE}")
    cockpit = Cockpit(home)
    try:
        name = cockpit.project.config.name
        if not (home / _JOURNAL).is_file():
            return ProjectGlance(str(home), name)  # a look writes nothing
        environments = tuple(cockpit.environments.list())
        problems = cockpit.project.problems
        return ProjectGlance(
            str(home),
            name,
            environments,
            tuple(cockpit.project.needs(environments)),
            len(cockpit.runs.active()),
            cockpit.agent.status(),
            str(problems[0]) if problems else "",
        )
    except (PodiumError, OSError) as error:
        words = error.message if isinstance(error, PodiumError) else str(error)
        return ProjectGlance(str(home), home.name, problem=words)
    finally:
        cockpit.close()
