"""Tags and pull requests that have come: what is new since a pipeline began to watch them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from fnmatch import fnmatchcase
from typing import Final

from ..domain.frozen import Frozen
from ..domain.hosts import HostPullRequest
from ..domain.project import Project
from ..domain.runs import Trigger
from ..journal import Journal
from ..scm import Repository
from ..scm.gto import is_record
from ..scm.refs import PULL_REFS, TAG_REFS

TAGS: Final = "refs/tags/"
PULLS: Final = "refs/pull/"
_KNOWN_PULLS: Final = "pull requests"


class Push(Frozen):
    """A commit that has arrived for a pipeline."""

    pipeline: str
    branch: str
    """The branch; for a tag or a pull request its ref, such as `refs/tags/v1` or `refs/pull/12`."""
    commit: str
    passed: tuple[str, ...] = ()
    """The commits before it that are passed over, oldest first."""
    trigger: Trigger = Trigger.PUSH
    fork: str = ""
    """The repository of somebody else that it comes from."""

    @property
    def where(self) -> str:
        """Returns what it came to, as people say it."""
        if self.trigger is Trigger.TAG:
            return f"tag {self.branch.removeprefix(TAGS)}"
        if self.trigger is Trigger.PULL_REQUEST:
            return f"pull request {self.branch.removeprefix(PULLS)}"
        return self.branch

    @property
    def words(self) -> str:
        return f"push {self.commit[:9]} to {self.where}"


def cursor(pipeline: str, branch: str, *, elsewhere: bool = False) -> str:
    """Returns the key of the last handled commit. What was handled of the local branch says nothing of the host's."""
    return f"push:{pipeline}:{branch}" + (":host" if elsewhere else "")


def tags(project: Project, journal: Journal, repository: Repository) -> list[Push]:
    """Returns the new and the moved tags. Those that a pipeline finds when it begins to watch are none, and neither are
    Podium's own."""
    if not any(pipeline.on.tag for pipeline in project.pipelines.values()):
        return []
    prefix = TAG_REFS if project.git.elsewhere else TAGS
    there = {ref.removeprefix(prefix): sha for ref, sha in repository.refs(prefix).items()}
    others = sorted((tag, sha) for tag, sha in there.items() if not is_record(tag, project.models))
    found: list[Push] = []
    for pipeline in project.pipelines.values():
        matching = [
            Push(pipeline.name, f"{TAGS}{tag}", sha, trigger=Trigger.TAG)
            for tag, sha in others
            if any(fnmatchcase(tag, pattern) for pattern in pipeline.on.tag)
        ]
        found += _new(project, journal, f"tags:{pipeline.name}", pipeline.on.tag, matching)
    return found


def pulls(project: Project, journal: Journal, repository: Repository) -> list[Push]:
    """Returns the pull requests with a commit that is new, of those that were fetched."""
    if not project.git.elsewhere or not any(pipeline.on.pull_request for pipeline in project.pipelines.values()):
        return []
    fetched = repository.refs(PULL_REFS)
    known = [each for each in known_pulls(journal) or () if fetched.get(f"{PULL_REFS}{each.number}") == each.sha]
    found: list[Push] = []
    for pipeline in project.pipelines.values():
        matching = [
            Push(pipeline.name, f"{PULLS}{each.number}", each.sha, trigger=Trigger.PULL_REQUEST, fork=each.fork)
            for each in known
            if any(fnmatchcase(each.base, pattern) for pattern in pipeline.on.pull_request)
        ]
        if known_pulls(journal) is not None:
            found += _new(project, journal, f"pulls:{pipeline.name}", pipeline.on.pull_request, matching)
    return found


def _new(project: Project, journal: Journal, key: str, patterns: Sequence[str], there: Sequence[Push]) -> list[Push]:
    """Returns what was not handled; with other patterns than before everything that is there counts as handled."""
    if not patterns:
        return []
    elsewhere = project.git.elsewhere
    key, watching = key + (":host" if elsewhere else ""), json.dumps(patterns)
    if journal.values.get(key) != watching:
        with journal.transaction():
            journal.values.set(key, watching)
            for push in there:
                journal.values.set(cursor(push.pipeline, push.branch, elsewhere=elsewhere), push.commit)
    return [
        push
        for push in there
        if journal.values.get(cursor(push.pipeline, push.branch, elsewhere=elsewhere)) != push.commit
    ]


def known_pulls(journal: Journal) -> list[HostPullRequest] | None:
    """Returns the open pull requests as the host had them last; None before it was asked."""
    written = journal.values.get(_KNOWN_PULLS)
    try:
        return [HostPullRequest(**each) for each in json.loads(written)] if written is not None else None
    except TypeError:  # another version of Podium wrote it
        return None


def keep_pulls(journal: Journal, found: Iterable[HostPullRequest]) -> bool:
    """Keeps the open pull requests; returns whether any is another one than before."""
    text = json.dumps([asdict(each) for each in found])
    if journal.values.get(_KNOWN_PULLS) == text:
        return False
    journal.values.set(_KNOWN_PULLS, text)
    return True
