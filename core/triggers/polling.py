"""Asks the host, or the remote, for the branches that pipelines watch, and fetches what is new into refs of Podium's
own. Whatever says that there may be something new (a webhook, a hook, the time) causes this one look, and nothing
else."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from ..domain.project import Project
from ..errors import PodiumError
from ..journal import Journal
from ..scm import Repository
from ..scm.refs import HOST_REFS
from ..scm.remote import Remote, advertised, fetch, remote_of
from .troubles import note
from .wake import FETCHED, wake

# However often it is rung: one look a second at most.
MIN_INTERVAL: Final = 1.0
MAX_BACKOFF: Final = 600.0
# Agents that were started together do not stay together.
JITTER: Final = 0.1
_HEADS: Final = "refs/heads/"

Say = Callable[[str], None]


def fetched_from(journal: Journal) -> str:
    """Returns the address that was fetched from last; empty if nothing was yet."""
    return journal.values.get("fetched from") or ""


def watched_branches(project: Project) -> set[str]:
    """Returns the branches that are fetched: those that pipelines watch, and the one that releases come from."""
    return {project.git.branch, *(branch for pipeline in project.pipelines.values() for branch in pipeline.on.push)}


def look(project: Project, journal: Journal) -> bool:
    """Fetches what is new; returns whether anything is. Raises Unreachable or Refused as the host says."""
    remote, repository = remote_of(project), Repository.find(project.home)
    if remote is None or repository is None:
        return False
    refs = {f"{_HEADS}{branch}": f"{HOST_REFS}{branch}" for branch in watched_branches(project)}
    changed = take(repository, remote, refs)
    if fetched_from(journal) != remote.shown:
        journal.values.set("fetched from", remote.shown)
        changed = True
    return changed


def take(repository: Repository, remote: Remote, refs: Mapping[str, str]) -> bool:
    """Makes our refs what theirs (theirs -> ours) are; returns whether any was another one. A branch that is gone there
    is gone here."""
    theirs = advertised(repository, remote, refs)
    ours = repository.refs(HOST_REFS)
    fetch(
        repository,
        remote,
        {ref: refs[ref] for ref, sha in theirs.items() if ref in refs and ours.get(refs[ref]) != sha},
    )
    gone = [own for ref, own in refs.items() if ref not in theirs and own in ours]
    for ref in gone:
        repository.remove_ref(ref)
    return bool(gone) or any(ours.get(own) != theirs.get(ref) for ref, own in refs.items())


class Polling:
    """The agent's job: a look every `git.poll` seconds, and at once when `ring` is called."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._rung = threading.Event()
        self._asked = 0.0
        self._pause = 0.0
        self._trouble = ""
        self._failures = 0

    def ring(self) -> None:
        self._rung.set()

    def __call__(self, project: Project, journal: Journal) -> None:
        """Waits for the next look, for a second at most, and looks if it is time."""
        rung = self._rung.wait(1.0)
        since = time.monotonic() - self._asked
        if remote_of(project) is None or not (since >= self._pause or (rung and since >= MIN_INTERVAL)):
            if rung:
                time.sleep(0.05)  # it stays rung until the host may be asked again
            return
        self._rung.clear()
        self._asked = time.monotonic()
        try:
            changed, words = look(project, journal), ""
        except PodiumError as error:
            changed, words = False, error.message
        self._failures = self._failures + 1 if words else 0
        self._pause = self._next(min(MAX_BACKOFF, project.git.poll * 2 ** min(self._failures, 10)))
        self._tell(journal, words)
        if changed:
            wake(project.home, FETCHED)

    def _tell(self, journal: Journal, words: str) -> None:
        """Says once what is wrong, and that it is over. The agent's troubles have it as long as it lasts."""
        if words and words != self._trouble:
            self._say(f"host: {words}; asked again later")
        if self._trouble and not words:
            self._say("host: it answers again")
        self._trouble = words
        note(journal, "host", words)

    def _next(self, seconds: float) -> float:
        return seconds * random.uniform(1.0 - JITTER, 1.0 + JITTER)
