"""Pushes: which commits of a branch a pipeline should run. The journal keeps the last handled commit per pipeline and
branch, so nothing is started twice, and a push that arrived while the agent was not running is found when it starts.
By the pipeline's `concurrency`, several pushes during a run start one run, of the newest commit, or one of each. The
run and the note that its commit is handled are one transaction: an agent that is killed at any moment leaves both or
neither. Branch tips are checked every second without starting a git process every second: git is asked only when its
ref files have changed, or after a hook's wake-up."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from ..domain.project import Pipeline, Project
from ..domain.runs import ARRIVALS, Run, RunState, Trigger
from ..domain.text import one_line
from ..errors import PodiumError, Refused
from ..journal import Journal
from ..journal.agent import first_commit, fork_of, push_trouble
from ..scm import Repository
from ..scm.refs import HOST_REFS, TAG_REFS
from ..scm.remote import remote_of
from .arrivals import Push, cursor, pulls, tags
from .lease import take
from .polling import TRUST, fetched_from
from .skips import skip_words
from .wake import hook_command

WHO = "podium watch"
# Refs can live in files that are not looked at (reftable, linked worktrees): git itself is asked at least this often.
MAX_QUIET_SECONDS = 10.0  # seconds
# Pull requests of a pipeline that run at the same time.
MAX_PULLS = 2

Say = Callable[[str], None]


def watched(project: Project) -> list[tuple[str, str]]:
    """Returns the (pipeline, branch) pairs that pushes start."""
    return [(pipeline.name, branch) for pipeline in project.pipelines.values() for branch in pipeline.on.push]


def mark_seen(project: Project, journal: Journal, tips: Mapping[str, str]) -> None:
    """Marks the current commits as handled: an agent that starts for the first time in a project runs nothing for
    existing commits."""
    pairs = watched(project)
    others = {each.subject for each in journal.agent.status().troubles if each.subject.startswith("push to refs/")}
    journal.agent.forget("push to ", {push_trouble(*pair) for pair in pairs} | others)
    for pipeline, branch in pairs:
        key = cursor(pipeline, branch, elsewhere=project.git.elsewhere)
        if journal.values.get(key) is None:
            with journal.transaction():
                journal.values.set(key, tips.get(branch, ""))
                journal.values.set(first_commit(pipeline, branch), tips.get(branch) or None)


def unhandled(project: Project, journal: Journal, tips: Mapping[str, str]) -> list[Push]:
    """Returns the branches whose tip has not been handled, with that tip. A branch that does not exist has none."""
    found: list[Push] = []
    for pipeline, branch in watched(project):
        tip = tips.get(branch)
        if tip and tip != journal.values.get(cursor(pipeline, branch, elsewhere=project.git.elsewhere)):
            found.append(Push(pipeline, branch, tip))
    return found


def next_push(repository: Repository, since: str, pipeline: Pipeline, push: Push) -> Push:
    """Returns the commit that comes next on the way from `since`, the last that was handled, to the branch's tip: the
    tip itself, or the oldest that was not handled."""
    if push.trigger is not Trigger.PUSH:
        return push  # of a tag there is one commit, and of a pull request the newest is what would be merged
    commits = repository.new_commits(since, push.commit) if since else []
    if pipeline.concurrency.commits == "every" and commits:
        return replace(push, commit=commits[0])
    return replace(push, passed=tuple(each for each in commits if each != push.commit))


class Pushes:
    """Notices pushes and starts their runs."""

    def __init__(self, journal: Journal, say: Say) -> None:
        self._journal, self._say = journal, say
        self._signature: object = None
        self._asked = 0.0
        self._quiet = MAX_QUIET_SECONDS
        self._waiting = False
        self._hooked = False

    def look(self, project: Project, *, rung: bool = False) -> list[int]:
        """Starts the runs that are due and returns their ids. A project outside any repository has no pushes. `rung`
        means that a hook reported one."""
        pairs = watched(project)
        arriving = [(each.name, each.on.tag, each.on.pull_request) for each in project.pipelines.values()]
        watching = bool(pairs) or any(tag or pull for _, tag, pull in arriving)
        elsewhere = project.git.elsewhere
        refs = ref_signature(project.home, {branch for _, branch in pairs}, elsewhere=elsewhere)
        signature = (pairs, arriving, refs)
        recent = time.monotonic() - self._asked < self._quiet
        if not watching or (signature == self._signature and recent and not self._waiting and not rung):
            return []
        repository = Repository.find(project.home)
        if repository is None:
            return []
        self._signature, self._asked, self._waiting = signature, time.monotonic(), False
        self._quiet = MAX_QUIET_SECONDS  # also if this look fails
        self._install_hooks(project, repository)
        self._start_lost(project)
        # Git is asked once. A push that comes after it changes a ref file, which the next look sees.
        tips = self._tips(project, repository)
        if tips is None:
            return []
        mark_seen(project, self._journal, tips)
        handling = Handling(project, self._journal, repository, self._say)
        started = [run for push in self._arrived(project, repository, tips) for run in handling.follow(push)]
        self._waiting = bool(self._arrived(project, repository, tips))
        # What is fetched from a host rings: refs that change otherwise are of no interest there.
        self._quiet = TRUST if elsewhere else MAX_QUIET_SECONDS
        return started

    def _arrived(self, project: Project, repository: Repository, tips: Mapping[str, str]) -> list[Push]:
        return [
            *unhandled(project, self._journal, tips),
            *tags(project, self._journal, repository),
            *pulls(project, self._journal, repository),
        ]

    def _tips(self, project: Project, repository: Repository) -> Mapping[str, str] | None:
        """Returns branch -> newest commit: those of the host, where there is one. None before the first fetch from it:
        what it has then is there already, and no push."""
        if not project.git.elsewhere:
            return repository.branch_tips({branch for _, branch in watched(project)})
        remote = remote_of(project)
        if remote is None or fetched_from(self._journal) != remote.shown:
            return None
        return {ref.removeprefix(HOST_REFS): sha for ref, sha in repository.refs(HOST_REFS).items()}

    def _start_lost(self, project: Project) -> None:
        """Starts the workers of runs that an agent wrote and was killed before it started them."""
        from ..engine.submit import start_again

        for run in self._journal.runs.never_started():
            start_again(project, self._journal, run, WHO)
            self._say(f"push {run.commit[:9]} to {run.branch}: run {run.id} had no worker yet; started")

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


class Handling:
    """Handles commits one after the other, at one moment: each is run, or passed over, or left for later."""

    def __init__(self, project: Project, journal: Journal, repository: Repository, say: Say) -> None:
        self._project, self._journal, self._repository, self._say = project, journal, repository, say

    def follow(self, tip: Push) -> list[int]:
        """Handles what is new on a branch, up to the first commit that runs; returns the run's id in a list. Returns an
        empty list while a run of that pipeline is running (ask again later) and if no commit may run."""
        pipeline = self._project.pipelines[tip.pipeline]
        running = self._running(tip)
        if running:
            replaces = pipeline.concurrency.cancel or tip.trigger is Trigger.PULL_REQUEST
            if replaces and not self._refusal(tip):
                self._cancel_superseded(running, tip)
            return []
        push = next_push(self._repository, self._since(tip), pipeline, tip)
        while True:
            self._tell_passed(push)
            refusal = self._refusal(push) or self._taken(push)
            run = None if refusal else self._start(push)
            if refusal:
                self._skip(push, refusal)
            if run is not None or push.commit == tip.commit:
                return [run] if run is not None else []
            if not refusal:
                return []  # it could not be started, which is a trouble that a person should see before the next one
            push = next_push(self._repository, self._since(tip), pipeline, tip)

    def _running(self, push: Push) -> list[Run]:
        """Returns the runs that it has to wait for. Pull requests wait for their own, and for each other while more
        than a few run; nothing else waits for them, least of all for one that waits for a person."""
        active = [run for run in self._journal.runs.active() if not run.is_operation and run.name == push.pipeline]
        pulls = [run for run in active if run.trigger is Trigger.PULL_REQUEST]
        if push.trigger is not Trigger.PULL_REQUEST:
            return [run for run in active if run not in pulls]
        busy = [run for run in pulls if run.state is not RunState.WAITING]
        return busy if len(busy) >= MAX_PULLS else [run for run in pulls if run.branch == push.branch]

    def _cancel_superseded(self, running: list[Run], push: Push) -> None:
        from ..engine.submit import cancel

        for run in running:
            asked = self._journal.runs.cancel_request(run.id) is not None
            if run.trigger not in ARRIVALS or run.branch != push.branch or run.commit == push.commit or asked:
                continue
            try:
                cancel(self._journal, run.id, WHO, f"superseded by {push.commit[:9]}")
            except Refused:
                continue  # it has ended meanwhile
            self._say(f"{push.words}: run {run.id} of {run.commit[:9]} is cancelled, it is superseded")

    def _tell_passed(self, push: Push) -> None:
        if not push.passed:
            return
        which = push.passed[0][:9] + (f" to {push.passed[-1][:9]}" if len(push.passed) > 1 else "")
        count = "1 commit" if len(push.passed) == 1 else f"{len(push.passed)} commits"
        why = f"{count} passed over for {push.commit[:9]}: {push.pipeline} runs the newest only"
        self._journal.audit.add(WHO, "push passed over", f"{which} of {push.branch}", why)
        self._say(f"{push.words}: {count} before it ({which}) passed over, {push.pipeline} runs the newest only")

    def _refusal(self, push: Push) -> str:
        """Returns why the commit must not run; empty if it may."""
        pipeline = self._project.pipelines.get(push.pipeline)
        models = self._project.models_of(pipeline) if pipeline is not None else self._project.models
        quarantined = self._journal.quarantine.of_commit(models, push.commit)
        if quarantined is not None:
            return f"quarantined ({quarantined.why or 'no reason given'}), not run"
        words = skip_words(self._repository.message(push.commit))
        if words:
            return f"its message says {one_line(words)}, not run"
        before = self._journal.runs.delivered(push.pipeline, push.branch, push.commit)
        if before is not None:
            again = f"`podium run {push.pipeline} --commit {push.commit[:9]}` runs it again"
            return f"run {before.id} has delivered it already ({before.state}), not run; {again}"
        return ""

    def _taken(self, push: Push) -> str:
        """Takes the commit for this agent; returns why it must not run if another one has it."""
        if not self._project.git.elsewhere:
            return ""
        other = take(self._project, self._journal, self._repository, push.pipeline, push.branch, push.commit)
        return f"{other}, not run here" if other else ""

    def _skip(self, push: Push, why: str) -> None:
        with self._journal.transaction():
            self._journal.audit.add(WHO, "push skipped", push.commit, f"{push.pipeline}, {push.branch}: {why}")
            self._handled(push)
        self._say(f"{push.words}: {why}")

    def _noted(self, push: Push, run: Run) -> None:
        self._handled(push)
        if push.fork:
            self._journal.values.set(fork_of(run.id), push.fork)

    def _handled(self, push: Push) -> None:
        self._journal.values.set(self._cursor(push), push.commit)

    def _since(self, push: Push) -> str:
        return self._journal.values.get(self._cursor(push)) or ""

    def _cursor(self, push: Push) -> str:
        return cursor(push.pipeline, push.branch, elsewhere=self._project.git.elsewhere)

    def _start(self, push: Push) -> int | None:
        """Starts the run; returns its id, or None if that failed, which is noted."""
        from ..engine.submit import submit_pipeline

        trouble = push_trouble(push.pipeline, push.branch)
        self._journal.agent.over(trouble)  # before the run starts, because its worker may note another one
        try:
            run = submit_pipeline(
                self._project,
                self._journal,
                push.pipeline,
                trigger=push.trigger,
                who=WHO,
                why=f"push to {push.where}" if push.trigger is Trigger.PUSH else push.where,
                commit=push.commit,
                branch=push.branch,
                along=lambda run: self._noted(push, run),
            )
        except PodiumError as error:
            self._say(f"{push.words}: {error.message}")
            with self._journal.transaction():
                self._journal.audit.add(WHO, "push failed", push.commit, error.message)
                words = f"commit {push.commit[:9]} started no run: {error.message}"
                self._journal.agent.note(trouble, words, lasting=True)
                self._handled(push)
            return None
        self._say(f"{push.words}: run {run.id} of {push.pipeline}")
        return run.id


def ref_signature(home: Path, branches: set[str], *, elsewhere: bool) -> tuple[tuple[str, int, int], ...]:
    """Returns the modification time and size of the files that hold the branches' tips."""
    git = home / ".git"
    marks: list[tuple[str, int, int]] = []
    below = HOST_REFS if elsewhere else "refs/heads/"
    for name in (
        "packed-refs",
        TAG_REFS if elsewhere else "refs/tags",
        *(f"{below}{branch}" for branch in sorted(branches)),
    ):
        try:
            status = (git / name).stat()
            marks.append((name, status.st_mtime_ns, status.st_size))
        except OSError:
            marks.append((name, 0, 0))
    return tuple(marks)
