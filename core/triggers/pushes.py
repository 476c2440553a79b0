"""Pushes to the local repository: which pipelines the newest commit of a branch should start. The journal keeps the
last handled commit per pipeline and branch, so nothing is started twice, and a push that arrived while the agent was
not running is found when it starts. Several pushes during a run start one run, of the newest commit. Branch tips are
checked every second without starting a git process every second: git is asked only when its ref files have changed,
or after a hook's wake-up."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from ..domain.frozen import Frozen
from ..domain.project import Project
from ..domain.runs import Trigger
from ..errors import PodiumError
from ..journal import Journal
from ..journal.agent import push_trouble
from ..scm import Repository
from .wake import hook_command

WHO = "podium watch"
# Refs can live in files that are not looked at (reftable, linked worktrees): git itself is asked at least this often.
MAX_QUIET_SECONDS = 10.0  # seconds


class Push(Frozen):
    pipeline: str
    branch: str
    commit: str


def cursor(pipeline: str, branch: str) -> str:
    return f"push:{pipeline}:{branch}"


def watched(project: Project) -> list[tuple[str, str]]:
    """Returns the (pipeline, branch) pairs that pushes start."""
    return [(pipeline.name, branch) for pipeline in project.pipelines.values() for branch in pipeline.on.push]


def mark_seen(project: Project, journal: Journal, tips: Mapping[str, str]) -> None:
    """Marks the current commits as handled: an agent that starts for the first time in a project runs nothing for
    existing commits."""
    pairs = watched(project)
    journal.agent.forget("push to ", {push_trouble(*pair) for pair in pairs})
    for pipeline, branch in pairs:
        key = cursor(pipeline, branch)
        if journal.values.get(key) is None:
            journal.values.set(key, tips.get(branch, ""))


def pending(project: Project, journal: Journal, tips: Mapping[str, str]) -> list[Push]:
    """Returns the branches whose tip has not been handled. A branch that does not exist has none."""
    found: list[Push] = []
    for pipeline, branch in watched(project):
        tip = tips.get(branch)
        if tip and tip != journal.values.get(cursor(pipeline, branch)):
            found.append(Push(pipeline, branch, tip))
    return found


def start(project: Project, journal: Journal, push: Push, say: Callable[[str], None]) -> int | None:
    """Starts the run of one push; returns its id. Returns None while a run of that pipeline is running (ask again
    later) and if the commit must not run."""
    if any(not run.is_operation and run.name == push.pipeline for run in journal.runs.active()):
        return None
    trouble = push_trouble(push.pipeline, push.branch)
    journal.agent.over(trouble)  # before the run starts, because its worker may note another one
    run_id, failed = _submit(project, journal, push, say)
    with journal.transaction():
        if failed:
            journal.agent.note(trouble, failed, lasting=True)
        journal.values.set(cursor(push.pipeline, push.branch), push.commit)
    return run_id


def _submit(project: Project, journal: Journal, push: Push, say: Callable[[str], None]) -> tuple[int | None, str]:
    """Returns the id of the run, if one was started, and why that failed."""
    from ..engine.submit import submit_pipeline

    quarantined = journal.quarantine.find(project.mlflow.model, commit=push.commit)
    if quarantined is not None:
        journal.audit.add(WHO, "push skipped", push.commit, "the commit is quarantined")
        say(f"push {push.commit[:9]} to {push.branch}: quarantined ({quarantined.why or 'no reason given'}), not run")
        return None, ""
    try:
        run = submit_pipeline(
            project,
            journal,
            push.pipeline,
            trigger=Trigger.PUSH,
            who=WHO,
            why=f"push to {push.branch}",
            commit=push.commit,
            branch=push.branch,
        )
    except PodiumError as error:
        say(f"push {push.commit[:9]} to {push.branch}: {error.message}")
        journal.audit.add(WHO, "push failed", push.commit, error.message)
        return None, f"commit {push.commit[:9]} started no run: {error.message}"
    say(f"push {push.commit[:9]} to {push.branch}: run {run.id} of {push.pipeline}")
    return run.id, ""


class Pushes:
    """Notices pushes and starts their runs."""

    def __init__(self, journal: Journal, say: Callable[[str], None]) -> None:
        self._journal, self._say = journal, say
        self._signature: object = None
        self._asked = 0.0
        self._waiting = False
        self._hooked = False

    def look(self, project: Project, *, rung: bool = False) -> list[int]:
        """Starts the runs that are due and returns their ids. A project outside any repository has no pushes. `rung`
        means that a hook reported one."""
        pairs = watched(project)
        signature = (tuple(pairs), ref_signature(project.home, {branch for _, branch in pairs}))
        recent = time.monotonic() - self._asked < MAX_QUIET_SECONDS
        if not pairs or (signature == self._signature and recent and not self._waiting and not rung):
            return []
        repository = Repository.find(project.home)
        if repository is None:
            return []
        self._signature, self._asked = signature, time.monotonic()
        self._install_hooks(project, repository)
        # Git is asked once. A push that comes after it changes a ref file, which the next look sees.
        tips = repository.branch_tips({branch for _, branch in pairs})
        mark_seen(project, self._journal, tips)
        started = [start(project, self._journal, push, self._say) for push in pending(project, self._journal, tips)]
        self._waiting = bool(started) and bool(pending(project, self._journal, tips))
        return [run for run in started if run is not None]

    def _install_hooks(self, project: Project, repository: Repository) -> None:
        """Installs the git hooks once. If that fails, checking the branches is enough: a push is then noticed a
        little later."""
        if self._hooked:
            return
        self._hooked = True
        try:
            left = repository.install_hooks(hook_command(project.home))
        except PodiumError as error:
            left = [error.message]
        for reason in left:
            self._say(f"no git hook wakes the agent, pushes are found by checking the branches: {reason}")


def ref_signature(home: Path, branches: set[str]) -> tuple[tuple[str, int, int], ...]:
    """Returns the modification time and size of the files that hold the branches' tips."""
    git = home / ".git"
    marks: list[tuple[str, int, int]] = []
    for name in ("packed-refs", *(f"refs/heads/{branch}" for branch in sorted(branches))):
        try:
            status = (git / name).stat()
            marks.append((name, status.st_mtime_ns, status.st_size))
        except OSError:
            marks.append((name, 0, 0))
    return tuple(marks)
