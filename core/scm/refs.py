"""Podium's own refs, and which commit is the newest of the branch that releases come from."""

from __future__ import annotations

from typing import Final

from ..domain.project import Git
from .repository import Repository

HOST_REFS: Final = "refs/podium/host/"
"""Below it is each watched branch of the host or remote, as it was fetched last."""
TAG_REFS: Final = "refs/podium/tags/"
PULL_REFS: Final = "refs/podium/pull/"


def release_tip(repository: Repository, git: Git) -> str | None:
    """Returns the newest commit of the branch that releases come from; None if there is no such branch. Where the
    repository has a host, what was fetched from there counts."""
    if git.elsewhere:
        fetched = repository.refs(f"{HOST_REFS}{git.branch}").get(f"{HOST_REFS}{git.branch}")
        if fetched is not None:
            return fetched
    return repository.branch_tip(git.branch)
