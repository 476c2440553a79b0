"""Annotated tags: making them as git's configuration says (signed, where it signs), and reading many at once."""

from __future__ import annotations

import time
from collections.abc import Collection

from ..domain.frozen import Frozen
from ..errors import PodiumError, Refused
from .git import GitResult, checked, failure, git
from .repository import Repository

SIGN_TIMEOUT = 60.0
_SIGNATURE = "\n-----BEGIN "
_FORMAT = "%(refname:strip=2)%00%(objectname)%00%(objecttype)%00%(*objecttype)%00%(*objectname)%00%(contents)%00"


class Tag(Frozen):
    """A tag as the repository has it. `message` is untrusted text."""

    name: str
    sha: str
    """The hash of the tag itself; of the commit for one that is no object of its own."""
    commit: str
    """The commit that it names; empty if it names something else."""
    annotated: bool
    message: str


def read(repository: Repository, patterns: Collection[str]) -> dict[str, Tag]:
    """Returns name -> tag of those whose names match a pattern. Asks git once."""
    wanted = [f"refs/tags/{pattern}" for pattern in sorted(patterns)]
    answer = checked(repository.directory, "for-each-ref", f"--format={_FORMAT}", *wanted)
    fields = answer.out.decode("utf-8", "replace").split("\0")
    rows = zip(*(fields[offset : len(fields) - 1 : 6] for offset in range(6)), strict=True)
    return {(tag := _tag(*row)).name: tag for row in rows}


def _tag(name: str, sha: str, kind: str, peeled_kind: str, peeled: str, message: str) -> Tag:
    annotated = kind == "tag"
    commit = peeled if annotated and peeled_kind == "commit" else sha if kind == "commit" else ""
    return Tag(name.removeprefix("\n"), sha, commit, annotated, message)


def make(repository: Repository, name: str, commit: str, message: str, at: float) -> Tag:
    """Makes an annotated tag that is dated `at`, signed where git's configuration says so. Raises Refused if there is
    one of that name, or it cannot be signed."""
    who = () if git(repository.directory, "var", "GIT_COMMITTER_IDENT").code == 0 else _SOMEBODY
    arguments = (*who, "tag", "--annotate", "--cleanup=verbatim", "--message", message, "--", name, commit)
    dated = {"GIT_COMMITTER_DATE": f"{int(at)} +0000"}
    answer = git(repository.directory, *arguments, timeout=SIGN_TIMEOUT, more=dated)
    if not answer.code and signs(repository) and _SIGNATURE not in read(repository, [name])[name].message:
        # Some git makes the tag all the same when ssh-keygen has failed, and says that it has succeeded.
        git(repository.directory, "tag", "--delete", "--", name)
        answer = GitResult(1, b"", answer.err or "it was not signed")
    if answer.code and "already exists" in answer.err:
        raise Refused(f"there is a tag {name} already", hint="look at who made it: git show --no-patch " + name)
    if answer.code and signs(repository):
        raise Refused(
            f"the tag {name} cannot be signed: {failure(answer, ('tag',)).message}",
            hint="give the agent a key that needs no passphrase, or set tag.gpgSign to false for this repository",
        )
    if answer.code:
        raise failure(answer, ("tag",))
    return read(repository, [name])[name]


# Where nobody said who commits: an agent's account often has no name.
_SOMEBODY = ("-c", "user.name=Podium", "-c", "user.email=podium@localhost")


def signs(repository: Repository) -> bool:
    """Tells whether git's configuration has tags signed."""
    return git(repository.directory, "config", "--type=bool", "--get", "tag.gpgSign").text == "true"


def signature_trouble(repository: Repository, tag: str) -> str:
    """Returns what is wrong with a tag's signature, in git's words; empty if it is good."""
    answer = git(repository.directory, "verify-tag", "--", tag)
    return "" if answer.code == 0 else (answer.err.splitlines() or ["it has no good signature"])[0]


def has_commit(repository: Repository, commit: str) -> bool:
    """Tells whether a commit is in the repository."""
    try:
        return bool(commit) and repository.resolve(commit).sha == commit
    except PodiumError:
        return False


def moment(tag_time: float | None) -> float:
    """Returns a date that git takes: none before 1970, and none without one."""
    return max(0.0, tag_time if tag_time is not None else time.time())
