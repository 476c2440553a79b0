"""Who may sign what is served: the file of allowed signers, and that of revoked keys, as the branch has them that
releases come from. What lies in the working tree counts only where there is no such branch."""

from __future__ import annotations

import time
from functools import lru_cache
from pathlib import Path

from ..domain.frozen import Frozen
from ..domain.project import Project
from ..engine.run.release import newest_release
from ..errors import Refused
from ..scm import Repository

# So long one process takes a project's repository for the same: a promotion asks half a dozen times. Which commit its
# branch has is asked each time.
_SECONDS = 5.0


class Unsigned(Refused):
    """Raised for a version that no allowed signer has signed, or whose files or image are not what was signed."""


class Allowed(Frozen):
    """The two files, at one commit."""

    where: str
    """In words, such as `keys/allowed_signers of main`."""
    signers: bytes
    revoked: bytes | None = None


def allowed(project: Project) -> tuple[Allowed, ...]:
    """Returns the files that a signature has to satisfy, every one of them: that of the release branch now, and those
    of the commits before the one that is being delivered. Raises Unsigned where no file is named, or there is none."""
    evidence = project.evidence
    if not evidence.signers:
        raise Unsigned(
            "nobody may sign: evidence.signers names no file of allowed signers",
            hint="name one in podium.yaml, and commit it (ssh-keygen(1), ALLOWED SIGNERS)",
        )
    repository = _repository(project.home, time.monotonic() // _SECONDS)
    release = newest_release(project, repository) if repository is not None else None
    if repository is None or release is None:
        return (_here(project),)
    earlier = dict.fromkeys(each for each in evidence.signers_of if each != release.commit)
    return (
        _committed(project, repository, release.commit, release.branch, release.branch),
        *(_committed(project, repository, each, each[:9], release.branch) for each in earlier),
    )


@lru_cache(maxsize=8)
def _repository(home: Path, _turn: float) -> Repository | None:
    return Repository.find(home)


@lru_cache(maxsize=32)
def _file(repository: Repository, commit: str, path: str) -> bytes:
    """Returns a file of a commit, which is the same for ever. KeyError, which is not kept, if it has none."""
    content = repository.file(commit, path)
    if content is None:
        raise KeyError(path)
    return content


def _here(project: Project) -> Allowed:
    evidence = project.evidence
    try:
        signers = (project.home / evidence.signers).read_bytes()
        revoked = (project.home / evidence.revoked).read_bytes() if evidence.revoked else None
    except OSError as error:
        raise Unsigned(
            f"{error.filename} cannot be read: {error.strerror}", hint="it says who may sign what is served"
        ) from error
    return Allowed(evidence.signers, signers, revoked)


def _committed(project: Project, repository: Repository, commit: str, where: str, branch: str) -> Allowed:
    """Returns the files of a commit, which is called `where`. `branch` is the one that releases come from."""
    evidence = project.evidence

    def file(name: str) -> bytes:
        try:
            return _file(repository, commit, f"{repository.prefix}/{name}" if repository.prefix else name)
        except KeyError:
            raise Unsigned(f"{where} has no file {name}", hint=f"commit it to {branch}") from None

    revoked = file(evidence.revoked) if evidence.revoked else None
    return Allowed(f"{evidence.signers} of {where}", file(evidence.signers), revoked)
