"""Pull requests that are opened after their newest commit was run: they get the comment of that run, too."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from ..domain.hosts import HostFeature
from ..domain.project import Project
from ..errors import NotFound, Refused
from ..journal import Journal
from ..scm.hosts import GitHost

# After a refusal: what the token may not is told when there is something to tell.
REFUSED_PAUSE = 600.0
SHARE = 0.1
"""Of the host's limit."""
_SEEN = "told:requests "


class Requests:
    """Asks for the open pull requests as often as the host is asked for anything, `git.poll`, and has the comment of
    those that are new, or have another newest commit, told. `clock` is replaced in tests."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._due = 0.0

    def look(self, host: GitHost, project: Project, journal: Journal) -> None:
        """Raises Unreachable if the host does not answer."""
        now = self._clock()
        if now < self._due or HostFeature.PULL_REQUESTS in host.missing:
            return
        self._due = now + _pause(host, project)
        try:
            note_new(host, journal)
            self._due = now + _pause(host, project)  # by what the host has just said of its limits
        except (Refused, NotFound):
            self._due = now + REFUSED_PAUSE


def _pause(host: GitHost, project: Project) -> float:
    """Returns the seconds until the next look: it takes no more than its share of what the host answers in an hour,
    which is little where there is no token."""
    limit = host.rate.limit or 0
    return max(project.git.poll, host.rate.poll_interval, 3600.0 / (limit * SHARE) if limit > 0 else 0.0)


def note_new(host: GitHost, journal: Journal) -> None:
    """Notes the runs at the newest commits of pull requests for their comments, but for those that were seen before."""
    there = {str(each.number): each.sha for each in host.pull_requests()}
    written = journal.values.get(_SEEN + host.name)
    seen: dict[str, str] = json.loads(written) if written else {}
    if seen == there:
        return
    with journal.transaction():
        for number, sha in there.items():
            if seen.get(number) != sha:
                for run in journal.runs.newest_of_each(sha):
                    journal.telling.comment(run.id)
        journal.values.set(_SEEN + host.name, json.dumps(there))
