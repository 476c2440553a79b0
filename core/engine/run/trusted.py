"""Reads the podium.yaml files by which a commit is judged (`trust.py` compares them)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ...config import FILE
from ...domain.project import Project
from ...domain.runs import Run, Trigger
from ...domain.text import one_line
from ...errors import ConfigError, NotFound, PodiumError
from ...journal import Journal
from ...journal.agent import first_commit, fork_of
from ...scm import Repository
from ...scm.refs import release_tip
from .forks import after_approval, of_fork
from .trust import Judged, of_another_branch, of_release_branch

# A commit whose file is broken says nothing about protection: the one before it is asked, so often.
_LOOKED_BACK = 5
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)")


def judge(present: Project, journal: Journal, run: Run, root: Path, repository: Repository | None = None) -> Judged:
    """Returns the project by the podium.yaml in `root`, a checkout of the run's commit, as far as it is trusted.
    `present` is the project by the podium.yaml of now. Raises ConfigError when the file, or the one that is trusted,
    cannot be used."""
    repository = repository or Repository.find(present.home)
    tip = release_tip(repository, present.git) if repository is not None else None
    fork = journal.values.get(fork_of(run.id))
    if fork is not None:
        return _of_fork(present, run, root, repository, fork)
    if repository is None or tip is None:  # there is no such branch: what a person has here is what counts
        return of_release_branch(_own(root, present.home, os.environ), [present])
    if not repository.contains(tip, run.commit):
        text = _text(repository, tip)
        trusted = _read(text, present.home, present.git.branch)
        return of_another_branch(_own(root, present.home, _variables_of(text)), trusted)
    own = _own(root, present.home, os.environ)
    return of_release_branch(
        own,
        [
            each
            for each in (
                _loaded(repository, tip, present) if tip != run.commit else None,
                _before(repository, journal, run, present),
            )
            if each is not None
        ],
    )


def released(present: Project) -> Project | None:
    """Returns the project by the newest commit of the branch that releases come from; None without a repository or such
    a branch, or where that file cannot be used."""
    repository = Repository.find(present.home)
    tip = release_tip(repository, present.git) if repository is not None else None
    return _loaded(repository, tip, present) if repository is not None and tip is not None else None


def _of_fork(present: Project, run: Run, root: Path, repository: Repository | None, fork: str) -> Judged:
    """Returns the project by the file of a fork's commit. As long as nobody has approved it, it gets none of the
    agent's variables."""
    tip = release_tip(repository, present.git) if repository is not None else None
    text = _text(repository, tip) if repository is not None and tip is not None else ""
    trusted = _read(text, present.home, present.git.branch) if text else present
    written = (root / FILE).read_text(encoding="utf-8", errors="replace")
    nothing = dict.fromkeys(_VARIABLE.findall(written), "not-given")
    judged = of_another_branch(_own(root, present.home, nothing), trusted)
    project, reason = of_fork(judged.project, trusted, run.name)
    if reason:  # then a person reads it first, and it is what another branch's is
        judged = of_another_branch(_own(root, present.home, {**nothing, **_variables_of(text)}), trusted)
        project = after_approval(judged.project, run.name, f"code of the fork {one_line(fork)[:100]}, {reason}")
    return replace(judged, project=project)


def _own(root: Path, home: Path, environ: Mapping[str, str]) -> Project:
    from ...config import load

    return load(root, home=home, environ=environ)


def _variables_of(text: str) -> dict[str, str]:
    """Returns the variables that the trusted file names: those of another commit get no others."""
    return {name: os.environ[name] for name in _VARIABLE.findall(text) if name in os.environ}


def _before(repository: Repository, journal: Journal, run: Run, present: Project) -> Project | None:
    """Returns the project by the commit that was run before this one; None for a run that a person has started, who
    can see what it says."""
    if run.trigger is Trigger.PERSON:
        return None
    first = journal.values.get(first_commit(run.name, run.branch))
    earlier = journal.runs.earlier_commits(run, _LOOKED_BACK)
    for commit in (*earlier, *([first] if first else [])):
        found = _loaded(repository, commit, present)
        if found is not None:
            return found
    return None


def _loaded(repository: Repository, commit: str, present: Project) -> Project | None:
    with suppress(PodiumError):
        found = _read(_text(repository, commit), present.home, commit[:9])
        # Who may sign is in a file of its own, which the commit may change as well.
        return replace(found, evidence=replace(found.evidence, signers_of=(commit,)))
    return None


def _text(repository: Repository, commit: str) -> str:
    from ...config import source

    path = f"{repository.prefix}/{FILE}" if repository.prefix else FILE
    data = repository.file(commit, path)
    if data is None:
        raise NotFound(f"commit {commit[:9]} has no {path}", hint="what protects is read from there")
    return source.decode(data[: source.MAX_BYTES], FILE)


def _read(text: str, home: Path, where: str) -> Project:
    from ...config.loading import from_text

    try:
        return from_text(text, f"{FILE} of {where}", home, home, os.environ)
    except ConfigError as error:
        raise ConfigError(error.problems, hint=f"what protects is read from {where}") from None
