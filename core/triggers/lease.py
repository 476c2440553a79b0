"""Which commits are taken, for agents on several machines: a ref of Podium's own on the host, `refs/podium/lease/
PIPELINE`, whose commit lists who has taken what. Git moves it only from where an agent has seen it, so of two agents
one takes a commit. An agent that may not write there goes on without; nothing guards it then, and it says so."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final, cast

from ..domain.finite import time_of
from ..domain.frozen import Frozen
from ..domain.project import Project
from ..domain.text import one_line
from ..errors import UNREADABLE, PodiumError, Refused
from ..identity.home import home_id
from ..identity.machine import hostname
from ..journal import Journal
from ..scm import Repository
from ..scm.git import checked, git
from ..scm.remote import Remote, advertised, fetch, push_over, remote_of

PREFIX: Final = "refs/podium/lease/"
# What was taken last; an agent that is further behind than this is not told about the rest.
KEPT: Final = 200
TRIES: Final = 5
_SEEN: Final = "refs/podium/seen-lease/"
_AUTHOR: Final = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "podium"), ("EMAIL", "podium@localhost"))
}


class Taken(Frozen):
    """A commit that an agent has taken."""

    project: str
    """The project's name and its place in the repository."""
    branch: str
    commit: str
    agent: str
    """The id of its project's directory."""
    host: str
    at: float

    @property
    def words(self) -> str:
        return f"the agent on {one_line(self.host)[:80]} has taken it"


def key(pipeline: str) -> str:
    """Returns under which key the journal has why a pipeline's commits are not guarded; an empty text: they are."""
    return f"lease:{pipeline}"


def take(project: Project, journal: Journal, repository: Repository, pipeline: str, branch: str, commit: str) -> str:
    """Takes a commit for this project's agent; returns who has taken it before, in words, or an empty text. Raises
    Unreachable if the host does not answer: it is asked again later."""
    remote = remote_of(project)
    if remote is None:
        return ""
    lease = _Lease(repository, remote, pipeline)
    mine = home_id(project.home)
    new = Taken(f"{project.name}/{repository.prefix}", branch, commit, mine, hostname(), time.time())
    try:
        other = lease.take(new)
    except Refused as error:
        _note(journal, pipeline, error.message)
        return ""
    _note(journal, pipeline, "")
    return other.words if other is not None and other.agent != mine else ""


def _note(journal: Journal, pipeline: str, words: str) -> None:
    if journal.values.get(key(pipeline)) != words:
        journal.values.set(key(pipeline), words)


class _Lease:
    def __init__(self, repository: Repository, remote: Remote, pipeline: str) -> None:
        self._repository, self._remote = repository, remote
        self._ref, self._seen = f"{PREFIX}{pipeline}", f"{_SEEN}{pipeline}"

    def take(self, new: Taken) -> Taken | None:
        """Adds an entry, unless the commit is there already; returns who has it then."""
        for _ in range(TRIES):
            old = advertised(self._repository, self._remote, [self._ref]).get(self._ref, "")
            entries = self._entries(old)
            for each in entries:
                if (each.project, each.branch, each.commit) == (new.project, new.branch, new.commit):
                    return each
            if push_over(self._repository, self._remote, self._ref, self._written((*entries, new)[-KEPT:]), old):
                return None
        raise Refused(
            f"{self._remote.shown}: {self._ref} is moved by others all the time", hint="how many agents watch?"
        )

    def _entries(self, sha: str) -> tuple[Taken, ...]:
        if not sha:
            return ()
        if not self._repository.has(sha):
            fetch(self._repository, self._remote, {self._ref: self._seen})
        return _parsed(self._repository.message(sha))

    def _written(self, entries: tuple[Taken, ...]) -> str:
        """Writes a commit without files or history whose message has the entries."""
        directory = self._repository.directory
        tree = checked(directory, "mktree").text
        lines = "\n".join(json.dumps([e.project, e.branch, e.commit, e.agent, e.host, e.at]) for e in entries)
        answer = git(directory, "commit-tree", tree, "-m", f"podium lease\n\n{lines}", more=_AUTHOR)
        if answer.code:
            raise PodiumError(f"git commit-tree: {answer.err}")
        return answer.text


def _parsed(message: str) -> tuple[Taken, ...]:
    """Returns the entries of a message; what is none is left out, for anybody may have written it."""
    found: list[Taken] = []
    for line in message.splitlines()[-KEPT:]:
        try:
            fields = cast(list[Any], json.loads(line)) if line.startswith("[") else []
            name, branch, commit, agent, host, at = fields
        except UNREADABLE:
            continue
        found.append(
            Taken(
                str(name),
                str(branch),
                str(commit),
                str(agent),
                str(host),
                time_of(at) or 0.0,
            )
        )
    return tuple(found)


def unguarded(project: Project, values: Mapping[str, str]) -> list[str]:
    """Returns, per pipeline that pushes start, why nothing keeps a second agent from running the same commit."""
    return [
        f"{name}: {values[key(name)]}"
        for name, pipeline in project.pipelines.items()
        if project.git.elsewhere and pipeline.on.push and values.get(key(name))
    ]
