"""Writes runs to the journal and starts their workers; and handles what a person asks of a run in progress: cancel,
resume, approve."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from .. import plugins
from ..domain.access.proof import Proof
from ..domain.project import Project
from ..domain.runs import PIPELINE, Agreement, Approval, Run, RunState, Step, StepState, Trigger
from ..errors import NotFound, PodiumError, Refused, RunFailed, UsageError
from ..identity.processes import alive, started_at
from ..journal import Journal
from . import paths
from .approvals import Approver
from .graph import build
from .orphans import end_orphans
from .plan import describe_steps, operation_step, written_params
from .recovery import recover
from .run.checkout import is_isolated, keep_commit
from .start import start_worker

DEFAULT_JOBS = 2


def submit_pipeline(
    project: Project,
    journal: Journal,
    name: str,
    *,
    params: Mapping[str, str] | None = None,
    jobs: int | None = None,
    trigger: Trigger = Trigger.PERSON,
    who: str,
    why: str = "",
    commit: str | None = None,
    branch: str = "",
    fresh: bool = False,
    verify: bool = False,
    alert: Mapping[str, str] | None = None,
    along: Callable[[Run], None] = lambda _: None,
) -> Run:
    """Writes a run of the pipeline and starts its worker. With `commit` it runs that commit in its own worktree,
    otherwise the working tree. `fresh` ignores the cache, `verify` reads every input again; `alert` is what
    `${{ alert.… }}` names; `along` is called in the transaction that writes the run, so that what it writes is there if
    and only if the run is. Raises NotFound for an unknown pipeline or commit, UsageError for an unknown parameter."""
    pipeline = project.pipelines.get(name)
    if pipeline is None and commit is None:
        raise NotFound(
            f"there is no pipeline {name!r}", hint=f"podium.yaml has: {', '.join(project.pipelines) or 'none'}"
        )
    if jobs is not None and jobs < 1:
        raise UsageError(f"a run needs at least one job, not {jobs}")
    given = dict(params or {})
    sha, workspace = "", project.home
    if commit is not None:
        sha, branch = _resolve(project, commit, branch)
    context = {"alert": alert} if alert is not None else {}
    steps = build(pipeline, given, context) if pipeline is not None and commit is None else ()
    written = written_params(pipeline, given, project.secrets) if pipeline is not None and commit is None else given
    with journal.transaction():
        run = journal.runs.create(
            kind=PIPELINE,
            name=name,
            trigger=trigger,
            who=who,
            why=why,
            commit=sha,
            branch=branch,
            params=written,
            jobs=jobs or DEFAULT_JOBS,
            workspace=str(workspace),
        )
        if commit is not None:
            run = replace(run, workspace=str(paths.worktree(project.state, run.id)))
            journal.runs.set_workspace(run.id, run.workspace)
        journal.steps.add(run.id, describe_steps(run.id, steps, project.secrets))
        journal.audit.add(who, "run", f"run {run.id} of {name}", why)
        along(run)
    return _launch(project, journal, run, fresh=fresh, verify=verify)


def submit_operation(
    project: Project,
    journal: Journal,
    kind: str,
    target: str,
    *,
    params: Mapping[str, str] | None = None,
    who: str,
    why: str = "",
    trigger: Trigger = Trigger.PERSON,
) -> Run:
    """Writes the run of an operation and starts its worker. The run has one step: the built-in step named `kind`.

    `target` is what the operation is about, an environment or anything else; the step checks that it exists. Raises
    UsageError if no built-in step has that name.
    """
    if not plugins.known("steps", kind):
        raise UsageError(
            f"{kind!r} is not an operation: there is no built-in step of that name",
            hint=f"name one of: {', '.join(plugins.names('steps'))}",
        )
    with journal.transaction():
        run = journal.runs.create(
            kind=kind,
            name=target,
            trigger=trigger,
            who=who,
            why=why,
            params=dict(params or {}),
            jobs=1,
            workspace=str(project.home),
        )
        journal.steps.add(run.id, describe_steps(run.id, (operation_step(run, project),), project.secrets))
        journal.audit.add(who, kind, f"{target} (run {run.id})", why)
    return _launch(project, journal, run)


def resume(project: Project, journal: Journal, run_id: int, who: str, *, agreements: Iterable[Agreement] = ()) -> Run:
    """Continues after the last finished step; `agreements` are kept if it does. Raises Refused if the run is still
    running or has succeeded."""
    recover(journal)
    if journal.runs.get(run_id).state.finished:
        end_orphans(project.home, run_id, grace=5.0)
    with journal.transaction():
        run = journal.runs.get(run_id)
        if refusal := run.why_not_resume():
            succeeded = f"start a new one: podium run {run.name}"
            running = f"`podium logs -f {run_id}` follows it, `podium cancel {run_id}` ends it"
            raise Refused(refusal, hint=succeeded if run.state.finished else running)
        for agreement in agreements:
            journal.agreements.keep(agreement)
        for step in journal.steps.of(run_id):
            if not stays(project, run, step):
                fields = {
                    "state": StepState.PENDING,
                    "started": None,
                    "ended": None,
                    "message": "",
                    "exit_code": None,
                    "attempt": 0,
                }
                journal.steps.update(run_id, step.name, **fields)
        journal.runs.clear_cancel(run_id)
        journal.runs.set_worker(run_id, None, None)
        journal.runs.heartbeat(run_id)
        journal.runs.set_state(run_id, RunState.QUEUED)
        journal.audit.add(who, "resume", f"run {run_id}")
    return _launch(project, journal, journal.runs.get(run_id))


def stays(project: Project, run: Run, step: Step) -> bool:
    """Tells whether a resumed run leaves the step as it is. A command that worked in a worktree which is gone is done
    again, or restored from the cache: what it wrote is what later steps read."""
    if step.state is StepState.SUCCEEDED:
        return not (step.command and _worktree_is_gone(project, run))
    pipeline = project.pipelines.get(run.name) if not run.is_operation else None
    spec = pipeline.steps.get(step.name.split("[")[0]) if pipeline else None
    return step.state is StepState.FAILED and spec is not None and spec.allow_failure


def _worktree_is_gone(project: Project, run: Run) -> bool:
    tree = paths.worktree(project.state, run.id)
    isolated = not run.is_operation and bool(run.workspace) and Path(run.workspace).is_relative_to(tree)
    return isolated and not (tree.exists() and paths.checked_out_marker(project.state, run.id).exists())


def cancel(journal: Journal, run_id: int, who: str, why: str = "") -> None:
    """Asks the run's worker to stop; it does so at once, and gives steps time to end. An interrupted run is given
    up. Raises Refused if the run has finished."""
    recover(journal)
    with journal.transaction():
        run = journal.runs.get(run_id)
        if run.state is RunState.INTERRUPTED:
            _give_up(journal, run, who, why)
            return
        if refusal := run.why_not_cancel():
            raise Refused(refusal)
        journal.runs.request_cancel(run_id, who, why)
        journal.audit.add(who, "cancel", f"run {run_id}", why)
    _signal(run, signal.SIGTERM)


def _give_up(journal: Journal, run: Run, who: str, why: str) -> None:
    for step in journal.steps.of(run.id):
        if step.state in (StepState.INTERRUPTED, StepState.PENDING):
            journal.steps.update(run.id, step.name, state=StepState.CANCELLED)
    journal.runs.set_state(run.id, RunState.CANCELLED, message=f"cancelled by {who}" + (f": {why}" if why else ""))
    journal.audit.add(who, "cancel", f"run {run.id}", why)


def approve(
    journal: Journal,
    run_id: int,
    step: str | None,
    *,
    who: str,
    why: str = "",
    approver: Approver | None = None,
    agreements: Iterable[Agreement] = (),
) -> Approval:
    """Notes an approval of a waiting step, which continues once it has all that it needs; `step` may be omitted if only
    one is waiting. `agreements` are kept with the approval; earlier approvals that agreed to something else are taken
    back. Raises Refused if it is not waiting."""
    approver = approver or Approver.here()
    recover(journal)
    with journal.transaction():
        run = journal.runs.get(run_id)
        name = chosen_step(journal, run, step)
        for agreement in agreements:
            before = journal.agreements.get(run_id, agreement.step)
            if before is not None and not before.same(agreement):
                journal.runs.withdraw_approvals(run_id, agreement.step)
            journal.agreements.keep(agreement)
        proof = approver.proof
        approval = journal.runs.approve(run_id, name, who, why, account=approver.account, proof=proof)
        words = f"as {approver.account}, proved by the Git host" if proof is Proof.HOST else ""
        journal.audit.add(who, "approve", f"run {run_id} {name}", "; ".join(filter(None, (why, words))))
    _signal(run, signal.SIGUSR1)
    return approval


def chosen_step(journal: Journal, run: Run, step: str | None) -> str:
    """Returns the name of the step that waits, which may be left out where only one does. Refused where it does not."""
    hint = f"podium resume {run.id}" if run.state is RunState.INTERRUPTED else ""
    if step is not None:
        if refusal := journal.steps.get(run.id, step).why_not_approve():
            raise Refused(refusal, hint=hint)
        return step
    waiting = [each.name for each in journal.steps.of(run.id) if each.state is StepState.WAITING]
    if not waiting:
        raise Refused(run.why_not_approve() or f"no step of run {run.id} is waiting for approval", hint=hint)
    if len(waiting) > 1:
        raise UsageError(
            f"{len(waiting)} steps of run {run.id} wait for approval", hint=f"name one: {', '.join(waiting)}"
        )
    return waiting[0]


def _signal(run: Run, number: signal.Signals) -> None:
    if run.worker_pid is not None and alive(run.worker_pid, run.worker_started):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(run.worker_pid, number)


def _resolve(project: Project, commit: str, branch: str) -> tuple[str, str]:
    """Returns the commit's hash, and its branch: the local one that the commit is named by, else the one that releases
    come from, where the commit is on it. To be called like that one is not enough: it may have commits of its own."""
    from ..scm import Repository
    from ..scm.refs import release_tip

    repository = Repository.open(project.home)
    sha = repository.resolve(commit).sha
    tip = None if branch else release_tip(repository, project.git)
    if not branch and commit != project.git.branch and repository.branch_tip(commit) == sha:
        return sha, commit
    return sha, project.git.branch if tip is not None and repository.contains(tip, sha) else branch


def _launch(project: Project, journal: Journal, run: Run, *, fresh: bool = False, verify: bool = False) -> Run:
    """Starts the run's worker. If that is not possible, the run fails with the reason."""
    try:
        paths.prepare_directory(project.state, run.id)
        if fresh:
            paths.fresh_marker(project.state, run.id).touch(mode=0o600)
        if verify:
            paths.verify_marker(project.state, run.id).touch(mode=0o600)
        if run.commit and is_isolated(run, project.home):
            keep_commit(project.home, run)
        pid = start_worker(project, journal, run.id)
    except OSError as error:
        message = f"its worker cannot be started: {error.strerror or error}: {error.filename or ''}".rstrip(": ")
        with suppress(PodiumError):
            journal.runs.set_state(run.id, RunState.FAILED, message=message)
        raise RunFailed(f"run {run.id}: {message}", hint="is the disk full, or .podium/ not writable?") from error
    # Said here and not only by the worker itself: one that dies before it can say anything is found out at once.
    journal.runs.offer_worker(run.id, pid, started_at(pid))
    return run


def start_again(project: Project, journal: Journal, run: Run, who: str) -> None:
    """Starts the worker of a run that never got one, because whoever wrote the run was killed. If it got one at the
    last moment, the second to come finds the run claimed and ends."""
    if run.state is RunState.INTERRUPTED:
        resume(project, journal, run.id, who)
    else:
        _launch(project, journal, run)
