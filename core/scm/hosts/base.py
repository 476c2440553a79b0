"""What the clients of all hosts have in common."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from ...closing import Closing
from ...domain.frozen import Frozen
from ...domain.hosts import CommitStatus, HostCall, HostFeature, RateLimit, StatusState
from ...domain.watching import Finding, Health
from ...errors import Refused
from .addresses import commit_below
from .transport import HostTransport, part

MAX_DESCRIPTION = 140
# More than that between two clocks, and signatures and limits go wrong.
MAX_SKEW = 60.0
# What a host turned out to be without is tried again after so many seconds: somebody may have given the right.
AGAIN_AFTER = 3600.0
clock = time.monotonic


class Place(Frozen):
    """Where a repository is. `web` is the host's own address, which may have a path."""

    web: str
    repo: str

    @property
    def host(self) -> str:
        return self.web.partition("://")[2].rstrip("/")

    @property
    def url(self) -> str:
        return f"{self.web}/{self.repo}"


class Learned(Frozen):
    """What a host turned out to be without."""

    why: str
    until: float
    """In seconds of the monotonic clock."""
    mark: int
    """That of the token which it was refused to."""


class HostBase(Closing):
    """Knows one repository on one host, and its transport."""

    kind: ClassVar[str]
    unable: ClassVar[Mapping[HostFeature, str]] = {}
    """What no repository on such a host can do, and why."""

    def __init__(self, place: Place, transport: HostTransport, lacks: Mapping[HostFeature, str] | None = None) -> None:
        """`lacks` adds what this token or project cannot do."""
        self.place, self.http = place, transport
        self._missing = {**self.unable, **(lacks or {})}
        self._learned: dict[HostFeature, Learned] = {}

    def close(self) -> None:
        self.http.close()

    @property
    def name(self) -> str:
        return f"{self.place.host}/{self.place.repo}"

    @property
    def url(self) -> str:
        return self.place.url

    @property
    def clone_url(self) -> str:
        return f"{self.url}.git"

    def commit_url(self, sha: str) -> str:
        return commit_below(self.kind, self.url, sha)

    @property
    def missing(self) -> Mapping[HostFeature, str]:
        now, mark = clock(), self.http.proof.mark
        learned = {
            feature: found.why for feature, found in self._learned.items() if found.mark == mark and now < found.until
        }
        return {**self._missing, **learned}

    @property
    def rate(self) -> RateLimit:
        return self.http.rate

    @property
    def calls(self) -> Sequence[HostCall]:
        return self.http.calls

    def need(self, feature: HostFeature) -> None:
        """Raises Refused with the reason if the host cannot do it."""
        why = self.missing.get(feature)
        if why is not None:
            raise Refused(why, hint=f"open {self.url}")

    def check_runs(self, sha: str) -> Sequence[CommitStatus]:
        self.need(HostFeature.CHECK_RUNS)
        return ()

    def shown(self, state: StatusState) -> StatusState:
        """Returns as what a status of this state is read back."""
        return state

    def learn(self, feature: HostFeature, why: str) -> None:
        """Remembers that this host turned out to be without it, for an hour or until the token is another one."""
        self._learned[feature] = Learned(why, clock() + AGAIN_AFTER, self.http.proof.mark)

    def findings(self, name: str = "") -> Iterator[Finding]:
        """Yields what `podium doctor` says of any host once it has answered: the repository's name by now, and the
        host's clock."""
        if name and name.lower() != self.place.repo.lower():
            message = f"{self.name} is called {name} by now: pushes to it are not seen, and nothing is told back"
            yield Finding(Health.PROBLEM, "host", message, f"git.host.repo: {name}")
        clock = self._clock()
        if clock is not None:
            yield clock

    def _clock(self) -> Finding | None:
        skew = self.http.skew
        if skew is None:
            return None
        if abs(skew) <= MAX_SKEW:
            return Finding(Health.OK, "host", f"its clock and this machine's agree within {MAX_SKEW:.0f} s")
        which = "behind" if skew > 0 else "ahead of"
        message = f"this machine's clock is {abs(skew):.0f} s {which} the clock of {self.place.host}"
        return Finding(Health.WARNING, "host", message, "set the clock: tokens of Apps and limits go by it")


def short(text: str, limit: int = MAX_DESCRIPTION) -> str:
    """Returns a description, cut to what the host accepts."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def below(*names: str) -> str:
    """Returns a path of names, each of which may hold anything."""
    return "".join(f"/{part(name)}" for name in names)


def in_repo(repo: str) -> str:
    """Returns `owner/name` as two parts of a path."""
    owner, _, name = repo.partition("/")
    return below(owner, name)
