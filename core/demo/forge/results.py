"""What is told about a commit: statuses, check runs, deployments, releases."""

from __future__ import annotations

from typing import Any

from .model import CheckRun, Deployment, DeploymentMark, Mark, Release, Repo, User
from .state import Event, State, bounded

MAX_MARKS = 1000  # of one commit


def add_mark(
    state: State,
    repo: Repo,
    by: User,
    sha: str,
    context: str,
    word: str,
    *,
    description: str = "",
    url: str = "",
    ref: str = "",
) -> Mark:
    """Adds a commit status, the newest of its context."""
    with state.lock:
        now = state.now()
        mark = Mark(state.new_id(), sha, context, word, description, url, by, now, now, ref)
        marks = repo.marks.setdefault(sha, [])
        marks.append(mark)
        del marks[:-MAX_MARKS]
        while len(repo.marks) > 20_000:
            del repo.marks[next(iter(repo.marks))]
        state.emit(Event("mark", repo, "created", mark, by))
        return mark


def change_mark(state: State, repo: Repo, by: User, mark: Mark, word: str, *, description: str, url: str) -> None:
    """Gives a commit status that has not ended another state (GitLab)."""
    with state.lock:
        mark.state, mark.description, mark.url, mark.updated = word, description, url, state.now()
        state.emit(Event("mark", repo, "updated", mark, by))


def newest_marks(repo: Repo, sha: str) -> list[Mark]:
    """Returns the newest status of each context, the newest first."""
    newest: dict[str, Mark] = {}
    for mark in reversed(repo.marks.get(sha, [])):
        newest.setdefault(mark.context, mark)
    return list(newest.values())


def add_check(state: State, repo: Repo, by: User, sha: str, name: str, fields: dict[str, Any]) -> CheckRun:
    with state.lock:
        check = CheckRun(state.new_id(), sha, name, fields, state.now())
        repo.checks[check.id] = check
        bounded(repo.checks)
        state.emit(Event("check", repo, "created", check, by))
        return check


def add_deployment(
    state: State, repo: Repo, by: User, environment: str, sha: str, ref: str, /, **fields: Any
) -> Deployment:
    with state.lock:
        now = state.now()
        place = state.environment(repo, environment)
        deployment = Deployment(state.new_id(), repo.next_deployment, place, sha, ref, by, now, now, **fields)
        repo.next_deployment += 1
        repo.deployments[deployment.id] = deployment
        bounded(repo.deployments)
        state.emit(Event("deployment", repo, "created", deployment, by))
        return deployment


def mark_deployment(
    state: State,
    repo: Repo,
    by: User,
    deployment: Deployment,
    word: str,
    *,
    description: str = "",
    url: str = "",
    log_url: str = "",
) -> DeploymentMark:
    """Adds a status to a deployment."""
    with state.lock:
        mark = DeploymentMark(state.new_id(), word, description, url, log_url, by, state.now())
        deployment.marks.append(mark)
        del deployment.marks[:-MAX_MARKS]
        deployment.state, deployment.updated = word, mark.created
        if url:
            deployment.environment.url = url
        state.emit(Event("deployment_mark", repo, "created", deployment, by, {"mark": mark}))
        return mark


def deactivate_earlier(state: State, repo: Repo, by: User, deployment: Deployment) -> None:
    """Marks the earlier successful deployments of an environment as inactive, as GitHub does unless production is
    meant."""
    for earlier in list(repo.deployments.values()):
        same = earlier.environment is deployment.environment and earlier is not deployment
        if same and not earlier.transient and not earlier.production and earlier.state == "success":
            mark_deployment(state, repo, by, earlier, "inactive")


def add_release(
    state: State, repo: Repo, by: User, tag: str, name: str, body: str, target: str, **fields: Any
) -> Release:
    """Adds a release; its tag is made at `target` if there is none."""
    with state.lock:
        if not fields.get("draft") and tag not in repo.bare.tags():
            repo.bare.set_ref(f"refs/tags/{tag}", repo.bare.resolve(target or repo.default_branch))
        release = Release(
            state.new_id(), tag, name, body, by, state.now(), target=target or repo.default_branch, **fields
        )
        repo.releases[release.id] = release
        bounded(repo.releases)
        state.emit(Event("release", repo, "published", release, by))
        state.notice_pushes(repo, by)
        return release
