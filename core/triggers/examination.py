"""What `podium doctor` says of where pushes arrive: whether the branches that are watched are there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from ..domain.project import Project
from ..domain.watching import Finding, Health
from ..scm import Repository
from ..scm.remote import Remote, advertised, remote_of
from .polling import watched_branches

_HEADS = "refs/heads/"
# What a repository's first branch is called where it is not called as podium.yaml says.
_USUAL = ("main", "master", "trunk")

There = Callable[[Sequence[str]], Collection[str]]


def missing_branches(project: Project, where: str, there: There) -> Iterator[Finding]:
    """Yields a finding for each branch that is watched and not there. `there` returns those of some branches that
    are; `where` names the place. Raises what `there` does."""
    if not any(each.on.push or each.on.tag or each.on.pull_request for each in project.pipelines.values()):
        return
    wanted = watched_branches(project)
    found = there(sorted({*wanted, *_USUAL}))
    others = [branch for branch in _USUAL if branch in found and branch not in wanted]
    for branch in sorted(wanted.difference(found)):
        message = f"{where} has no branch {branch}, which podium.yaml watches"
        hint = f"it has {others[0]}: " if others else "if it is called otherwise: "
        yield Finding(Health.WARNING, "branches", message, f"{hint}git.branch and on: {{push: …}} in podium.yaml")


def of_repository(project: Project, repository: Repository) -> Iterator[Finding]:
    """Yields what `missing_branches` does where pushes arrive in this repository, or at `git.remote`; nothing where a
    host's client is to be asked."""
    remote = remote_of(project) if project.git.remote else None
    if remote is not None:
        yield from missing_branches(project, remote.shown, lambda names: _advertised(repository, remote, names))
    elif project.git.host is None:
        yield from missing_branches(project, "the repository", lambda _: _short(repository.refs(_HEADS)))


def _advertised(repository: Repository, remote: Remote, names: Sequence[str]) -> Collection[str]:
    return _short(advertised(repository, remote, [f"{_HEADS}{name}" for name in names]))


def _short(refs: Collection[str]) -> set[str]:
    return {ref.removeprefix(_HEADS) for ref in refs}
