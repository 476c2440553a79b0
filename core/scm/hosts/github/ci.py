"""GitHub Actions: runs, jobs, logs, approvals, and starting a workflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ....domain.hosts import CiApproval, CiJob, CiLog, CiRun, CiState, CiStep, HostFeature, Workflow
from ....errors import NotFound, UsageError
from ..base import HostBase, below, in_repo
from ..reading import (
    action_state,
    address,
    as_document,
    at,
    exact,
    line,
    log_piece,
    moment,
    number,
    objects,
    sha,
)
from .dispatch import inputs_of
from .rights import NEEDS_ACTIONS, NEEDS_ACTIONS_READ, NEEDS_DEPLOYMENTS

# A job's end is worth asking for that often.
LOG_INTERVAL = 10.0
MAX_WORKFLOWS = 50


class GitHubCi(HostBase):
    """Asks for the CI of one repository."""

    app = ""
    """The number of the GitHub App that asks; empty for a person's token."""

    @property
    def repository(self) -> str:
        return f"/repos{in_repo(self.place.repo)}"

    def _of(self, repo: str) -> str:
        return f"/repos{in_repo(repo)}" if repo else self.repository

    def ci_runs(self, *, limit: int = 30, sha: str = "", branch: str = "") -> Sequence[CiRun]:
        path, what = f"{self.repository}/actions/runs", f"the CI runs of {self.name}"
        chosen = {"head_sha": sha, "branch": branch}
        found = self.http.pages(path, what, key="workflow_runs", needs=NEEDS_ACTIONS_READ, limit=limit, params=chosen)
        return [actions_run(each, self.place.repo) for each in found]

    def ci_run(self, run: str, repo: str = "") -> CiRun:
        path, what = f"{self._of(repo)}/actions/runs{below(run)}", f"the CI run {run}"
        found = as_document(self.http.get(path, what, needs=NEEDS_ACTIONS_READ))
        return actions_run(found, repo or self.place.repo)

    def ci_jobs(self, run: str, repo: str = "") -> Sequence[CiJob]:
        path, what = f"{self._of(repo)}/actions/runs{below(run)}/jobs", f"the jobs of CI run {run}"
        found = self.http.pages(
            path, what, key="jobs", needs=NEEDS_ACTIONS_READ, limit=1000, params={"filter": "latest"}
        )
        return [actions_job(each) for each in found]

    def ci_log(self, job: str, *, offset: int = 0, repo: str = "") -> CiLog:
        path, what = f"{self._of(repo)}/actions/jobs{below(job)}", f"the log of job {job}"
        found = actions_job(as_document(self.http.get(path, what, needs=NEEDS_ACTIONS_READ)))
        if not found.state.finished:
            note = f"{self.missing[HostFeature.LIVE_LOGS]}; this one is {found.state.value}"
            return CiLog("", offset, False, note, LOG_INTERVAL)
        try:
            answer = self.http.piece(f"{path}/logs", what, offset=offset, needs=NEEDS_ACTIONS_READ)
        except NotFound as error:
            return CiLog("", offset, True, f"GitHub has no log of this job: it is too old, or was deleted ({error})")
        piece = log_piece(answer, offset)
        return CiLog(piece.text, piece.next, True)

    def ci_rerun(self, run: str, *, failed: bool = True, repo: str = "") -> None:
        # A person's token may not ask for a check run again (`rerequest`): the whole run's call does it.
        verb = "rerun-failed-jobs" if failed else "rerun"
        path = f"{self._of(repo)}/actions/runs{below(run)}/{verb}"
        self.http.send("POST", path, f"a re-run of CI run {run}", needs=NEEDS_ACTIONS)

    def ci_cancel(self, run: str, repo: str = "") -> None:
        path = f"{self._of(repo)}/actions/runs{below(run)}/cancel"
        self.http.send("POST", path, f"the cancelling of CI run {run}", needs=NEEDS_ACTIONS)

    def ci_approvals(self, run: str, repo: str = "") -> Sequence[CiApproval]:
        path = f"{self._of(repo)}/actions/runs{below(run)}/pending_deployments"
        found = self.http.get(path, f"the approvals of CI run {run}", needs=NEEDS_ACTIONS_READ)
        return [_approval(each, run, repo) for each in objects({"all": found}, "all")]

    def ci_approve(self, approval: CiApproval, *, why: str) -> None:
        if not approval.id.isdecimal():
            raise UsageError(f"{approval.id!r} is not the number of an environment", hint="take one of those that wait")
        path = f"{self._of(approval.repo)}/actions/runs{below(approval.run)}/pending_deployments"
        wanted = {"environment_ids": [int(approval.id)], "state": "approved", "comment": why}
        what = f"the approval of {approval.environment} for CI run {approval.run}"
        self.http.send("POST", path, what, wanted, needs=NEEDS_DEPLOYMENTS)

    def workflows(self) -> Sequence[Workflow]:
        """Returns those that can be started by hand, as their files on the default branch say."""
        path, what = f"{self.repository}/actions/workflows", f"the workflows of {self.name}"
        found = self.http.pages(path, what, key="workflows", needs=NEEDS_ACTIONS_READ, limit=MAX_WORKFLOWS)
        active = [each for each in found if exact(each, "state") in ("", "active")]
        return [workflow for each in active if (workflow := self._workflow(each)) is not None]

    def _workflow(self, found: dict[str, Any]) -> Workflow | None:
        path = exact(found, "path")
        try:
            inputs = inputs_of(self.file(path, ""))
        except NotFound:  # it runs from another branch, or is GitHub's own
            return None
        if inputs is None:
            return None
        return Workflow(exact(found, "id"), line(found, "name") or path, path, inputs)

    def ci_start(self, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
        path, what = f"{self.repository}/actions/workflows{below(workflow)}/dispatches", f"the start of {workflow}"
        self.http.send("POST", path, what, {"ref": ref, "inputs": dict(inputs)}, needs=NEEDS_ACTIONS)

    def file(self, path: str, ref: str) -> bytes:
        raise NotImplementedError


def actions_run(found: dict[str, Any], repo: str) -> CiRun:
    """Reads a run of GitHub Actions or Gitea Actions."""
    return CiRun(
        id=exact(found, "id"),
        repo=exact(found, "repository", "full_name") or repo,
        name=line(found, "name") or line({"name": exact(found, "path").partition("@")[0]}, "name"),
        state=action_state(found),
        branch=exact(found, "head_branch"),
        sha=sha(found, "head_sha"),
        event=exact(found, "event"),
        title=line(found, "display_title"),
        actor=exact(found, "triggering_actor", "login") or exact(found, "actor", "login"),
        number=number(found, "run_number"),
        attempt=max(1, number(found, "run_attempt")),
        created=moment(found, "created_at") or moment(found, "started_at"),
        updated=moment(found, "updated_at") or moment(found, "completed_at"),
        url=address(found, "html_url"),
    )


def actions_job(found: dict[str, Any]) -> CiJob:
    """Reads a job of GitHub Actions or Gitea Actions."""
    state = action_state(found)
    conclusion = exact(found, "conclusion").replace("_", " ")
    telling = conclusion if state is CiState.FAILED and conclusion != "failure" else ""
    return CiJob(
        id=exact(found, "id"),
        run=exact(found, "run_id"),
        name=line(found, "name"),
        state=state,
        started=moment(found, "started_at"),
        ended=moment(found, "completed_at"),
        url=address(found, "html_url"),
        reason=telling,
        steps=tuple(_step(each) for each in objects(found, "steps")),
    )


def _step(found: dict[str, Any]) -> CiStep:
    return CiStep(
        number(found, "number"),
        line(found, "name"),
        action_state(found),
        moment(found, "started_at"),
        moment(found, "completed_at"),
    )


def _approval(found: dict[str, Any], run: str, repo: str) -> CiApproval:
    may = at(found, "current_user_can_approve") is True
    who = [exact(each, "reviewer", "login") or exact(each, "reviewer", "name") for each in objects(found, "reviewers")]
    why = f"it wants the approval of {', '.join(filter(None, who)) or 'somebody else'}"
    environment = exact(found, "environment", "name")
    return CiApproval(exact(found, "environment", "id"), run, environment, may, "" if may else why, repo)
