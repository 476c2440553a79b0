"""CI runs: started, finished, re-run and cancelled, by a test or through the API."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...domain.hosts import CiState
from .approvals import ask_for_approval, settle_approval
from .model import Approval, CiWorkflow, Job, Repo, Run, Step, User
from .state import Event, State, bounded

_MAX_LOG = 8 << 20  # bytes of a job
_UNFINISHED = (CiState.QUEUED, CiState.RUNNING, CiState.WAITING)
JobSpec = str | Mapping[str, Any]


class Ci:
    """`forge.ci`. A job is given by its name, or by its fields: `{"name": "deploy", "stage": "deploy", "steps":
    ["checkout", "run"], "environment": "production", "manual": True}`."""

    def __init__(self, state: State, actor: Callable[[], User]) -> None:
        self._state = state
        self._actor = actor

    # -- what a test does

    def start(
        self,
        repo: str | Repo,
        *,
        sha: str = "",
        branch: str = "",
        jobs: Sequence[JobSpec] = ("test",),
        name: str = "CI",
        event: str = "push",
        state: CiState | str = CiState.RUNNING,
        by: User | None = None,
        inputs: Mapping[str, str] | None = None,
        parent: Job | None = None,
    ) -> Run:
        """Starts a run at a commit, by default the newest one of the branch; its jobs are in `state`."""
        found = self._state.repo(repo)
        with self._state.lock:
            branch = branch or found.default_branch
            sha = found.bare.resolve(sha or branch)
            run = self._new_run(found, self.workflow(found, name), sha, branch, event, by or self._actor())
            run.inputs, run.parent = dict(inputs or {}), parent
            for spec in jobs:
                self._add_job(run, {"name": spec} if isinstance(spec, str) else dict(spec), CiState(state))
            if parent is not None:
                parent.child = run
            self._told(run, "requested")
            self._settle(run)
            return run

    def workflow(self, repo: str | Repo, name: str, path: str = "", inputs: Sequence[str] = ()) -> CiWorkflow:
        """Returns a workflow, which is made if there is none."""
        found = self._state.repo(repo)
        with self._state.lock:
            for workflow in found.workflows:
                if workflow.name == name:
                    return workflow
            path = path or f"{name.lower().replace(' ', '-')}.yml"
            workflow = CiWorkflow(self._state.new_id(), name, path, self._state.now(), inputs=tuple(inputs))
            found.workflows.append(workflow)
            return workflow

    def add_job(self, run: Run, spec: JobSpec, state: CiState | str = CiState.RUNNING) -> Job:
        with self._state.lock:
            job = self._add_job(run, {"name": spec} if isinstance(spec, str) else dict(spec), CiState(state))
            self._settle(run)
            return job

    def child(self, run: Run, repo: str | Repo, *, name: str = "child", **fields: Any) -> Run:
        """Starts a child pipeline by a bridge of that name, in the same repository or another one (GitLab)."""
        with self._state.lock:
            bridge = self._add_job(run, {"name": name, "bridge": True}, CiState.RUNNING)
            return self.start(
                repo,
                event="pipeline" if self._state.repo(repo) is not run.repo else "parent_pipeline",
                parent=bridge,
                **fields,
            )

    def begin(self, job: Job) -> None:
        """Lets a job that is queued run."""
        self._move(job, CiState.RUNNING)

    def append_log(self, job: Job, text: str | bytes) -> None:
        """Adds to a job's log, of which 8 MiB are kept."""
        with self._state.lock:
            job.log += (text.encode() if isinstance(text, str) else text)[: _MAX_LOG - len(job.log)]

    def finish(self, what: Run | Job, state: CiState | str = CiState.SUCCEEDED, reason: str = "") -> None:
        """Ends a job, or all jobs of a run that have not ended."""
        with self._state.lock:
            jobs = [what] if isinstance(what, Job) else [job for job in current(what) if job.state in _UNFINISHED]
            for job in jobs:
                job.reason = reason or ("script_failure" if state == "failed" else "")
                self._move(job, CiState(state))
            if isinstance(what, Run) and not jobs:
                self._set_run(what, CiState(state))

    def wait_for_approval(self, what: Run | Job, environment: str, reviewers: Sequence[str] = ()) -> Approval:
        """Makes a run, or one job of it, wait until somebody approves an environment."""
        with self._state.lock:
            job = what if isinstance(what, Job) else next(job for job in current(what) if job.state in _UNFINISHED)
            approval = ask_for_approval(self._state, job, environment, tuple(reviewers))
            self._move(job, CiState.WAITING)
            return approval

    # -- what the API does

    def approve(self, run: Run, approval: Approval, by: User, approved: bool, comment: str = "") -> None:
        with self._state.lock:
            for job in settle_approval(self._state, run, approval, by, approved, comment):
                if not approved:
                    job.reason = "deployment_rejected"
                self._move(job, CiState.QUEUED if approved else CiState.FAILED)

    def rerun(self, run: Run, *, failed: bool, by: User) -> list[Job]:
        """Puts new jobs in the place of those that failed (of all), and returns them. None when nothing failed."""
        with self._state.lock:
            again = [job for job in current(run) if not failed or job.state in (CiState.FAILED, CiState.CANCELLED)]
            if again:
                run.attempt += 1
                run.actor = run.actor if failed else by
                return [self._again(job) for job in again]
            return []

    def retry(self, job: Job) -> Job:
        """Puts a new job in the place of one (GitLab)."""
        with self._state.lock:
            return self._again(job)

    def cancel(self, run: Run) -> None:
        with self._state.lock:
            self.finish(run, CiState.CANCELLED)

    def cancel_job(self, job: Job) -> None:
        self._move(job, CiState.CANCELLED)

    def play(self, job: Job) -> None:
        """Starts a job that waits for somebody (GitLab)."""
        with self._state.lock:
            job.manual = False
            self._move(job, CiState.QUEUED)

    def hold(self, job: Job) -> None:
        """Makes a job wait until somebody starts it by hand (GitLab)."""
        with self._state.lock:
            job.manual = True
            self._settle(job.run)

    def find_job(self, repo: Repo, number: int) -> Job | None:
        for run in repo.runs.values():
            for job in run.jobs:
                if job.id == number:
                    return job
        return None

    # -- the pieces

    def _new_run(self, repo: Repo, workflow: CiWorkflow, sha: str, branch: str, event: str, by: User) -> Run:
        now = self._state.now()
        commit = repo.bare.commit(sha)
        title = commit.title if commit else workflow.name
        run = Run(
            self._state.new_id(),
            repo.next_run,
            repo,
            workflow.name,
            workflow,
            sha,
            branch,
            event,
            title,
            by,
            created=now,
        )
        run.updated = run.started = now
        repo.next_run += 1
        repo.runs[run.id] = run
        bounded(repo.runs)
        return run

    def _add_job(self, run: Run, fields: dict[str, Any], state: CiState) -> Job:
        steps = fields.pop("steps", ())
        state = CiState(fields.pop("state", CiState.QUEUED if fields.get("manual") else state))
        job = Job(self._state.new_id(), run=run, attempt=run.attempt, created=self._state.now(), **fields)
        job.steps = [Step(number, name) for number, name in enumerate(steps, 1)]
        run.jobs.append(job)
        self._set_job(job, state)
        return job

    def _again(self, job: Job) -> Job:
        job.retried = True
        names = [step.name for step in job.steps]
        fields = {"name": job.name, "stage": job.stage, "environment": job.environment, "bridge": job.bridge}
        new = self._add_job(job.run, {**fields, "steps": names}, CiState.QUEUED)
        new.attempt = max(job.run.attempt, job.attempt + 1)
        self._settle(job.run)
        return new

    def _move(self, job: Job, state: CiState) -> None:
        with self._state.lock:
            self._set_job(job, state)
            self._settle(job.run)

    def _set_job(self, job: Job, state: CiState) -> None:
        now = self._state.now()
        job.state = state
        if state is CiState.RUNNING:
            job.started = job.started or now
        if state.finished:
            job.ended = now
        for step in job.steps:
            _set_step(step, state, now)
        self._state.emit(Event("job", job.run.repo, _action(state), job, job.run.actor))

    def _settle(self, run: Run) -> None:
        """Gives a run the state that its jobs make, and tells its bridge."""
        state = run_state([job for job in current(run) if not (job.manual and job.state is CiState.QUEUED)])
        if state is not run.state:
            self._set_run(run, state)

    def _set_run(self, run: Run, state: CiState) -> None:
        run.state, run.updated = state, self._state.now()
        run.ended = run.updated if state.finished else 0.0
        self._told(run, _action(state))
        if run.parent is not None and run.parent.state is not state:
            self._move(run.parent, state)

    def _told(self, run: Run, action: str) -> None:
        self._state.emit(Event("run", run.repo, action, run, run.actor))


def current(run: Run) -> list[Job]:
    """Returns the jobs of the newest attempt."""
    return [job for job in run.jobs if not job.retried]


def run_state(jobs: Sequence[Job]) -> CiState:
    """Returns what a run is when its jobs are so."""
    states = {job.state for job in jobs}
    for state in (CiState.WAITING, CiState.RUNNING):
        if state in states:
            return state
    if CiState.QUEUED in states or not states:
        return CiState.QUEUED if states <= {CiState.QUEUED} else CiState.RUNNING
    for state in (CiState.FAILED, CiState.CANCELLED, CiState.SUCCEEDED):
        if state in states:
            return state
    return CiState.SKIPPED


def _set_step(step: Step, state: CiState, now: float) -> None:
    if step.state.finished:
        return
    step.state = state
    if state is CiState.RUNNING or state.finished:
        step.started = step.started or now
    if state.finished:
        step.ended = now


def _action(state: CiState) -> str:
    words = {CiState.QUEUED: "requested", CiState.RUNNING: "in_progress", CiState.WAITING: "waiting"}
    return words.get(state, "completed")
