"""Looking at branch tips every second without starting a git process every second: git is asked only when its ref
files have changed, or when a hook has rung."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from ..domain.project import Project
from ..errors import PodiumError
from ..journal import Journal
from ..scm import Repository
from . import pushes
from .wake import hook_command

# Refs can live in files this does not look at (reftable, linked worktrees): git itself is asked at least this often.
LONGEST_TRUST = 10.0


class Pushes:
    """Notices pushes and starts their runs."""

    def __init__(self, journal: Journal, say: Callable[[str], None]) -> None:
        self._journal, self._say = journal, say
        self._signature: object = None
        self._asked = 0.0
        self._waiting = False
        self._hooked = False

    def look(self, project: Project, *, rung: bool = False) -> list[int]:
        """Start what is due; the ids of the runs started. A project outside any repository has no pushes. `rung`:
        somebody says that there is news."""
        watched = pushes.watched(project)
        signature = (tuple(watched), ref_signature(project.home, {branch for _, branch in watched}))
        recent = time.monotonic() - self._asked < LONGEST_TRUST
        if not watched or (signature == self._signature and recent and not self._waiting and not rung):
            return []
        repository = Repository.find(project.home)
        if repository is None:
            return []
        self._signature, self._asked = signature, time.monotonic()
        self._install_hooks(project, repository)
        # Git is asked once. A push that comes after it changes a ref file, which the next look sees.
        tips = repository.branch_tips({branch for _, branch in watched})
        pushes.mark_seen(project, self._journal, tips)
        started = [
            pushes.start(project, self._journal, push, self._say)
            for push in pushes.pending(project, self._journal, tips)
        ]
        self._waiting = bool(started) and bool(pushes.pending(project, self._journal, tips))
        return [run for run in started if run is not None]

    def _install_hooks(self, project: Project, repository: Repository) -> None:
        """Once. Where it cannot be done, looking at the branches is enough: a push is then noticed a little later."""
        if self._hooked:
            return
        self._hooked = True
        try:
            left = repository.install_hooks(hook_command(project.home))
        except PodiumError as error:
            left = [error.message]
        for reason in left:
            self._say(f"no git hook wakes the agent, pushes are noticed by looking: {reason}")


def ref_signature(home: Path, branches: set[str]) -> tuple[tuple[str, int, int], ...]:
    """Modification time and size of the files that hold the branches' tips."""
    git = home / ".git"
    marks: list[tuple[str, int, int]] = []
    for name in ("packed-refs", *(f"refs/heads/{branch}" for branch in sorted(branches))):
        try:
            status = (git / name).stat()
            marks.append((name, status.st_mtime_ns, status.st_size))
        except OSError:
            marks.append((name, 0, 0))
    return tuple(marks)
