"""The agent's job that tells the Git host what the outbox has for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from ..domain.outbox import Message
from ..domain.project import Host, Project
from ..errors import NotFound, PodiumError, Refused, Unreachable
from ..journal import Journal
from ..journal.outbox import Undeliverable, deliver
from ..journal.telling import PREFIX, Subject
from ..scm.hosts import GitHost
from ..scm.hosts.opening import open_host
from . import telling
from .following import follow, place_of, subjects_of
from .requests import Requests
from .tagging import tell_tags

# After so many refusals one after the other it is the token, and not what is told: the others wait.
MAX_REFUSALS = 3

Open = Callable[[Project], GitHost | None]
Tell = Callable[[GitHost, Project, Journal, Mapping[str, Any]], None]

_TELL: Mapping[Subject, Tell] = {
    Subject.STATUS: telling.tell_statuses,
    Subject.QUARANTINE: telling.tell_quarantine,
    Subject.COMMENT: telling.tell_comment,
    Subject.DEPLOYMENT: telling.tell_deployment,
}


class Sender:
    """Belongs to one thread. The host is opened for the first message, and again when podium.yaml names another one."""

    def __init__(self, open: Open = open_host, *, clock: Callable[[], float] = time.time) -> None:
        self._open = open
        self._requests = Requests(clock)
        self._host: GitHost | None = None
        self._opened: Host | None = None
        self._trouble: PodiumError | None = None

    def __call__(self, project: Project, journal: Journal) -> None:
        """Tells what is due. Raises what the host raised last if it does not answer or refuses one thing after the
        other; whoever calls waits longer then."""
        follow(project, journal)
        if self._opened != project.git.host:
            self.close()
        if self._trouble is not None and self._host is not None and self._host.rate.not_before > time.time():
            raise self._trouble  # it wants to be left alone: what waits is not tried, and uses up no attempt
        self._trouble = None
        subjects = subjects_of(project)
        try:
            if subjects:
                Round(project, journal, lambda: self._connected(project)).deliver()
            if Subject.COMMENT in subjects and project.gates:
                self._requests.look(self._connected(project), project, journal)
        except PodiumError as error:
            self._trouble = error
            raise

    def _connected(self, project: Project) -> GitHost:
        if self._host is None:
            self._host = self._open(project)
            self._opened = project.git.host
        if self._host is None:
            raise Undeliverable("podium.yaml names no Git host")
        return self._host

    def close(self) -> None:
        if self._host is not None:
            self._host.close()
        self._host = None
        self._opened = None


class Round:
    """One look into the outbox."""

    def __init__(self, project: Project, journal: Journal, host: Callable[[], GitHost]) -> None:
        self._project, self._journal, self._host = project, journal, host
        self._subjects = subjects_of(project)
        self._place = place_of(project)
        self._unreachable: Unreachable | None = None
        self._refusals: list[PodiumError] = []

    def deliver(self) -> None:
        """Sends what is due, until the host is found to be down."""
        deliver(self._journal.outbox, self._send, stop=self._stopped, prefix=PREFIX)
        if self._unreachable is not None:
            raise self._unreachable
        if self._stopped():
            raise self._refusals[-1]

    def _stopped(self) -> bool:
        return self._unreachable is not None or len(self._refusals) >= MAX_REFUSALS

    def _send(self, message: Message) -> None:
        place = message.receiver.removeprefix(PREFIX).partition(" ")[0]
        if place != self._place:
            raise Undeliverable(f"what is told is told to {self._place} by now")
        subject = Subject(message.kind)
        if subject not in self._subjects:
            return  # it is not told any more
        try:
            if subject is Subject.TAGS:
                tell_tags(self._host, self._project, self._journal)
            else:
                _TELL[subject](self._host(), self._project, self._journal, message.body)
        except Unreachable as error:
            self._unreachable = error
            raise
        except NotFound:
            raise  # a commit that nobody has pushed yet, perhaps: nothing that the others suffer from
        except Refused as error:
            self._refusals.append(error)
            raise
        self._refusals.clear()
