"""GitHub, as `GitHost`: what is not CI. The calls are those of its REST API, version 2022-11-28."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
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
from ..reading import MAX_TAGS, address, as_document, at, body, exact, line, moment, number, sha, tags_of
from ..tokens import host_setting
from ..words import NotAllowed
from .app import AppProof
from .ci import GitHubCi
from .opening import opened
from .rights import NEEDS_CHECKS, NEEDS_CONTENTS, NEEDS_DEPLOYMENTS, NEEDS_PULLS, NEEDS_STATUSES, examined

_STATES = {each.value: each for each in StatusState}
# A deployment's own words: what is over was once a success, what is on its way is pending.
_DEPLOYED = {
    "success": StatusState.SUCCESS,
    "inactive": StatusState.SUCCESS,
    "failure": StatusState.FAILURE,
    "error": StatusState.ERROR,
}
_DEPLOYING = {StatusState.PENDING: "in_progress"}
_CONCLUSIONS = {StatusState.SUCCESS: "success", StatusState.FAILURE: "failure", StatusState.ERROR: "neutral"}
# What GitHub accepts as a check run's page.
MAX_SUMMARY = 65_000
# Who has deleted a fork leaves a pull request without a repository: it is a fork's all the same.
DELETED_FORK = "(deleted)"


class GitHubHost(GitHubCi):
    """Talks to one repository on GitHub."""

    kind = "github"
    unable: ClassVar[Mapping[HostFeature, str]] = {
        HostFeature.LIVE_LOGS: "GitHub shows a job's log only after the job has ended",
    }

    def __init__(self, project: Project, *, store: AnswerStore | None = None) -> None:
        place, transport, lacks = opened(project, store)
        super().__init__(place, transport, lacks)
        app = host_setting(project).app
        self.app = app.id if app is not None else ""

    def account(self) -> HostAccount:
        if isinstance(self.http.proof, AppProof):
            return HostAccount(self.http.proof.login(), self.app)
        found = as_document(self.http.get("/user", "the token's account"))
        return HostAccount(exact(found, "login"), exact(found, "id"))

    def examine(self) -> Sequence[Finding]:
        return examined(self)

    # -- branches and pull requests
    # ----------------------------------------------------------------------------------------------------------------

    def tips(self, branches: Sequence[str]) -> Mapping[str, str]:
        return {branch: tip for branch in branches if (tip := self._tip(branch))}

    def _tip(self, branch: str) -> str:
        """Returns the newest commit of a branch; empty if there is none. Asked by the beginning of its name, since
        the answer is then no error where the branch does not exist."""
        path = f"{self.repository}/git/matching-refs/heads/{below(*branch.split('/'))[1:]}"
        found = self._refs(path, f"the branch {branch} of {self.name}")
        wanted = f"refs/heads/{branch}"
        return next((sha(each, "object", "sha") for each in found if exact(each, "ref") == wanted), "")

    def _refs(self, path: str, what: str, limit: int = 100) -> list[dict[str, Any]]:
        try:
            return self.http.pages(path, what, needs=NEEDS_CONTENTS, limit=limit)
        except Refused as error:
            if "(409)" in error.message:  # an empty repository
                return []
            raise

    def matching_tags(self, beginning: str) -> Mapping[str, str] | None:
        path = f"{self.repository}/git/matching-refs/tags{below(*filter(None, beginning.split('/')))}"
        return tags_of(self._refs(path, f"the tags of {self.name}", MAX_TAGS + 1), beginning)

    def tags(self) -> Mapping[str, str]:
        found = self.http.pages(
            f"{self.repository}/tags", f"the tags of {self.name}", needs=NEEDS_CONTENTS, limit=MAX_TAGS
        )
        return {exact(each, "name"): sha(each, "commit", "sha") for each in found}

    def pull_requests(self) -> Sequence[HostPullRequest]:
        order = {"state": "open", "sort": "updated", "direction": "desc"}
        what = f"the pull requests of {self.name}"
        found = self.http.pages(f"{self.repository}/pulls", what, needs=NEEDS_PULLS, params=order)
        return [pull_request(each, self.place.repo) for each in found]

    def file(self, path: str, ref: str) -> bytes:
        accept = "application/vnd.github.raw+json"
        place = f"{self.repository}/contents{below(*path.strip('/').split('/'))}"
        return self.http.content(place, f"{path} at {ref}", needs=NEEDS_CONTENTS, accept=accept, params={"ref": ref})

    # -- what is told back
    # ----------------------------------------------------------------------------------------------------------------

    def statuses(self, sha: str) -> Sequence[CommitStatus]:
        path, what = f"{self.repository}/commits{below(sha)}/status", f"the statuses of {sha[:9]}"
        return [commit_status(each, "state") for each in self.http.pages(path, what, key="statuses")]

    def set_status(self, sha: str, status: CommitStatus) -> None:
        told = {
            "context": status.context,
            "state": status.state.value,
            "description": short(status.description),
            "target_url": status.url or None,
        }
        path, what = f"{self.repository}/statuses{below(sha)}", f"the status {status.context} of {sha[:9]}"
        self.http.send("POST", path, what, told, needs=NEEDS_STATUSES, repeat=True)

    def deployments(self, environment: str = "") -> Sequence[HostDeployment]:
        found = self._deployments(environment=environment)
        return [self._deployment(each) for each in found]

    def _deployments(self, *, limit: int = 20, **chosen: str) -> list[dict[str, Any]]:
        path, what = f"{self.repository}/deployments", f"the deployments of {self.name}"
        return self.http.pages(path, what, needs=NEEDS_DEPLOYMENTS, limit=limit, params=chosen)

    def _deployment(self, found: dict[str, Any]) -> HostDeployment:
        number = exact(found, "id")
        path = f"{self.repository}/deployments{below(number)}/statuses"
        states = self.http.pages(path, f"the state of deployment {number}", needs=NEEDS_DEPLOYMENTS, limit=1)
        state = states[0] if states else {}
        return HostDeployment(
            number,
            exact(found, "environment"),
            sha(found, "sha"),
            _DEPLOYED.get(exact(state, "state"), StatusState.PENDING),
            address(state, "environment_url"),
            moment(found, "created_at"),
        )

    def create_deployment(self, environment: str, sha: str, *, description: str = "", key: str = "") -> str:
        made = self._deployments(limit=100, environment=environment, sha=sha) if key else []
        for each in made:
            if _key(each) == key:
                return exact(each, "id")
        wanted: dict[str, Any] = {
            "ref": sha,
            "environment": environment,
            "description": short(description),
            "auto_merge": False,
            # Podium's own gates have judged it; the host's checks may include our own pending status.
            "required_contexts": [],
            "payload": {"podium": key},
        }
        what = f"a deployment to {environment}"
        found = self.http.send("POST", f"{self.repository}/deployments", what, wanted, needs=NEEDS_DEPLOYMENTS)
        if not exact(found, "id"):
            raise Refused(f"{self.place.host} made no deployment: {line(found, 'message')}", hint=f"open {self.url}")
        return exact(found, "id")

    def set_deployment(self, deployment: str, state: StatusState, *, url: str = "", description: str = "") -> None:
        told = {
            "state": _DEPLOYING.get(state, state.value),
            "environment_url": url or None,
            "description": short(description),
        }
        path = f"{self.repository}/deployments{below(deployment)}/statuses"
        what = f"the state of deployment {deployment}"
        self.http.send("POST", path, what, told, needs=NEEDS_DEPLOYMENTS, repeat=True)

    def comments(self, number: int) -> Sequence[HostComment]:
        path, what = f"{self.repository}/issues/{number:d}/comments", f"the comments on pull request {number}"
        found = self.http.pages(path, what, needs=NEEDS_PULLS, limit=1000)
        return [HostComment(exact(each, "id"), body(each, "body"), exact(each, "user", "login")) for each in found]

    def create_comment(self, number: int, body: str) -> str:
        path, what = f"{self.repository}/issues/{number:d}/comments", f"a comment on pull request {number}"
        return exact(self.http.send("POST", path, what, {"body": body}, needs=NEEDS_PULLS), "id")

    def update_comment(self, number: int, comment: str, body: str) -> None:
        path, what = f"{self.repository}/issues/comments{below(comment)}", f"the comment {comment}"
        self.http.send("PATCH", path, what, {"body": body}, needs=NEEDS_PULLS, repeat=True)

    def create_release(self, tag: str, name: str, notes: str) -> str:
        path, what = f"{self.repository}/releases", f"the release {tag}"
        try:
            found = as_document(self.http.get(f"{path}/tags{below(tag)}", what, needs=NEEDS_CONTENTS))
        except NotFound:
            wanted = {"tag_name": tag, "name": name, "body": notes}
            found = self.http.send("POST", path, what, wanted, needs=f"{NEEDS_CONTENTS}, write")
        return address(found, "html_url")

    def set_check_run(self, sha: str, name: str, status: CommitStatus, summary: str) -> None:
        self.need(HostFeature.CHECK_RUNS)
        told: dict[str, Any] = {
            "name": name,
            "details_url": status.url or None,
            "status": "in_progress" if status.state is StatusState.PENDING else "completed",
            "output": {"title": short(status.description) or name, "summary": short(summary, MAX_SUMMARY)},
        }
        if status.state in _CONCLUSIONS:
            told["conclusion"] = _CONCLUSIONS[status.state]
        path, what = f"{self.repository}/check-runs", f"the check run {name} of {sha[:9]}"
        with self._checking():
            known = next((exact(each, "id") for each in self._checks(sha) if exact(each, "name") == name), "")
            if known:
                self.http.send("PATCH", f"{path}{below(known)}", what, told, needs=NEEDS_CHECKS, repeat=True)
            else:
                self.http.send("POST", path, what, {**told, "head_sha": sha}, needs=NEEDS_CHECKS)

    def check_runs(self, sha: str) -> Sequence[CommitStatus]:
        self.need(HostFeature.CHECK_RUNS)
        with self._checking():
            found = self._checks(sha)
        return [CommitStatus(exact(each, "name"), _concluded(each), line(each, "output", "title")) for each in found]

    def _checks(self, sha: str) -> Sequence[dict[str, Any]]:
        """Returns the check runs that this App made; only its own may be changed."""
        path, what = f"{self.repository}/commits{below(sha)}/check-runs", f"the check runs of {sha[:9]}"
        return self.http.pages(path, what, key="check_runs", needs=NEEDS_CHECKS, params={"app_id": self.app})

    @contextmanager
    def _checking(self) -> Generator[None]:
        """Remembers that the App may make no check runs, where the host says so."""
        try:
            yield
        except NotAllowed as error:
            self.learn(HostFeature.CHECK_RUNS, error.message)
            raise


def _concluded(found: dict[str, Any]) -> StatusState:
    if exact(found, "status") != "completed":
        return StatusState.PENDING
    known = {word: state for state, word in _CONCLUSIONS.items()}
    return known.get(exact(found, "conclusion"), StatusState.ERROR)


def pull_request(found: dict[str, Any], own: str) -> HostPullRequest:
    """Reads a pull request of GitHub or Gitea. `own` is the repository that it is to be merged into."""
    source = exact(found, "head", "repo", "full_name") or DELETED_FORK
    return HostPullRequest(
        number=number(found, "number"),
        title=line(found, "title"),
        author=exact(found, "user", "login"),
        sha=sha(found, "head", "sha"),
        branch=exact(found, "head", "ref"),
        base=exact(found, "base", "ref"),
        fork="" if source.lower() == own.lower() else source,
        draft=at(found, "draft") is True,
        url=address(found, "html_url"),
        updated=moment(found, "updated_at"),
    )


def commit_status(found: dict[str, Any], key: str) -> CommitStatus:
    """Reads a commit status of GitHub or Gitea, whose state is below `key`."""
    state = _STATES.get(exact(found, key), StatusState.PENDING)
    return CommitStatus(exact(found, "context"), state, line(found, "description"), address(found, "target_url"))


def _key(deployment: dict[str, Any]) -> str:
    """Returns the key with which Podium made a deployment; the host may give the payload back as a text."""
    payload = at(deployment, "payload")
    if isinstance(payload, str):
        import json

        try:
            payload = json.loads(payload)
        except (ValueError, RecursionError):
            return ""
    return exact(as_document(payload), "podium")
