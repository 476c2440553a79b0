"""Gitea and Forgejo, as `GitHost`. The calls are those of Gitea's REST API, version 1; what an older Gitea or a Forgejo
has not got is found out when it is asked for the first time, and is then in `missing`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ....domain.hosts import (
    CiApproval,
    CiJob,
    CiLog,
    CiRun,
    CommitStatus,
    HostAccount,
    HostComment,
    HostDeployment,
    HostFeature,
    HostPullRequest,
    StatusState,
    Workflow,
)
from ....domain.project import Project
from ....domain.watching import Finding
from ....errors import NotFound, UsageError
from ....http_client import Credentials
from ..answers import AnswerStore
from ..base import HostBase, Place, below, in_repo, short
from ..github.ci import actions_job, actions_run
from ..github.dispatch import inputs_of
from ..github.host import commit_status, pull_request
from ..reading import MAX_TAGS, address, as_document, body, exact, line, log_piece, sha, tags_of
from ..tokens import TokenProof, host_setting
from ..transport import Dialect, HostTransport
from ..trust import trust_of
from .rights import NEEDS_ISSUES, NEEDS_ISSUES_READ, NEEDS_READ, NEEDS_USER, NEEDS_WRITE, SETTING, examined

DIALECT = Dialect({}, ("limit", 50), SETTING)
LOG_INTERVAL = 3.0


class GiteaHost(HostBase):
    """Talks to one repository on Gitea or Forgejo."""

    kind = "gitea"
    unable: ClassVar[Mapping[HostFeature, str]] = {
        HostFeature.RERUN_FAILED: "Gitea's API has no call that runs a CI run again: its page has the button",
        HostFeature.CANCEL: "Gitea's API has no call that cancels a CI run: its page has the button",
        HostFeature.APPROVE: "Gitea has no environments that wait for an approval",
        HostFeature.DEPLOYMENTS: "Gitea has no deployments: the commit status says what serves",
        HostFeature.CHECK_RUNS: "Gitea has no check runs: the commit status and the comment say what there is to say",
    }

    def __init__(self, project: Project, *, store: AnswerStore | None = None) -> None:
        host = host_setting(project)
        if not host.url:
            raise UsageError("git.host names no url", hint="Gitea and Forgejo have no one address: add url:")
        web = host.url.rstrip("/")
        api = f"{web}/api/v1"
        proof = TokenProof(host, web, project.home, lambda token: Credentials.token(api, token))
        place = Place(web, host.repo)
        trust = trust_of(web, project.home)
        http = HostTransport(api, host=place.host, dialect=DIALECT, proof=proof, store=store, trust=trust)
        super().__init__(place, http)

    @property
    def repository(self) -> str:
        return f"/repos{in_repo(self.place.repo)}"

    def _of(self, repo: str) -> str:
        return f"/repos{in_repo(repo)}" if repo else self.repository

    def account(self) -> HostAccount:
        found = as_document(self.http.get("/user", "the token's account", needs=NEEDS_USER))
        return HostAccount(exact(found, "login"), exact(found, "id"))

    def examine(self) -> Sequence[Finding]:
        return examined(self)

    # -- branches and pull requests
    # ----------------------------------------------------------------------------------------------------------------

    def tips(self, branches: Sequence[str]) -> Mapping[str, str]:
        return {branch: tip for branch in branches if (tip := self._tip(branch))}

    def _tip(self, branch: str) -> str:
        """Returns the newest commit of a branch; empty if there is none. NotFound if there is no repository."""
        path = f"{self.repository}/branches{below(*branch.split('/'))}"
        try:
            return sha(as_document(self.http.get(path, f"the branch {branch}", needs=NEEDS_READ)), "commit", "id")
        except NotFound:
            self.http.get(self.repository, f"the repository {self.name}", needs=NEEDS_READ)
            return ""

    def tags(self) -> Mapping[str, str]:
        found = self.http.pages(f"{self.repository}/tags", f"the tags of {self.name}", needs=NEEDS_READ, limit=MAX_TAGS)
        return {exact(each, "name"): sha(each, "commit", "sha") for each in found}

    def matching_tags(self, beginning: str) -> Mapping[str, str] | None:
        path = f"{self.repository}/git/refs/tags{below(*filter(None, beginning.split('/')))}"
        try:
            found = self.http.pages(path, f"the tags of {self.name}", needs=NEEDS_READ, limit=MAX_TAGS + 1)
        except NotFound:  # none that begins so
            return {}
        return tags_of(found, beginning)

    def pull_requests(self) -> Sequence[HostPullRequest]:
        order = {"state": "open", "sort": "recentupdate"}
        what = f"the pull requests of {self.name}"
        found = self.http.pages(f"{self.repository}/pulls", what, needs=NEEDS_READ, params=order)
        return [pull_request(each, self.place.repo) for each in found]

    def file(self, path: str, ref: str) -> bytes:
        place = f"{self.repository}/raw{below(*path.strip('/').split('/'))}"
        return self.http.content(place, f"{path} at {ref}", needs=NEEDS_READ, params={"ref": ref})

    # -- CI
    # ----------------------------------------------------------------------------------------------------------------

    def ci_runs(self, *, limit: int = 30, sha: str = "", branch: str = "") -> Sequence[CiRun]:
        self.need(HostFeature.CI)
        path, what = f"{self.repository}/actions/runs", f"the CI runs of {self.name}"
        chosen = {"head_sha": sha, "branch": branch}
        try:
            found = self.http.pages(path, what, key="workflow_runs", needs=NEEDS_READ, limit=limit, params=chosen)
        except NotFound:
            # Of a repository that is there: the host is too old, or Actions are off.
            self.http.get(self.repository, f"the repository {self.name}", needs=NEEDS_READ)
            why = f"{self.place.host} does not list CI runs: it is older than Gitea 1.25, or Actions are off here"
            self.learn(HostFeature.CI, why)
            self.need(HostFeature.CI)
            raise
        return [actions_run(each, self.place.repo) for each in found]

    def ci_run(self, run: str, repo: str = "") -> CiRun:
        found = self.http.get(f"{self._of(repo)}/actions/runs{below(run)}", f"the CI run {run}", needs=NEEDS_READ)
        return actions_run(as_document(found), repo or self.place.repo)

    def ci_jobs(self, run: str, repo: str = "") -> Sequence[CiJob]:
        path, what = f"{self._of(repo)}/actions/runs{below(run)}/jobs", f"the jobs of CI run {run}"
        return [actions_job(each) for each in self.http.pages(path, what, key="jobs", needs=NEEDS_READ, limit=1000)]

    def ci_log(self, job: str, *, offset: int = 0, repo: str = "") -> CiLog:
        """Returns the log from a byte on, while the job runs, too."""
        path, what = f"{self._of(repo)}/actions/jobs{below(job)}", f"the log of job {job}"
        state = actions_job(as_document(self.http.get(path, what, needs=NEEDS_READ))).state
        try:
            piece = log_piece(self.http.piece(f"{path}/logs", what, offset=offset, needs=NEEDS_READ), offset)
        except NotFound:
            gone = "the host has no log of this job any more"
            note = gone if state.finished else f"the job is {state.value}: it has no log yet"
            return CiLog("", offset, state.finished, note, 0.0 if state.finished else LOG_INTERVAL)
        return CiLog(piece.text, piece.next, state.finished, "", 0.0 if state.finished else LOG_INTERVAL)

    def ci_rerun(self, run: str, *, failed: bool = True, repo: str = "") -> None:
        self.need(HostFeature.RERUN_FAILED)

    def ci_cancel(self, run: str, repo: str = "") -> None:
        self.need(HostFeature.CANCEL)

    def ci_approvals(self, run: str, repo: str = "") -> Sequence[CiApproval]:
        return ()

    def ci_approve(self, approval: CiApproval, *, why: str) -> None:
        self.need(HostFeature.APPROVE)

    def workflows(self) -> Sequence[Workflow]:
        """Returns those that can be started by hand, as their files on the default branch say."""
        path, what = f"{self.repository}/actions/workflows", f"the workflows of {self.name}"
        found = self.http.pages(path, what, key="workflows", needs=NEEDS_READ)
        return [workflow for each in found if (workflow := self._workflow(each)) is not None]

    def _workflow(self, found: dict[str, Any]) -> Workflow | None:
        path = exact(found, "path")
        try:
            inputs = inputs_of(self.file(path, ""))
        except NotFound:
            return None
        return None if inputs is None else Workflow(exact(found, "id"), line(found, "name") or path, path, inputs)

    def ci_start(self, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
        path, what = f"{self.repository}/actions/workflows{below(workflow)}/dispatches", f"the start of {workflow}"
        self.http.send("POST", path, what, {"ref": ref, "inputs": dict(inputs)}, needs=NEEDS_WRITE)

    # -- what is told back
    # ----------------------------------------------------------------------------------------------------------------

    def statuses(self, sha: str) -> Sequence[CommitStatus]:
        path, what = f"{self.repository}/commits{below(sha)}/status", f"the statuses of {sha[:9]}"
        found = self.http.pages(path, what, key="statuses", needs=NEEDS_READ)
        return [commit_status(each, "status") for each in found]

    def set_status(self, sha: str, status: CommitStatus) -> None:
        told = {
            "context": status.context,
            "state": status.state.value,
            "description": short(status.description),
            "target_url": status.url,
        }
        path, what = f"{self.repository}/statuses{below(sha)}", f"the status {status.context} of {sha[:9]}"
        self.http.send("POST", path, what, told, needs=NEEDS_WRITE, repeat=True)

    def deployments(self, environment: str = "") -> Sequence[HostDeployment]:
        return ()

    def create_deployment(self, environment: str, sha: str, *, description: str = "", key: str = "") -> str:
        self.need(HostFeature.DEPLOYMENTS)
        return ""

    def set_deployment(self, deployment: str, state: StatusState, *, url: str = "", description: str = "") -> None:
        self.need(HostFeature.DEPLOYMENTS)

    def comments(self, number: int) -> Sequence[HostComment]:
        path, what = f"{self.repository}/issues/{number:d}/comments", f"the comments on pull request {number}"
        found = self.http.pages(path, what, needs=NEEDS_ISSUES_READ, limit=1000)
        return [HostComment(exact(each, "id"), body(each, "body"), exact(each, "user", "login")) for each in found]

    def create_comment(self, number: int, body: str) -> str:
        path, what = f"{self.repository}/issues/{number:d}/comments", f"a comment on pull request {number}"
        return exact(self.http.send("POST", path, what, {"body": body}, needs=NEEDS_ISSUES), "id")

    def update_comment(self, number: int, comment: str, body: str) -> None:
        path, what = f"{self.repository}/issues/comments{below(comment)}", f"the comment {comment}"
        self.http.send("PATCH", path, what, {"body": body}, needs=NEEDS_ISSUES, repeat=True)

    def create_release(self, tag: str, name: str, notes: str) -> str:
        path, what = f"{self.repository}/releases", f"the release {tag}"
        try:
            found = as_document(self.http.get(f"{path}/tags{below(tag)}", what, needs=NEEDS_READ))
        except NotFound:
            wanted = {"tag_name": tag, "name": name, "body": notes}
            found = self.http.send("POST", path, what, wanted, needs=NEEDS_WRITE)
        return address(found, "html_url")

    def set_check_run(self, sha: str, name: str, status: CommitStatus, summary: str) -> None:
        self.need(HostFeature.CHECK_RUNS)
