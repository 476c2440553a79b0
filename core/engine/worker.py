"""The process that owns a run: `python -P -m podium.core.engine.worker HOME RUN_ID`, with the project on standard
input.

It has a session of its own and no terminal, is the only writer of the run's state while it is alive, and writes a
heartbeat. SIGTERM cancels the run; SIGUSR1 makes it read the journal. It loads neither MLflow, Docker nor Textual.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .. import handover
from ..child import tell
from ..domain.project import Project
from ..domain.runs import ARRIVALS, Run, RunState, StepState
from ..errors import JournalError, PodiumError, Refused
from ..identity.processes import alive, started_at
from ..journal import Journal
from . import paths
from .graph import PlannedStep
from .run import checkout, planning
from .run.forks import forget_credentials, is_alone
from .run.mlflow_store import prepare_store
from .run.runner import Runner
from .run.trust import delivers
from .signals import Signals


class Worker:
    """Carries out one run, from the claim to the last word in the journal."""

    def __init__(self, home: Path, journal: Journal, run_id: int, signals: Signals) -> None:
        self._home = home
        self._journal = journal
        self._id = run_id
        self._signals = signals
        self._resumed = False

    def work(self, handed: Project | None) -> RunState:
        """Carries out the run and returns its final state. Any failure becomes the run's message.

        Raises JournalError if not even that can be written.
        """
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
            tell(message)
        self._close(state, message)
        if checkout.is_isolated(run, self._home):
            checkout.release_commit(self._home, run.id)
        return state

    def _claim(self) -> Run:
        """Becomes the run's worker. Raises Refused if the run has finished or has a living worker."""
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
        """Records how the run ended, and marks steps that were cut short if it could not continue."""
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
        isolated = checkout.is_isolated(run, self._home)
        notes: list[str] = []
        with self._noting_a_push(run):
            if isolated:
                project = checkout.check_out(self._home, self._journal, run, handed)
            else:
                project = checkout.present_project(handed, self._home)
                run = checkout.note_commit(self._home, self._journal, run, notes, resumed=self._resumed)
            steps = planning.plan_steps(self._journal, project, run)
        if is_alone(project, run.name):
            forget_credentials()
        prepare_store(project, self._journal, run, steps, cancelled=self._told_to_end)
        runner = Runner(
            project,
            self._journal,
            planning.with_parameters(project, run),
            steps,
            wake=self._signals.reading,
            told_to_end=self._told_to_end,
            resumed=planning.finished_steps(self._journal, run, steps, isolated=isolated),
            isolated=isolated,
        )
        state, message = runner.run()
        if self._resumed and any(step.spec.container for step in steps):
            from .container_cleanup import tidy

            # Containers that an earlier worker started and this one had no use for.
            tidy(project, run)
        if isolated and state is RunState.SUCCEEDED:
            checkout.remove_worktree(self._home, run)
        if state is RunState.SUCCEEDED:
            message = "; ".join(filter(None, (message, *self._left_out(steps), *notes)))
        return state, message

    def _left_out(self, steps: Sequence[PlannedStep]) -> list[str]:
        """Returns which steps that deliver were left out, and why: a release that delivered nothing has succeeded, and
        says so."""
        delivering = {step.name for step in steps if delivers(step.spec)}
        skipped = (step for step in self._journal.steps.of(self._id) if step.state is StepState.SKIPPED)
        return [f"{step.name} was left out: {step.message}" for step in skipped if step.name in delivering]

    @contextmanager
    def _noting_a_push(self, run: Run) -> Generator[None]:
        """Notes a pushed commit that cannot run as a trouble of the agent, until the next push: nobody watches it."""
        try:
            yield
        except PodiumError as error:
            if run.trigger in ARRIVALS:
                from ..journal.agent import push_trouble

                words = f"commit {run.commit[:9]} cannot run: {error.message}"
                self._journal.agent.note(push_trouble(run.name, run.branch), words, lasting=True)
            raise

    def _told_to_end(self) -> bool:
        return self._signals.told


def _require_own(home: Path) -> None:
    """Raises Refused in a copy of a project: its runs are the original's. Whoever starts a worker has checked that; a
    worker that is started by hand has not."""
    from ..identity.home import STATE, Standing, judge

    try:
        judgement = judge(home / STATE, tuple)
    except OSError:
        return  # there is no journal either, and opening that says so
    if judgement.standing is Standing.COPY:
        raise Refused(f"{home} is a copy of {judgement.original}", hint="podium adopt")


def serve(home: Path, run_id: int, project: Project | None) -> int:
    """Carries out a run in this process and returns the exit code. `project` None: it is read from podium.yaml."""
    signals = Signals()
    try:
        _require_own(home)
        with Journal.open(home / ".podium" / "journal.db", create=False, timeout=30.0) as journal:
            state = Worker(home, journal, run_id, signals).work(project)
    except PodiumError as error:
        # One line: it is what recovery quotes when the journal could not be written any more.
        tell(f"{error.message}. {error.hint}" if error.hint else error.message, sys.stderr)
        return error.exit_code
    return 0 if state is RunState.SUCCEEDED else 1


def main(arguments: Sequence[str]) -> int:
    return serve(Path(arguments[0]), int(arguments[1]), handover.unpack(Project))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
