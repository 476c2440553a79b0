"""GitLab CI: pipelines and the pipelines that they start, jobs, traces, approvals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ....domain.hosts import CiApproval, CiJob, CiLog, CiRun, CiState, Workflow
from ....errors import Refused
from ..base import HostBase, below
from ..reading import address, as_document, at, exact, line, log_piece, moment, number, sha
from .rights import NEEDS_API, NEEDS_READ

TRACE_INTERVAL = 3.0
_STATES = {
    "created": CiState.QUEUED,
    "waiting_for_resource": CiState.QUEUED,
    "waiting_for_callback": CiState.QUEUED,
    "preparing": CiState.QUEUED,
    "pending": CiState.QUEUED,
    "scheduled": CiState.QUEUED,
    "running": CiState.RUNNING,
    "canceling": CiState.RUNNING,
    "manual": CiState.WAITING,
    "blocked": CiState.WAITING,
    "success": CiState.SUCCEEDED,
    "failed": CiState.FAILED,
    "canceled": CiState.CANCELLED,
    "skipped": CiState.SKIPPED,
}
# What a project has one of: its file. It may start others by itself.
PIPELINE = "pipeline"


class GitLabCi(HostBase):
    """Asks for the CI of one project, and of those that it starts pipelines in."""

    @property
    def project(self) -> str:
        return f"/projects{below(self.place.repo)}"

    def _of(self, repo: str) -> str:
        """Returns the path of a project, by its path or its number."""
        return f"/projects{below(repo)}" if repo else self.project

    def ci_runs(self, *, limit: int = 30, sha: str = "", branch: str = "") -> Sequence[CiRun]:
        """Returns the newest pipelines. Those that another pipeline of the project started are its bridges' children,
        and not listed by themselves."""
        path, what = f"{self.project}/pipelines", f"the pipelines of {self.name}"
        chosen = {"sha": sha, "ref": branch, "order_by": "id", "sort": "desc"}
        found = self.http.pages(path, what, needs=NEEDS_READ, limit=limit, params=chosen)
        return [pipeline(each, self.place.repo) for each in found]

    def ci_run(self, run: str, repo: str = "") -> CiRun:
        path, what = f"{self._of(repo)}/pipelines{below(run)}", f"the pipeline {run}"
        return pipeline(as_document(self.http.get(path, what, needs=NEEDS_READ)), repo or self.place.repo)

    def ci_jobs(self, run: str, repo: str = "") -> Sequence[CiJob]:
        """Returns jobs and bridges in the order in which GitLab made them, which is that of their stages."""
        path = f"{self._of(repo)}/pipelines{below(run)}"
        jobs = self.http.pages(f"{path}/jobs", f"the jobs of pipeline {run}", needs=NEEDS_READ, limit=1000)
        bridges = self.http.pages(f"{path}/bridges", f"the bridges of pipeline {run}", needs=NEEDS_READ, limit=1000)
        found = sorted([*jobs, *bridges], key=lambda each: number(each, "id"))
        return [self._job(each, run, repo or self.place.repo) for each in found]

    def _job(self, found: dict[str, Any], run: str, repo: str) -> CiJob:
        downstream = at(found, "downstream_pipeline")
        child = None
        if isinstance(downstream, dict):
            child = pipeline(as_document(downstream), self._repo_of(as_document(downstream), repo), parent=run)
        state = _STATES.get(exact(found, "status"), CiState.QUEUED)
        return CiJob(
            id=exact(found, "id"),
            run=run,
            name=line(found, "name"),
            state=state,
            stage=line(found, "stage"),
            started=moment(found, "started_at"),
            ended=moment(found, "finished_at"),
            url=address(found, "web_url"),
            reason=_reason(found, state),
            child=child,
        )

    def _repo_of(self, downstream: dict[str, Any], own: str) -> str:
        """Returns the project that a pipeline runs in: by its page, else by its number."""
        page = address(downstream, "web_url").partition("/-/")[0]
        if page.startswith(f"{self.place.web}/"):
            return page.removeprefix(f"{self.place.web}/")
        return exact(downstream, "project_id") or own

    def ci_log(self, job: str, *, offset: int = 0, repo: str = "") -> CiLog:
        """Returns the trace from a byte on, while the job runs, too."""
        path, what = f"{self._of(repo)}/jobs{below(job)}", f"the log of job {job}"
        # First the state, then the trace: what ended before is whole.
        found = as_document(self.http.get(path, what, needs=NEEDS_READ))
        state = _STATES.get(exact(found, "status"), CiState.QUEUED)
        piece = log_piece(self.http.piece(f"{path}/trace", what, offset=offset, needs=NEEDS_READ), offset)
        if state.finished:
            return CiLog(piece.text, piece.next, True)
        note = "" if piece.next or state is CiState.RUNNING else f"the job is {state.value}: it has no log yet"
        return CiLog(piece.text, piece.next, False, note, TRACE_INTERVAL)

    def ci_rerun(self, run: str, *, failed: bool = True, repo: str = "") -> None:
        if not failed:
            hint = "re-run what failed, or start a new pipeline on the branch"
            raise Refused("GitLab runs only those jobs of a pipeline again that failed or were cancelled", hint=hint)
        path = f"{self._of(repo)}/pipelines{below(run)}/retry"
        self.http.send("POST", path, f"the retry of pipeline {run}", needs=NEEDS_API)

    def ci_cancel(self, run: str, repo: str = "") -> None:
        path = f"{self._of(repo)}/pipelines{below(run)}/cancel"
        self.http.send("POST", path, f"the cancelling of pipeline {run}", needs=NEEDS_API)

    def ci_approvals(self, run: str, repo: str = "") -> Sequence[CiApproval]:
        """Returns the deployments of a pipeline that a protected environment holds back."""
        path, what = f"{self._of(repo)}/deployments", f"the approvals of pipeline {run}"
        chosen = {"status": "blocked", "order_by": "id", "sort": "desc"}
        found = self.http.pages(path, what, needs=NEEDS_READ, params=chosen)
        mine = [each for each in found if exact(each, "deployable", "pipeline", "id") == run]
        return [CiApproval(exact(each, "id"), run, exact(each, "environment", "name"), repo=repo) for each in mine]

    def ci_approve(self, approval: CiApproval, *, why: str) -> None:
        path = f"{self._of(approval.repo)}/deployments{below(approval.id)}/approval"
        what = f"the approval of {approval.environment} for pipeline {approval.run}"
        needs = "scope api, and a place among the environment's approvers (GitLab Premium)"
        self.http.send("POST", path, what, {"status": "approved", "comment": why}, needs=needs)

    def workflows(self) -> Sequence[Workflow]:
        found = as_document(self.http.get(self.project, f"the project {self.name}", needs=NEEDS_READ))
        path = exact(found, "ci_config_path") or ".gitlab-ci.yml"
        return [Workflow(PIPELINE, f"pipeline of {line({'path': path}, 'path')}", path)]

    def ci_start(self, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
        """Starts a pipeline; `inputs` are its variables."""
        variables = [{"key": name, "value": value} for name, value in inputs.items()]
        wanted = {"ref": ref, "variables": variables}
        self.http.send("POST", f"{self.project}/pipeline", f"a pipeline on {ref}", wanted, needs=NEEDS_API)


def pipeline(found: dict[str, Any], repo: str, *, parent: str = "") -> CiRun:
    source = exact(found, "source")
    return CiRun(
        id=exact(found, "id"),
        repo=repo,
        name=line(found, "name") or source.replace("_", " ") or "pipeline",
        state=_STATES.get(exact(found, "status"), CiState.QUEUED),
        branch=exact(found, "ref"),
        sha=sha(found, "sha"),
        event=source,
        actor=exact(found, "user", "username"),
        number=number(found, "iid"),
        created=moment(found, "created_at"),
        updated=moment(found, "updated_at"),
        url=address(found, "web_url"),
        parent=parent,
    )


def _reason(found: dict[str, Any], state: CiState) -> str:
    if state is CiState.WAITING:
        return "waits for somebody to start it"
    reason = line(found, "failure_reason").replace("_", " ") if state is CiState.FAILED else ""
    if state is CiState.FAILED and at(found, "allow_failure") is True:
        return f"{reason or 'failed'} (its failure is allowed)"
    return reason
