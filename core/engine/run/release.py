"""Knows which branch releases come from, and reads the podium.yaml of its newest commit: what protects is its word.

Which branch that is stands in the file at hand, which anybody may edit who works here. So the branch by whose file
something was first protected is noted in the journal, and counts until the file on *that* branch names another one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path

from ...config import FILE
from ...domain.access.roles import Roles
from ...domain.frozen import Frozen
from ...domain.project import Git, Project
from ...errors import ConfigError, NotFound, PodiumError
from ...identity.home import Home
from ...journal import Journal
from ...scm import Repository
from ...scm.refs import release_tip
from ...scm.remote import Remote, address_of_pushes

_NOTED = "release branch"


class Release(Frozen):
    """A branch that releases come from, as it was when something was judged by it."""

    branch: str
    where: str
    """The address of the repository whose branch it is; empty for the local one."""
    commit: str
    """Its newest commit."""
    roles: bool = False
    """Whether that commit's file says who may do something."""
    noted: bool = False
    """Whether it is in the journal, because that file protects something."""

    def to_text(self) -> str:
        return json.dumps(asdict(replace(self, noted=True)))

    @classmethod
    def noted_in(cls, journal: Journal | None) -> Release | None:
        """Returns what the journal has; None where nothing that protects was judged yet."""
        text = journal.values.get(_NOTED) if journal is not None else None
        return cls(**json.loads(text)) if text else None


class Released(Frozen):
    """The file of the branch that releases come from."""

    release: Release
    project: Project | None
    """None where the file cannot be used."""


def released(present: Project) -> Released | None:
    """Returns the file of the newest commit of the branch that releases come from; None without a repository or such a
    branch."""
    repository = Repository.find(present.home)
    if repository is None:
        return None
    with _opened(present) as journal:
        before = Release.noted_in(journal)
        release, file = _current(present, journal, repository)
    if release is None:
        return None
    if file is None and before is not None:  # one that cannot be used does not end what the last one said
        file = loaded(repository, before.commit, present)
    return Released(release, file)


def newest_release(present: Project, repository: Repository) -> Release | None:
    """Returns what `release_of` does, for who has no journal at hand and asks often: where the file at hand names the
    branch that is noted, no file is read."""
    with _opened(present) as journal:
        noted = Release.noted_in(journal)
        if noted is None or (present.git.branch, _where(present)) != (noted.branch, noted.where):
            return _current(present, journal, repository)[0]
        return _as_of_now(noted, journal, repository)


def release_of(present: Project, journal: Journal, repository: Repository) -> Release | None:
    """Returns the branch that releases come from, and notes it where its file protects something; None if there is no
    such branch. `present`, the file at hand, says which one it is as long as none is noted."""
    return _current(present, journal, repository)[0]


def _current(
    present: Project, journal: Journal | None, repository: Repository
) -> tuple[Release | None, Project | None]:
    """Returns that branch, and its newest commit's file; no file where that cannot be used."""
    noted = Release.noted_in(journal)
    if noted is None:
        release, file = _first(present, repository)
    else:
        release, file = _followed(noted, present, journal, repository)
    if release is None or file is None:
        return release, file
    found = replace(release, roles=_has_roles(file), noted=_protects(file))
    if journal is not None and found != noted and (noted is not None or found.noted):
        with suppress(PodiumError):  # a disk that is full: it is noted the next time
            journal.values.set(_NOTED, found.to_text() if found.noted else None)
    return found, file


def _first(present: Project, repository: Repository) -> tuple[Release | None, Project | None]:
    """Returns the branch where none is noted: the one that the file names which is committed here, if that branch's
    file protects something, for an edit that nobody has committed says least; else that of the file at hand."""
    for each in (loaded(repository, "HEAD", present), present):
        tip = release_tip(repository, each.git) if each is not None else None
        file = loaded(repository, tip, present) if tip is not None else None
        if each is not None and tip is not None and (each is present or (file is not None and _protects(file))):
            return Release(each.git.branch, _where(each), tip), file
    return None, None


