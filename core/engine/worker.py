"""The process that owns a run: `python -P -m podium.core.engine.worker HOME RUN_ID`, the project on standard input.

It has a session of its own and no terminal, is the only writer of the run's state while it lives, and keeps a
heartbeat. SIGTERM cancels the run; SIGUSR1 makes it look at the journal. It loads no MLflow, no Docker, no Textual.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .. import handover
from ..domain.project import Project
from ..domain.runs import Run, RunState, Step, StepState
from ..errors import JournalError, NotFound, PodiumError, Refused, RunFailed
from ..identity.processes import alive, started_at
from ..journal import Journal
from . import paths
from .graph import PlannedStep, build, parameters
from .plan import describe_steps, operation_step
from .runner import Runner
from .signals import Signals

if TYPE_CHECKING:
    import subprocess

PREPARE_TIMEOUT = 180.0


class Worker:
    def __init__(self, home: Path, journal: Journal, run_id: int, signals: Signals) -> None:
        self._home = home
        self._journal = journal
        self._id = run_id
        self._signals = signals
        self._resumed = False

    def work(self, handed: Project | None) -> RunState:
        """Carry the run out. Whatever goes wrong is the run's message; JournalError when not even that can be
        written."""
        run = self._claim()
        try:
            paths.prepare_directory(self._home / ".podium", self._id)
            state, message = self._carry_out(run, handed)
        except JournalError:
            raise
        except PodiumError as error:
            state, message = RunState.FAILED, f"{error.message}\n{error.hint}".rstrip()
        except OSError as error:
            state, message = (
                RunState.FAILED,
                f"the run cannot go on: {error.strerror or error}: {error.filename or ''}".rstrip(": "),
            )
        except Exception as error:
            traceback.print_exc()
            state, message = (
                RunState.FAILED,
                f"the run cannot go on, and that is a fault of Podium: {type(error).__name__}: {error}",
            )
        if message:
            print(message, flush=True)
        self._close(state, message)
        return state

    def _claim(self) -> Run:
        """Refused when the run is over or has a living worker."""
        with self._journal.transaction():
            run = self._journal.runs.get(self._id)
            if run.state.finished:
                raise Refused(f"run {run.id} is over ({run.state})", hint=f"podium resume {run.id}")
            if run.worker_pid != os.getpid() and alive(run.worker_pid, run.worker_started):
                raise Refused(f"run {run.id} has a worker already (pid {run.worker_pid})")
            self._resumed = run.started is not None
            self._journal.runs.set_worker(run.id, os.getpid(), started_at(os.getpid()))
            self._journal.runs.set_state(run.id, RunState.RUNNING)
        return self._journal.runs.get(self._id)

    def _close(self, state: RunState, message: str) -> None:
        """The last word. Steps that were cut short when the run could not go on are marked so."""
        with self._journal.transaction():
            for step in self._journal.steps.of(self._id):
                if not step.state.finished:
                    ended = (
                        StepState.CANCELLED
                        if state is RunState.CANCELLED or step.state is StepState.PENDING
                        else StepState.INTERRUPTED
                    )
                    self._journal.steps.update(self._id, step.name, state=ended)
            self._journal.runs.set_state(self._id, state, message=message)

    def _carry_out(self, run: Run, handed: Project | None) -> tuple[RunState, str]:
        isolated = not run.is_operation and bool(run.workspace) and Path(run.workspace) != self._home
        if isolated:
            project = self._check_out(run)
        else:
            project = handed or _load(self._home, self._home)
            run = self._note_commit(run)
        steps = self._plan(project, run)
        self._prepare_store(project, steps)
        pipeline = project.pipelines.get(run.name) if not run.is_operation else None
        run = replace(
            run,
            workspace=str(project.root),
            params=parameters(pipeline, run.params) if pipeline is not None else run.params,
        )
        runner = Runner(
            project,
            self._journal,
            run,
            steps,
            wake=self._signals.reading,
            told_to_end=lambda: self._signals.told,
            resumed=self._finished(run, steps, isolated),
            isolated=isolated,
        )
        state, message = runner.run()
        if self._resumed and any(step.spec.container for step in steps):
            from .container_cleanup import tidy

            # What an earlier worker had begun and this one had no use for.
            tidy(project, run)
        if isolated and state is RunState.SUCCEEDED:
            self._remove_worktree(run)
        return state, message

    def _finished(self, run: Run, steps: Sequence[PlannedStep], isolated: bool) -> list[Step]:
        """The steps as an earlier worker left them. In the working tree others may have written since: there, what a
        step left is looked at once more, and restored from the cache or done again where it is something else by
        now."""
        before = self._journal.steps.of(run.id)
        if isolated:
            return before
        looked_at = {step.name for step in steps if step.cacheable}
        for step in before:
            if step.name in looked_at and step.state is StepState.SUCCEEDED:
                self._journal.steps.update(
                    run.id, step.name, state=StepState.PENDING, started=None, ended=None, attempt=0
                )
        return self._journal.steps.of(run.id)

    def _check_out(self, run: Run) -> Project:
        """The run's own worktree of its commit, made when it is not there yet, and the project as it stands in it."""
        from ..scm import Repository

        top = paths.worktree(self._home / ".podium", run.id)
        repository = Repository.open(self._home)
        whole = paths.checked_out_marker(self._home / ".podium", run.id)
        if not (top.exists() and whole.exists()):
            # What a worker that was killed had checked out of it is not the commit.
            repository.worktree_remove(top)
            repository.worktree_add(run.commit, top)
            whole.touch(mode=0o600)
        root = top / repository.prefix if repository.prefix else top
        self._journal.runs.set_workspace(run.id, root)
        if not (root / "podium.yaml").is_file():
            raise NotFound(f"commit {run.commit[:9]} has no podium.yaml", hint="commit it: `git add podium.yaml`")
        return _load(root, self._home)

    def _remove_worktree(self, run: Run) -> None:
        """What it had is kept in the cache and in MLflow. After a failure it stays, to be looked at and resumed."""
        from ..scm import Repository

        with suppress(PodiumError):
            Repository.open(self._home).worktree_remove(paths.worktree(self._home / ".podium", run.id))

    def _note_commit(self, run: Run) -> Run:
        """The commit that the working tree stands at, and whether it differs from it. No repository, no commit: then
        there is none to note."""
        if run.is_operation or not any((parent / ".git").exists() for parent in (self._home, *self._home.parents)):
            return run
        from ..scm import Repository

        try:
            repository = Repository.open(self._home)
            commit, branch, dirty = repository.head().sha, repository.branch(), repository.dirty()
        except PodiumError as error:
            print(f"no commit is noted: {error.message}", flush=True)
            return run
        if self._resumed and run.commit:
            # Steps before this one ran at the commit that is noted: another one now makes it a mixture, and that is
            # what dirty says.
            commit, branch, dirty = run.commit, run.branch, run.dirty or dirty or commit != run.commit
        self._journal.runs.set_commit(run.id, commit, branch=branch, dirty=dirty)
        return replace(run, commit=commit, branch=branch, dirty=dirty)

    def _plan(self, project: Project, run: Run) -> tuple[PlannedStep, ...]:
        if run.is_operation:
            return (operation_step(run, project),)
        pipeline = project.pipelines.get(run.name)
        if pipeline is None:
            raise NotFound(
                f"there is no pipeline {run.name!r}", hint=f"podium.yaml has: {', '.join(project.pipelines) or 'none'}"
            )
        steps = build(pipeline, run.params)
        before = self._journal.steps.of(run.id)
        if not before:
            self._journal.steps.add(run.id, describe_steps(run.id, steps, project.secrets))
        elif [step.name for step in before] != [step.name for step in steps]:
            raise RunFailed(
                "podium.yaml has other steps now than when this run began",
                hint=f"start a new one: podium run {run.name}",
            )
        else:
            self._rewrite(before, describe_steps(run.id, steps, project.secrets))
        return steps

    def _rewrite(self, before: Sequence[Step], steps: Sequence[Step]) -> None:
        """A resumed run uses the commands as they are written now."""
        for old, new in zip(before, steps, strict=True):
            if (old.command, old.needs) != (new.command, new.needs) and old.state is not StepState.SUCCEEDED:
                self._journal.steps.update(old.run_id, old.name, command=new.command, needs=new.needs)

    def _prepare_store(self, project: Project, steps: Sequence[PlannedStep]) -> None:
        """Before the first training script: an embedded MLflow store is made once, not by four scripts at the same
        time."""
        if not project.mlflow.embedded or not any(step.spec.uses == "register" for step in steps):
            return
        from ..registry.prepare import ready

        if ready(project.mlflow, project.state):
            return
        import subprocess

        self._journal.runs.set_state(self._id, RunState.RUNNING, message="making the MLflow store ready")
        command = [sys.executable, "-P", "-m", "podium.core.registry.prepare", str(project.home)]
        child = subprocess.Popen(command, cwd=self._home, stdin=subprocess.DEVNULL)
        try:
            code = self._wait_for(child)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
        if code:
            raise RunFailed(
                "the MLflow store cannot be made ready", hint=f"{paths.worker_log(project.state, self._id)} says why"
            )
        self._journal.runs.set_state(self._id, RunState.RUNNING)

    def _wait_for(self, child: subprocess.Popen[bytes]) -> int:
        """Its exit code; 0 when the run is cancelled meanwhile, which the runner will see."""
        import subprocess

        for _ in range(int(PREPARE_TIMEOUT / 0.1)):
            with suppress(subprocess.TimeoutExpired):
                return child.wait(0.1)
            if self._signals.told:
                return 0
        raise RunFailed(
            f"the MLflow store was not ready after {PREPARE_TIMEOUT:g} s",
            hint="is its disk slow, or its database locked?",
        )


def _load(root: Path, home: Path) -> Project:
    from ..config import load

    return load(root, home=home)


def serve(home: Path, run_id: int, project: Project | None) -> int:
    """Be the worker of a run in this process; the exit code. `project` None: read it from podium.yaml."""
    signals = Signals()
    try:
        with Journal.open(home / ".podium" / "journal.db", create=False, timeout=30.0) as journal:
            state = Worker(home, journal, run_id, signals).work(project)
    except PodiumError as error:
        # One line: it is what recovery quotes when the journal could not be written any more.
        print(f"{error.message}. {error.hint}" if error.hint else error.message, file=sys.stderr, flush=True)
        return error.exit_code
    return 0 if state is RunState.SUCCEEDED else 1


def main(arguments: Sequence[str]) -> int:
    return serve(Path(arguments[0]), int(arguments[1]), handover.unpack(Project))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
