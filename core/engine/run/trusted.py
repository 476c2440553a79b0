"""Reads the podium.yaml files by which a commit is judged (`trust.py` compares them)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ...config import FILE
from ...domain.project import Project
from ...domain.runs import Run, Trigger
from ...domain.text import one_line
from ...journal import Journal
from ...journal.agent import first_commit, fork_of
from ...scm import Repository
from .forks import after_approval, of_fork
from .release import Release, loaded, read, release_of, text_of
from .trust import Judged, of_another_branch, of_release_branch

# A commit whose file is broken says nothing about protection: the one before it is asked, so often.
_LOOKED_BACK = 5
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)")


def judge(present: Project, journal: Journal, run: Run, root: Path, repository: Repository | None = None) -> Judged:
    """Returns the project by the podium.yaml in `root`, a checkout of the run's commit, as far as it is trusted.
    `present` is the project by the podium.yaml of now. Raises ConfigError when the file, or the one that is trusted,
    cannot be used."""
    repository = repository or Repository.find(present.home)
    release = release_of(present, journal, repository) if repository is not None else None
    fork = journal.values.get(fork_of(run.id))
    if fork is not None:
        return _of_fork(present, run, root, repository, release, fork)
    if repository is None or release is None:  # there is no such branch: what a person has here is what counts
        return of_release_branch(_own(root, present.home, os.environ), [present])
    tip = release.commit
    if not repository.contains(tip, run.commit):
        text = text_of(repository, tip)
        trusted = read(text, present.home, release.branch)
        return of_another_branch(_own(root, present.home, _variables_of(text)), trusted)
    own = _own(root, present.home, os.environ)
    return of_release_branch(
        own,
        [
            each
            for each in (
                loaded(repository, tip, present) if tip != run.commit else None,
                _before(repository, journal, run, present),
            )
            if each is not None
        ],
    )


def _of_fork(
    present: Project, run: Run, root: Path, repository: Repository | None, release: Release | None, fork: str
) -> Judged:
    """Returns the project by the file of a fork's commit. As long as nobody has approved it, it gets none of the
    agent's variables."""
    text = text_of(repository, release.commit) if repository is not None and release is not None else ""
    trusted = read(text, present.home, release.branch) if text and release is not None else present
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
        found = loaded(repository, commit, present)
        if found is not None:
            return found
    return None