def _followed(
    noted: Release, present: Project, journal: Journal | None, repository: Repository
) -> tuple[Release, Project | None]:
    """Returns the branch that is noted, as it is now; or the one at hand, once the file on the noted one names it."""
    release = _as_of_now(noted, journal, repository)
    file = loaded(repository, release.commit, present)
    here = present.git.branch, _where(present)
    if file is None or here == (noted.branch, noted.where) or here != (file.git.branch, _where(file)):
        return release, file
    tip = _newest(repository, *here, _fetched_from(journal))
    return (Release(*here, tip, noted.roles), loaded(repository, tip, present)) if tip is not None else (release, file)


def _as_of_now(noted: Release, journal: Journal | None, repository: Repository) -> Release:
    commit = _newest(repository, noted.branch, noted.where, _fetched_from(journal))
    return replace(noted, commit=commit or noted.commit)


def _fetched_from(journal: Journal | None) -> str:
    return (journal.values.get("fetched from") or "") if journal is not None else ""


def _newest(repository: Repository, branch: str, where: str, fetched: str) -> str | None:
    """Returns a branch's newest commit as it is known here; None if there is none, or if what was fetched last
    (`fetched`) is another repository's."""
    if where and fetched not in ("", where):
        return None
    return release_tip(repository, Git(branch=branch, remote=where))


def _where(project: Project) -> str:
    """Returns the repository whose branch is meant, as the journal has what was fetched from; `?` for an address that
    is none."""
    with suppress(PodiumError):
        return Remote(address_of_pushes(project)).shown
    return "?"


def _has_roles(project: Project) -> bool:
    return any(each.who != Roles() for each in project.environments.values())


def _protects(project: Project) -> bool:
    """Tells whether a file says anything that a person could want to be rid of by an edit."""
    steps = (step for pipeline in project.pipelines.values() for step in pipeline.steps.values())
    return (
        _has_roles(project)
        or bool(project.evidence.signers)
        or any(each.protected or each.verified for each in project.environments.values())
        or any(each.protected for each in project.infra.values())
        or any(step.approval for step in steps)
    )


@contextmanager
def _opened(project: Project) -> Generator[Journal | None]:
    """Opens the project's journal for a moment: to be read only, where the directory is not known to be its own, such
    as a copy's that nobody has adopted; None if there is none."""
    path = project.state / "journal.db"
    if not path.exists():
        yield None
        return
    try:
        home = Home.read(project.state)
    except OSError:
        home = None
    own = home is not None and home.place.path == str(project.state.resolve()) and os.access(path, os.W_OK)
    with Journal.open(path, create=False, read_only=not own) as journal:
        yield journal


def loaded(repository: Repository, commit: str, present: Project) -> Project | None:
    """Returns the project by a commit's file; None where that cannot be used."""
    with suppress(PodiumError):
        found = read(text_of(repository, commit), present.home, commit[:9])
        # Who may sign is in a file of its own, which the commit may change as well.
        return replace(found, evidence=replace(found.evidence, signers_of=(commit,)))
    return None


def text_of(repository: Repository, commit: str) -> str:
    """Returns a commit's file. Raises NotFound if it has none."""
    from ...config import source

    path = f"{repository.prefix}/{FILE}" if repository.prefix else FILE
    data = repository.file(commit, path)
    if data is None:
        raise NotFound(f"commit {commit[:9]} has no {path}", hint="what protects is read from there")
    return source.decode(data[: source.MAX_BYTES], FILE)


def read(text: str, home: Path, where: str) -> Project:
    """Returns the project by the text of a file. Raises ConfigError, which names `where` it is from."""
    from ...config.loading import from_text

    try:
        return from_text(text, f"{FILE} of {where}", home, home, os.environ)
    except ConfigError as error:
        raise ConfigError(error.problems, hint=f"what protects is read from {where}") from None
