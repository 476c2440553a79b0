"""`cockpit.repository`: the Git repository of the project, and what Podium did with each commit. It asks the local Git
alone; what the Git host's CI says of a commit is what the agent has seen of it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..domain.scm import CiLook, CommitPage, CommitRow, Ref
from ..errors import ConfigError, NotFound, Refused
from .opened import OpenProject

if TYPE_CHECKING:
    from ..domain.project import Project
    from ..domain.scm import Commit, Diff
    from ..scm.repository import Repository

_Signature = tuple[tuple[str, int], ...]


class ProjectRepository:
    """Reads names and commits when they have changed, and remembers them until then."""

    def __init__(self, opened: OpenProject) -> None:
        self._opened = opened
        self._lock = threading.Lock()
        self._repository: Repository | None = None
        self._refs: tuple[_Signature, Sequence[Ref]] | None = None
        self._commits: tuple[str, int, Sequence[Commit]] | None = None

    def refs(self) -> Sequence[Ref]:
        """Returns branches and tags, the one that is checked out first. Raises NotFound outside of a repository."""
        from ..scm import history

        repository = self._open()
        with self._lock:
            seen = history.signature(repository)
            if self._refs is None or self._refs[0] != seen:
                self._refs = (seen, tuple(history.refs(repository)))
            return self._refs[1]

    def commits(self, of: str = "HEAD", *, limit: int = 200) -> CommitPage:
        """Returns the newest commits of a branch, a tag or a hash, each with what Podium did with it. Raises NotFound
        if there is no such name."""
        repository = self._open()
        tip = repository.resolve(of).sha
        found = self._newest(repository, tip, limit + 1)
        look = self._look()
        return CommitPage(of, tuple(self._rows(found[:limit], look)), len(found) > limit, look)

    def commit(self, rev: str) -> CommitRow:
        """Returns one commit, with what Podium did with it. Raises NotFound if there is none."""
        return self._rows([self._open().resolve(rev)], self._look())[0]

    def diff(self, rev: str, *, since: str = "") -> Diff:
        """Returns what a commit changed of its first parent; with `since` what differs from that commit to this one.
        The diff is bounded; it runs no program that the repository names, and fetches nothing."""
        from ..scm import history

        repository = self._open()
        old = repository.resolve(since) if since else None
        return history.diff(repository, old, repository.resolve(rev))

    def diff_versions(self, old: int, new: int, model: str | None = None) -> Diff:
        """Returns the same of the commits that two versions were made from. Raises NotFound if one of them is not
        known, or not here."""
        since, rev = (self._commit_of(each, model) for each in (old, new))
        return self.diff(rev, since=since)

    def page(self, sha: str) -> str:
        """Returns the http(s) address of a commit on the Git host. Raises Refused if podium.yaml names none."""
        from ..scm.hosts.addresses import commit_page

        return commit_page(self._opened.config.git.host, sha)

    def _open(self) -> Repository:
        # Not the module itself: another thread may be importing the package, which begins with it.
        from ..scm import Repository

        if self._repository is None or not self._repository.git_dir.is_dir():
            self._repository = Repository.open(self._opened.home)
        return self._repository

    def _newest(self, repository: Repository, tip: str, limit: int) -> Sequence[Commit]:
        with self._lock:
            known = self._commits
        if known is None or known[0] != tip or known[1] < limit:
            known = (tip, limit, repository.commits(tip, limit=limit))
            with self._lock:
                self._commits = known
        return known[2][:limit]

    def _rows(self, commits: Sequence[Commit], look: CiLook | None) -> list[CommitRow]:
        from ..lineage import made_from

        journal = self._opened.journal
        shas = [commit.sha for commit in commits]
        names: dict[str, list[Ref]] = {}
        for ref in self.refs():
            names.setdefault(ref.sha, []).append(ref)
        runs = journal.runs.newest_at(shas)
        versions = made_from(journal, self._project(), shas)
        # What another host said before the project moved says nothing of this one.
        states = journal.host_runs.states(shas, look.host) if look is not None else {}
        return [
            CommitRow(
                commit,
                tuple(names.get(commit.sha, ())),
                runs.get(commit.sha),
                tuple(versions.get(commit.sha, ())),
                states.get(commit.sha),
            )
            for commit in commits
        ]

    def _look(self) -> CiLook | None:
        project = self._project()
        host = project.git.host if project is not None else None
        if host is None:
            return None
        known = self._opened.journal.host_runs.host(host.place)
        return CiLook(host.place) if known is None else CiLook(known.name, known.asked, known.error)

    def _project(self) -> Project | None:
        """Returns podium.yaml's content; None while it cannot be used and never could."""
        try:
            return self._opened.config
        except ConfigError:
            return None

    def _commit_of(self, number: int, model: str | None) -> str:
        name = model or self._opened.config.mlflow.model
        version = self._opened.journal.versions.get(name, number)
        if version is None:
            raise NotFound(f"model {name} has no version {number}", hint="`podium versions` lists those there are")
        if not version.commit:
            raise Refused(f"of version {number} no commit is known", hint="it was not made by a run of Podium's")
        return version.commit
