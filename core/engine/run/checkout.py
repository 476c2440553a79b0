"""The directory of a run: a worktree of its commit, or the working tree with the commit that is checked out there."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ...child import tell
from ...domain.project import Project
from ...domain.runs import Run, RunState
from ...errors import NotFound, PodiumError
from ...journal import Journal
from .. import paths
from .trusted import judge

RUN_REFS = "refs/podium/runs/"


def is_isolated(run: Run, home: Path) -> bool:
    """Tells whether the run has its own worktree."""
    return not run.is_operation and bool(run.workspace) and Path(run.workspace) != home


def check_out(home: Path, journal: Journal, run: Run, present: Project | None = None) -> Project:
    """Creates the run's worktree of its commit if it is missing; returns the project as it is in there, as far as that
    is trusted (`trusted.py`). `present` is the project by the podium.yaml of now."""
    from ...scm import Repository

    top = paths.worktree(home / ".podium", run.id)
    repository = Repository.open(home)
    whole = paths.checked_out_marker(home / ".podium", run.id)
    if not (top.exists() and whole.exists()):
        # What a worker that was killed had checked out of it is not the commit.
        repository.worktree_remove(top)
        missing = repository.worktree_add(run.commit, top)
        if missing:
            here = "git submodule update --init --recursive"
            tell(f"submodules are not here, so they are empty: {', '.join(missing)}; {here}")
        whole.touch(mode=0o600)
    root = top / repository.prefix if repository.prefix else top
    journal.runs.set_workspace(run.id, root)
    if not (root / "podium.yaml").is_file():
        raise NotFound(f"commit {run.commit[:9]} has no podium.yaml", hint="commit it: `git add podium.yaml`")
    judged = judge(present or _present(home), journal, run, root, repository)
    _say_weakened(journal, run, judged.weakened)
    return judged.project


def _present(home: Path) -> Project:
    from ...config.latest import Latest

    return Latest(home).project()


def _say_weakened(journal: Journal, run: Run, weakened: Sequence[str]) -> None:
    """Tells a person that a commit would have weakened what protects, and notes it until the next commit."""
    subject = f"protection in {run.name}" + (f" ({run.branch})" if run.branch else "")
    if not weakened:
        journal.agent.over(subject)
        return
    words = f"commit {run.commit[:9]} weakens what protects, which has no effect on its own run: {'; '.join(weakened)}"
    tell(words)
    journal.audit.add(run.who, "protection kept", f"run {run.id}", words)
    journal.agent.note(subject, words, lasting=True)


def _run_refs(home: Path) -> str:
    """Returns where the refs of the project's runs are. Projects that share a repository have places of their own."""
    from ...identity.home import home_id

    return RUN_REFS if (home / ".git").is_dir() else f"{RUN_REFS}{home_id(home)}/"


def keep_commit(home: Path, run: Run) -> None:
    """Keeps the commit of a run from git's garbage collection, whatever becomes of its branch. If that fails, the
    checkout tells why."""
    from ...scm import Repository

    with suppress(PodiumError):
        Repository.open(home).set_ref(f"{_run_refs(home)}{run.id}", run.commit)


def release_commit(home: Path, run_id: int) -> None:
    """Ends that."""
    from ...scm import Repository

    with suppress(PodiumError):
        Repository.open(home).remove_ref(f"{_run_refs(home)}{run_id}")


def release_ended(home: Path, journal: Journal) -> None:
    """Releases the commits of runs that are over, or that the journal does not have any more. An interrupted run may
    go on, and needs its commit."""
    from ...scm import Repository

    repository, prefix = Repository.find(home), _run_refs(home)
    for ref in repository.refs(prefix) if repository is not None else ():
        number = ref.removeprefix(prefix)
        if repository is not None and number.isdecimal() and _is_over(journal, int(number)):
            repository.remove_ref(ref)


def _is_over(journal: Journal, run_id: int) -> bool:
    try:
        state = journal.runs.get(run_id).state
    except NotFound:
        return True
    return state.finished and state is not RunState.INTERRUPTED


def load_project(root: Path, home: Path) -> Project:
    """Reads podium.yaml of a directory, for the project at `home`."""
    from ...config import load

    return load(root, home=home)


def present_project(handed: Project | None, home: Path) -> Project:
    """Returns the project by the podium.yaml of now: the one that was handed over, unless the file was changed since.
    Raises ConfigError when it cannot be used."""
    from ...config import FILE
    from ...config.latest import digest

    if handed is not None and (not handed.digest or digest(home / FILE) == handed.digest):
        return handed  # one without a digest was made by a program, not read from a file
    return load_project(home, home)


def remove_worktree(home: Path, run: Run) -> None:
    """Removes the worktree of a run that succeeded: the cache and MLflow keep what it made. After a failure it stays,
    to be looked at and resumed."""
    from ...scm import Repository

    with suppress(PodiumError):
        Repository.open(home).worktree_remove(paths.worktree(home / ".podium", run.id))


def note_commit(home: Path, journal: Journal, run: Run, notes: list[str], *, resumed: bool) -> Run:
    """Notes the commit that the working tree stands at, and whether it differs from it; returns the run with both. A
    project without a repository has no commit; why one with a repository has none is added to `notes`."""
    if run.is_operation or not any((parent / ".git").exists() for parent in (home, *home.parents)):
        return run
    from ...scm import Repository

    try:
        repository = Repository.open(home)
        commit, branch, dirty = repository.head().sha, repository.branch(), repository.dirty()
    except PodiumError as error:
        words = f"no commit is noted: {error.message}"
        tell(words)
        if not isinstance(error, NotFound):
            notes.append(f"{words} ({error.hint})" if error.hint else words)
        return run
    if resumed and run.commit:
        # Steps before this one ran at the commit that is noted: another one now makes it a mixture, and that is what
        # dirty says.
        commit, branch, dirty = run.commit, run.branch, run.dirty or dirty or commit != run.commit
    journal.runs.set_commit(run.id, commit, branch=branch, dirty=dirty)
    return replace(run, commit=commit, branch=branch, dirty=dirty)
