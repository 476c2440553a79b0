"""GitLab, as `GitHost`: what is not CI. The calls are those of its REST API, version 4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ....domain.hosts import (
    CommitStatus,
    HostAccount,
    HostComment,
    HostDeployment,
    HostFeature,
    HostPullRequest,
    StatusState,
)
from ....domain.project import Project
from ....domain.watching import Finding
from ....errors import NotFound, Refused
from ..answers import AnswerStore
from ..base import below, short
from ..reading import MAX_TAGS, address, as_document, at, body, exact, line, moment, number, sha, tags_with
from .ci import GitLabCi
from .opening import opened
from .rights import NEEDS_API, NEEDS_READ, NEEDS_RELEASE, examined

# GitLab knows no error beside failure.
_TOLD = {
    StatusState.PENDING: "pending",
    StatusState.SUCCESS: "success",
    StatusState.FAILURE: "failed",
    StatusState.ERROR: "failed",
}
_READ = {"success": StatusState.SUCCESS, "failed": StatusState.FAILURE, "canceled": StatusState.ERROR}
MAX_REMEMBERED = 1000
_DEPLOYING = {**_TOLD, StatusState.PENDING: "running"}


class GitLabHost(GitLabCi):
    """Talks to one project on GitLab."""

    kind = "gitlab"
    unable: ClassVar[Mapping[HostFeature, str]] = {
        HostFeature.CHECK_RUNS: "GitLab has no check runs: the commit status and the comment say what there is to say",
    }

    def __init__(self, project: Project, *, store: AnswerStore | None = None) -> None:
        place, transport = opened(project, store)
        super().__init__(place, transport)
        self._branch = project.git.branch
        self._projects: dict[str, str] = {}
        self._made: dict[str, str] = {}
        """Key -> deployment, of the last ones."""

    def account(self) -> HostAccount:
        found = as_document(self.http.get("/user", "the token's account"))
        return HostAccount(exact(found, "username"), exact(found, "id"))

    def examine(self) -> Sequence[Finding]:
        return examined(self)

    # -- branches and pull requests
    # ----------------------------------------------------------------------------------------------------------------

    def tips(self, branches: Sequence[str]) -> Mapping[str, str]:
        return {branch: tip for branch in branches if (tip := self._tip(branch))}

    def _tip(self, branch: str) -> str:
        """Returns the newest commit of a branch; empty if there is none. NotFound if there is no project."""
        path, what = f"{self.project}/repository/branches{below(branch)}", f"the branch {branch} of {self.name}"
        try:
            return sha(as_document(self.http.get(path, what, needs=NEEDS_READ)), "commit", "id")
        except NotFound:
            self.http.get(self.project, f"the project {self.name}", needs=NEEDS_READ)
            return ""

    def tags(self) -> Mapping[str, str]:
        path, order = f"{self.project}/repository/tags", {"order_by": "updated", "sort": "desc"}
        found = self.http.pages(path, f"the tags of {self.name}", needs=NEEDS_READ, limit=MAX_TAGS, params=order)
        return {exact(each, "name"): sha(each, "commit", "id") for each in found}

    def matching_tags(self, beginning: str) -> Mapping[str, str] | None:
        path, what = f"{self.project}/repository/tags", f"the tags of {self.name}"
        chosen = {"search": f"^{beginning}"} if beginning else {}
        found = self.http.pages(path, what, needs=NEEDS_READ, limit=MAX_TAGS + 1, params=chosen)
        return tags_with(beginning, {exact(each, "name"): sha(each, "target") for each in found})

    def pull_requests(self) -> Sequence[HostPullRequest]:
        order = {"state": "opened", "order_by": "updated_at", "sort": "desc"}
        what = f"the merge requests of {self.name}"
        found = self.http.pages(f"{self.project}/merge_requests", what, needs=NEEDS_READ, params=order)
        return [self._merge_request(each) for each in found]

    def _merge_request(self, found: dict[str, Any]) -> HostPullRequest:
        source, target = exact(found, "source_project_id"), exact(found, "target_project_id")
        return HostPullRequest(
            number=number(found, "iid"),
            title=line(found, "title"),
            author=exact(found, "author", "username"),
            sha=sha(found, "sha"),
            branch=exact(found, "source_branch"),
            base=exact(found, "target_branch"),
            # Without a source it is that of a fork that is gone.
            fork="" if source and source == target else self._project_path(source),
            draft=at(found, "draft") is True,
            url=address(found, "web_url"),
            updated=moment(found, "updated_at"),
        )

    def _project_path(self, number: str) -> str:
        """Returns the path of a project by its number; a fork may be one that the token cannot see."""
        if not number:
            return "(deleted)"
        if number not in self._projects:
            try:
                found = as_document(self.http.get(f"/projects{below(number)}", f"the fork {number}", needs=NEEDS_READ))
                self._projects[number] = exact(found, "path_with_namespace") or f"project {number}"
            except (NotFound, Refused):
                self._projects[number] = f"project {number}"
        return self._projects[number]

    def file(self, path: str, ref: str) -> bytes:
        place = f"{self.project}/repository/files{below(path.strip('/'))}/raw"
        return self.http.content(place, f"{path} at {ref}", needs=NEEDS_READ, params={"ref": ref or "HEAD"})

    # -- what is told back
    # ----------------------------------------------------------------------------------------------------------------

    def statuses(self, sha: str) -> Sequence[CommitStatus]:
        path, what = f"{self.project}/repository/commits{below(sha)}/statuses", f"the statuses of {sha[:9]}"
        return [_status(each) for each in self.http.pages(path, what, needs=NEEDS_READ)]

    def set_status(self, sha: str, status: CommitStatus) -> None:
        told = {
            "state": _TOLD[status.state],
            "name": status.context,
            "description": short(status.description),
            "target_url": status.url or None,
        }
        path, what = f"{self.project}/statuses{below(sha)}", f"the status {status.context} of {sha[:9]}"
        try:
            self.http.send("POST", path, what, told, needs=NEEDS_API, repeat=True)
        except Refused as error:
            # GitLab refuses a state that the status has already: it was told before.
            if "Cannot transition" not in error.message or not self._has(sha, status):
                raise

    def shown(self, state: StatusState) -> StatusState:
        return _READ.get(_TOLD[state], StatusState.PENDING)

    def _has(self, sha: str, status: CommitStatus) -> bool:
        state = self.shown(status.state)
        return any(each.context == status.context and each.state is state for each in self.statuses(sha))

    def deployments(self, environment: str = "") -> Sequence[HostDeployment]:
        return [_deployment(each) for each in self._deployments(environment)]

    def _deployments(self, environment: str) -> list[dict[str, Any]]:
        path, what = f"{self.project}/deployments", f"the deployments of {self.name}"
        chosen = {"environment": environment, "order_by": "id", "sort": "desc"}
        return self.http.pages(path, what, needs=NEEDS_READ, limit=30, params=chosen)

    def create_deployment(self, environment: str, sha: str, *, description: str = "", key: str = "") -> str:
        """Makes a deployment that runs. GitLab has no field for a key. With one, what was made before in this process
        is remembered; else it is the newest deployment of the environment, if it is of this commit and has not failed.
        """
        made = self._made.get(key, "") or (self._newest(environment, sha) if key else "")
        return self._remembered(key, made or self._new_deployment(environment, sha))

    def _newest(self, environment: str, sha: str) -> str:
        found = self._deployments(environment)
        newest = found[0] if found else dict[str, Any]()
        same = exact(newest, "sha") == sha and exact(newest, "status") in ("created", "running", "success")
        return exact(newest, "id") if same else ""

    def _remembered(self, key: str, deployment: str) -> str:
        if key:
            self._made[key] = deployment
            while len(self._made) > MAX_REMEMBERED:
                del self._made[next(iter(self._made))]
        return deployment

    def _new_deployment(self, environment: str, sha: str) -> str:
        wanted = {"environment": environment, "sha": sha, "ref": self._branch, "tag": False, "status": "running"}
        what = f"a deployment to {environment}"
        found = self.http.send("POST", f"{self.project}/deployments", what, wanted, needs=NEEDS_API)
        return exact(found, "id")

    def set_deployment(self, deployment: str, state: StatusState, *, url: str = "", description: str = "") -> None:
        path, what = f"{self.project}/deployments{below(deployment)}", f"the state of deployment {deployment}"
        found = as_document(self.http.get(path, what, needs=NEEDS_API))
        status = exact(found, "status")
        # What has succeeded once does not run again at GitLab.
        if status != _DEPLOYING[state] and (status, state) != ("success", StatusState.PENDING):
            self.http.send("PUT", path, what, {"status": _DEPLOYING[state]}, needs=NEEDS_API, repeat=True)
        number = exact(found, "environment", "id")
        if url and number and exact(found, "environment", "external_url") != url:
            place, name = f"{self.project}/environments{below(number)}", exact(found, "environment", "name")
            self.http.send("PUT", place, f"the address of {name}", {"external_url": url}, needs=NEEDS_API, repeat=True)

    def _notes(self, number: int) -> str:
        return f"{self.project}/merge_requests/{number:d}/notes"

    def comments(self, number: int) -> Sequence[HostComment]:
        order, what = {"sort": "asc", "order_by": "created_at"}, f"the comments on merge request {number}"
        found = self.http.pages(self._notes(number), what, needs=NEEDS_READ, limit=1000, params=order)
        people = [each for each in found if at(each, "system") is not True]
        return [
            HostComment(exact(each, "id"), body(each, "body"), exact(each, "author", "username")) for each in people
        ]

    def create_comment(self, number: int, body: str) -> str:
        what = f"a comment on merge request {number}"
        return exact(self.http.send("POST", self._notes(number), what, {"body": body}, needs=NEEDS_API), "id")

    def update_comment(self, number: int, comment: str, body: str) -> None:
        path, what = f"{self._notes(number)}{below(comment)}", f"the comment {comment}"
        self.http.send("PUT", path, what, {"body": body}, needs=NEEDS_API, repeat=True)

    def create_release(self, tag: str, name: str, notes: str) -> str:
        path, what = f"{self.project}/releases", f"the release {tag}"
        try:
            found = as_document(self.http.get(f"{path}{below(tag)}", what, needs=NEEDS_READ))
        except NotFound:
            wanted = {"tag_name": tag, "name": name, "description": notes}
            found = self.http.send("POST", path, what, wanted, needs=NEEDS_RELEASE)
        return address(found, "_links", "self") or f"{self.url}/-/releases{below(tag)}"

    def set_check_run(self, sha: str, name: str, status: CommitStatus, summary: str) -> None:
        self.need(HostFeature.CHECK_RUNS)


def _status(found: dict[str, Any]) -> CommitStatus:
    state = _READ.get(exact(found, "status"), StatusState.PENDING)
    return CommitStatus(exact(found, "name"), state, line(found, "description"), address(found, "target_url"))


def _deployment(found: dict[str, Any]) -> HostDeployment:
    return HostDeployment(
        exact(found, "id"),
        exact(found, "environment", "name"),
        sha(found, "sha"),
        _READ.get(exact(found, "status"), StatusState.PENDING),
        address(found, "environment", "external_url"),
        moment(found, "created_at"),
    )
