"""Asks the host, or the remote, for the branches that pipelines watch, and fetches what is new into refs of Podium's
own. Whatever says that there may be something new (a webhook, a hook, the time) causes this one look, and nothing
else."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from ..domain.frozen import Frozen
from ..domain.hosts import HostPullRequest
from ..domain.project import Host, Project
from ..errors import PodiumError
from ..journal import Journal
from ..scm import Repository
from ..scm.hosts.opening import open_host
from ..scm.refs import HOST_REFS, PULL_REFS, TAG_REFS
from ..scm.remote import Remote, advertised, fetch, remote_of
from .arrivals import TAGS, keep_pulls
from .troubles import note
from .wake import FETCHED, wake

if TYPE_CHECKING:
    from ..scm.hosts import GitHost

# However often it is rung: one look a second at most.
MIN_INTERVAL: Final = 1.0
MAX_BACKOFF: Final = 600.0
# For so many seconds it is believed that what was fetched is still there: after that our own refs are looked at again.
TRUST: Final = 300.0
# Agents that were started together do not stay together.
JITTER: Final = 0.1
_HEADS: Final = "refs/heads/"
# What a pattern may have that is no name.
_WILD: Final = re.compile(r"[*?\[]")

Say = Callable[[str], None]


def fetched_from(journal: Journal) -> str:
    """Returns the address that was fetched from last; empty if nothing was yet."""
    return journal.values.get("fetched from") or ""


def watched_branches(project: Project) -> set[str]:
    """Returns the branches that are fetched: those that pipelines watch, and the one that releases come from."""
    return {project.git.branch, *(branch for pipeline in project.pipelines.values() for branch in pipeline.on.push)}


class Told(Frozen):
    """What a host has said of what pushes can change."""

    address: str
    tips: Mapping[str, str]
    """Branch -> hash, of the branches that are watched."""
    pulls: Sequence[HostPullRequest] | None
    """None where nothing watches pull requests."""
    patterns: Sequence[str]
    """Which tags are watched."""
    tags: Mapping[str, str] | None
    """Tag -> hash, of those that begin as the patterns do; None where they are too many to be told."""


class Fetched:
    """What the host had when all of it was here. While it says the same, git need not be asked: an agent that idles
    would start several processes a look."""

    def __init__(self) -> None:
        self._told: Told | None = None
        self._at = 0.0
        self.many: Sequence[str] = ()
        """The patterns of which the host has too many tags to tell them."""

    def has(self, told: Told) -> bool:
        whole = told.tags is not None  # else git knows of tags that the host has not told
        return whole and told == self._told and time.monotonic() - self._at < TRUST

    def note(self, told: Told | None) -> None:
        self._told, self._at = told, time.monotonic()


def look(project: Project, journal: Journal, host: GitHost | None = None, fetched: Fetched | None = None) -> bool:
    """Fetches what is new; returns whether anything is. Raises Unreachable or Refused as the host says. `host` is its
    client, if one is kept open: asked first, it answers at no cost where nothing has changed. `fetched` is kept from
    look to look with it."""
    remote = remote_of(project)
    if remote is None:
        return False
    first = fetched_from(journal) != remote.shown
    told = _told(project, remote, host, fetched or Fetched()) if host is not None else None
    if told is not None and fetched is not None and not first and fetched.has(told):
        return False
    repository = Repository.find(project.home)
    if repository is None:
        return False
    if fetched is not None:
        fetched.note(None)  # until it is here
    refs = {f"{_HEADS}{branch}": f"{HOST_REFS}{branch}" for branch in watched_branches(project)}
    changed = (first or told is None or _moved(told, repository, refs)) and take(repository, remote, refs)
    changed |= _take_tags(project, repository, remote)
    changed |= _take_pulls(project, journal, repository, remote, told.pulls if told is not None else None)
    if first:
        journal.values.set("fetched from", remote.shown)
        changed = True
    if fetched is not None and not changed:
        fetched.note(told)
    return changed


def _told(project: Project, remote: Remote, host: GitHost, fetched: Fetched) -> Told:
    tips = dict(host.tips(sorted(watched_branches(project))))
    pulls = tuple(host.pull_requests()) if _watches_pulls(project) else None
    patterns = tuple(_tag_patterns(project))
    tags = None if patterns and patterns == fetched.many else _told_tags(host, patterns)
    fetched.many = patterns if tags is None else ()
    return Told(remote.shown, tips, pulls, patterns, tags)


def _told_tags(host: GitHost, patterns: Sequence[str]) -> Mapping[str, str] | None:
    found: dict[str, str] = {}
    for beginning in sorted({_WILD.split(pattern, maxsplit=1)[0] for pattern in patterns}):
        tags = host.matching_tags(beginning)
        if tags is None:
            return None
        found.update(tags)
    return found


def _watches_pulls(project: Project) -> bool:
    return project.git.host is not None and any(pipeline.on.pull_request for pipeline in project.pipelines.values())


def _tag_patterns(project: Project) -> list[str]:
    return sorted({pattern for pipeline in project.pipelines.values() for pattern in pipeline.on.tag})


def _moved(told: Told, repository: Repository, refs: Mapping[str, str]) -> bool:
    """Tells whether a branch is another one there than what was fetched of it."""
    ours = repository.refs(HOST_REFS)
    return any(ours.get(own) != told.tips.get(ref.removeprefix(_HEADS)) for ref, own in refs.items())


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


def _take_tags(project: Project, repository: Repository, remote: Remote) -> bool:
    """Makes our tags theirs, of those that pipelines watch; returns whether any was another one."""
    patterns = _tag_patterns(project)
    if not patterns:
        return False
    asked = [f"{TAGS}{pattern}" for pattern in patterns]
    there = advertised(repository, remote, [*asked, *(f"{each}^{{}}" for each in asked)])
    theirs = {f"{TAG_REFS}{ref.removeprefix(TAGS)}": sha for ref, sha in there.items() if ref.startswith(TAGS)}
    ours = repository.refs(TAG_REFS)
    moved = [own for own, sha in theirs.items() if ours.get(own) != sha]
    fetch(repository, remote, {f"{TAGS}{own.removeprefix(TAG_REFS)}": own for own in moved})
    gone = ours.keys() - theirs.keys()
    for ref in gone:
        repository.remove_ref(ref)
    return bool(moved or gone)


def _take_pulls(
    project: Project,
    journal: Journal,
    repository: Repository,
    remote: Remote,
    told: Sequence[HostPullRequest] | None,
) -> bool:
    """Fetches the newest commits of the open pull requests; returns whether any was another one."""
    host = project.git.host
    if host is None or not _watches_pulls(project):
        return False
    found = told if told is not None else pull_requests(project)
    ours = repository.refs(PULL_REFS)
    theirs = "refs/merge-requests" if host.kind == "gitlab" else "refs/pull"
    new = [each.number for each in found if ours.get(f"{PULL_REFS}{each.number}") != each.sha]
    fetch(repository, remote, {f"{theirs}/{number}/head": f"{PULL_REFS}{number}" for number in new})
    for ref in ours.keys() - {f"{PULL_REFS}{each.number}" for each in found}:
        repository.remove_ref(ref)
    return keep_pulls(journal, found) or bool(new)


def pull_requests(project: Project) -> Sequence[HostPullRequest]:
    """Asks the host for the open pull requests. Raises Unreachable or Refused as it says, and MissingExtra where there
    is no client for it."""
    host = open_host(project)
    try:
        return host.pull_requests() if host is not None else ()
    finally:
        if host is not None:
            host.close()


class _Client:
    """The host's client, kept open from look to look: it remembers answers, so that what has not changed costs nothing
    of the host's limit."""

    def __init__(self) -> None:
        self._setting: Host | None = None
        self._host: GitHost | None = None

    def of(self, project: Project) -> GitHost | None:
        """Returns the client; None where git alone is asked: without a host that has an API, and without a token, for
        what is asked by nobody in particular is limited to a few questions an hour."""
        setting, remote = project.git.host, remote_of(project)
        if setting != self._setting or self._host is None:
            self.close()
            if setting is not None and setting.kind != "git" and remote is not None and remote.token:
                self._host = open_host(project)
            self._setting = setting
        return self._host

    def close(self) -> None:
        if self._host is not None:
            self._host.close()
        self._host = self._setting = None


class Polling:
    """The agent's job: a look every `git.poll` seconds, and at once when `ring` is called."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._rung = threading.Event()
        self._asked = 0.0
        self._pause = 0.0
        self._trouble = ""
        self._failures = 0
        self._client = _Client()
        self._fetched = Fetched()

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
            changed, words = look(project, journal, self._client.of(project), self._fetched), ""
        except PodiumError as error:
            changed, words = False, error.message
        self._failures = self._failures + 1 if words else 0
        self._pause = self._next(min(MAX_BACKOFF, project.git.poll * 2 ** min(self._failures, 10)))
        self._tell(journal, words)
        if changed:
            wake(project.home, FETCHED)

    def close(self) -> None:
        self._client.close()

    def _tell(self, journal: Journal, words: str) -> None:
        """Says once what is wrong, and that it is over. The agent's troubles have it as long as it lasts."""
        if words and words != self._trouble:
            self._say(f"fetching: {words}; asked again later")
        if self._trouble and not words:
            self._say("fetching: the host answers again")
        self._trouble = words
        note(journal, "fetching", words)

    def _next(self, seconds: float) -> float:
        return seconds * random.uniform(1.0 - JITTER, 1.0 + JITTER)
