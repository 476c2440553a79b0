"""The inbox: CI runs of the Git host, asked for politely and kept in the journal, so that nobody waits for the host."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence

from ..domain.hosts import CiApproval, CiRun, CiState, HostFeature, HostState
from ..domain.project import Project
from ..errors import NotFound, PodiumError, Refused
from ..journal import Journal
from ..scm.hosts import GitHost

PAGE = 50
# Seconds between two looks: while something goes on, and while nothing does. The hosts count what they are asked; an
# answer that nothing has changed is free on GitHub, and cheap elsewhere.
BUSY_SECONDS = 10.0
QUIET_SECONDS = 60.0
# Runs that fell off the newest page and are not over as far as is known are asked for by name, a few each time.
MAX_FOLLOWED = 5

Open = Callable[[Project], GitHost | None]


def collect(journal: Journal, host: GitHost, now: float) -> Sequence[CiRun]:
    """Asks the host for its newest CI runs, and for what waits for an approval, and stores them. An error of the host
    is stored as its state, and raised."""
    before = journal.host_runs.host(host.name)
    try:
        why = host.missing.get(HostFeature.CI, "")
        found = [] if why else _runs(journal, host)
        waits = [(run, _approvals(host, run)) for run in found]
    except PodiumError as error:
        journal.host_runs.note(_state(host, before, error.message, now))
        raise
    with journal.transaction():
        journal.host_runs.put(host.name, waits, now)
        journal.host_runs.note(_state(host, before, why, now))
    return found


def _runs(journal: Journal, host: GitHost) -> list[CiRun]:
    newest = list(host.ci_runs(limit=PAGE))
    have = {(run.repo, run.id) for run in newest}
    lost = [run for _, run, _, _ in journal.host_runs.unfinished(host.name) if (run.repo, run.id) not in have]
    return [*newest, *(_again(host, run) for run in lost[:MAX_FOLLOWED])]


def _again(host: GitHost, run: CiRun) -> CiRun:
    """Returns a run as it is now. One that the host has no more is over."""
    from dataclasses import replace

    try:
        return host.ci_run(run.id, run.repo)
    except NotFound:
        return replace(run, state=CiState.CANCELLED)


def _approvals(host: GitHost, run: CiRun) -> Iterable[CiApproval]:
    if run.state.finished or HostFeature.APPROVE in host.missing:
        return ()
    if run.state is not CiState.WAITING:
        return ()
    try:
        return tuple(host.ci_approvals(run.id, run.repo))
    except Refused:
        return ()  # the token may see the run, and not who has to approve it


def _state(host: GitHost, before: HostState | None, error: str, now: float) -> HostState:
    account = before.account if before is not None else ""
    return HostState(host.name, host.kind, host.url, account, error, now, host.rate)


class Inbox:
    """The agent's job. It keeps the host open, for what that remembers of answers, until podium.yaml names another
    one; `clock` and `lot` (a number from 0 to 1) are replaced in tests."""

    def __init__(
        self, open_host: Open, *, clock: Callable[[], float] = time.time, lot: Callable[[], float] = random.random
    ) -> None:
        self._open = open_host
        self._clock, self._lot = clock, lot
        self._host: GitHost | None = None
        self._of: object = None
        self._due = 0.0

    def __call__(self, project: Project, journal: Journal) -> None:
        now = self._clock()
        if self._of != project.git.host:
            self.close()
            self._host, self._of, self._due = self._open(project), project.git.host, 0.0
        host = self._host
        if host is None or now < max(self._due, host.rate.not_before):
            return
        # What fails is tried again a little later, by the agent's own pauses, and never more often than this.
        self._due = now + BUSY_SECONDS
        found = collect(journal, host, now)
        busy = any(not run.state.finished for run in found)
        pause = max(BUSY_SECONDS if busy else QUIET_SECONDS, host.rate.poll_interval)
        self._due = now + pause * (0.9 + 0.2 * self._lot())

    def close(self) -> None:
        if self._host is not None:
            self._host.close()
            self._host, self._of = None, None
