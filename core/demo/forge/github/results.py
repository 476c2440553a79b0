"""GitHub: commit statuses, check runs, deployments, releases."""

from __future__ import annotations

from typing import Any

from .. import results
from ..bare import SHA
from ..dialect import Call, Services
from ..exchange import Answer, ApiError, Page, each
from ..model import STATUS_STATES, CheckRun, Deployment, DeploymentMark, Mark, Release, Repo
from ..routing import Route
from ..times import iso
from .render import Json, account, app, node, repository

_DEPLOYMENT_STATES = ("error", "failure", "inactive", "in_progress", "queued", "pending", "success")
_CONCLUSIONS = ("action_required", "cancelled", "failure", "neutral", "success", "skipped", "stale", "timed_out")
_MAX_SUMMARY = 65_535  # letters of a check run


def _url(services: Services, repo: Repo) -> str:
    return f"{services.links.api}/repos/{repo.full_name}"


def _required(resource: str, name: str) -> ApiError:
    return ApiError(422, errors=[{"resource": resource, "code": "missing_field", "field": name}])


# -- commit statuses


def status(services: Services, repo: Repo, mark: Mark) -> Json:
    return {
        "url": f"{_url(services, repo)}/statuses/{mark.sha}",
        "id": mark.id,
        "node_id": node("StatusContext", mark.id),
        "state": mark.state,
        "description": mark.description or None,
        "target_url": mark.url or None,
        "context": mark.context,
        "created_at": iso(mark.created),
        "updated_at": iso(mark.updated),
        "creator": account(services.links, mark.by),
        "avatar_url": account(services.links, mark.by)["avatar_url"],
    }


def create_status(call: Call) -> Answer:
    sha, fields = call.args["sha"], call.fields
    if fields.get("state") not in STATUS_STATES:
        raise ApiError(
            422,
            errors=[
                {
                    "resource": "Status",
                    "code": "custom",
                    "field": "state",
                    "message": "state is not included in the list",
                }
            ],
        )
    if not SHA.fullmatch(sha) or call.repo.bare.commit(sha) is None:
        raise ApiError(422, f"No commit found for SHA: {sha}")
    context, description = call.text("context", "default"), call.text("description")
    if len(description) > 140:
        said = "description is too long (maximum is 140 characters)"
        raise ApiError(422, errors=[{"resource": "Status", "code": "custom", "field": "description", "message": said}])
    url = call.text("target_url")
    if url and not url.startswith(("http://", "https://")):
        said = "target_url must use http(s) scheme"
        raise ApiError(422, errors=[{"resource": "Status", "code": "custom", "field": "target_url", "message": said}])
    if sum(mark.context == context for mark in call.repo.marks.get(sha, [])) >= results.MAX_MARKS:
        said = "This SHA and context has reached the maximum number of statuses."
        raise ApiError(422, errors=[{"resource": "Status", "code": "custom", "message": said}])
    mark = results.add_mark(
        call.state, call.repo, call.user, sha, context, fields["state"], description=description, url=url
    )
    return Answer(201, status(call.services, call.repo, mark))


def list_statuses(call: Call) -> Page:
    marks = call.repo.marks.get(call.commit_of(call.args["ref"]), [])
    return Page(list(reversed(marks)), each(lambda mark: status(call.services, call.repo, mark)))


def combined(call: Call) -> Json:
    sha = call.commit_of(call.args["ref"])
    newest = results.newest_marks(call.repo, sha)
    url = f"{_url(call.services, call.repo)}/commits/{sha}"
    return {
        "state": combined_state([mark.state for mark in newest]),
        "statuses": [status(call.services, call.repo, mark) for mark in newest],
        "sha": sha,
        "total_count": len(newest),
        "repository": repository(call.services, call.repo),
        "commit_url": url,
        "url": f"{url}/status",
    }


def combined_state(states: list[str]) -> str:
    if any(state in ("error", "failure") for state in states):
        return "failure"
    return "success" if states and all(state == "success" for state in states) else "pending"


# -- check runs


def check(services: Services, repo: Repo, found: CheckRun) -> Json:
    fields = found.fields
    output: Json = fields.get("output") or {}
    url = _url(services, repo)
    return {
        "id": found.id,
        "node_id": node("CheckRun", found.id),
        "head_sha": found.sha,
        "name": found.name,
        "external_id": fields.get("external_id") or "",
        "url": f"{url}/check-runs/{found.id}",
        "html_url": f"{services.links.repo(repo.full_name)}/runs/{found.id}",
        "details_url": fields.get("details_url") or f"{services.links.repo(repo.full_name)}/runs/{found.id}",
        "status": fields.get("status") or "queued",
        "conclusion": fields.get("conclusion"),
        "started_at": fields.get("started_at") or iso(found.created),
        "completed_at": fields.get("completed_at"),
        "output": {
            "title": output.get("title"),
            "summary": output.get("summary"),
            "text": output.get("text"),
            "annotations_count": len(output.get("annotations") or ()),
            "annotations_url": f"{url}/check-runs/{found.id}/annotations",
        },
        "check_suite": {"id": found.id},
        "app": app(services.links, services.state.user(repo.owner), 1),
        "pull_requests": [],
    }


def _check_fields(call: Call, before: Json) -> Json:
    """Returns the fields of a check run after a call, or raises ApiError."""
    if call.token is None or not call.token.app:
        raise ApiError(403, "You must authenticate via a GitHub App.")
    fields = {**before, **call.fields}
    if fields.get("conclusion") is not None:
        if fields["conclusion"] not in _CONCLUSIONS:
            raise ApiError(422, "Invalid request.\n\nconclusion is not a member of the list")
        fields["status"] = "completed"
        fields.setdefault("completed_at", iso(call.state.now()))
    elif fields.get("status") == "completed":
        raise ApiError(422, 'Invalid request.\n\n"conclusion" wasn\'t supplied.')
    output = fields.get("output")
    if output is not None and not (output.get("title") and output.get("summary") is not None):
        raise ApiError(422, 'Invalid request.\n\n"title" and "summary" weren\'t supplied.')
    if output is not None and len(output["summary"]) > _MAX_SUMMARY:
        raise ApiError(422, f"Only {_MAX_SUMMARY} characters are allowed; {len(output['summary'])} were supplied.")
    return fields


def create_check(call: Call) -> Answer:
    fields = _check_fields(call, {})
    for name in ("name", "head_sha"):
        if not fields.get(name):
            raise ApiError(422, f'Invalid request.\n\n"{name}" wasn\'t supplied.')
    sha = str(fields["head_sha"])
    if call.repo.bare.commit(sha) is None:
        raise ApiError(422, f"No commit found for SHA: {sha}")
    found = results.add_check(call.state, call.repo, call.user, sha, str(fields["name"]), fields)
    return Answer(201, check(call.services, call.repo, found))


def update_check(call: Call) -> Json:
    found: CheckRun = call.one_of(call.repo.checks, "id")
    found.fields = _check_fields(call, found.fields)
    found.name = str(found.fields.get("name") or found.name)
    return check(call.services, call.repo, found)


def one_check(call: Call) -> Json:
    return check(call.services, call.repo, call.one_of(call.repo.checks, "id"))


def checks(call: Call) -> Page:
    sha = call.commit_of(call.args["ref"])
    name = call.query.get("check_name", "")
    found = [one for one in call.repo.checks.values() if one.sha == sha and name in ("", one.name)]
    return Page(found, each(lambda one: check(call.services, call.repo, one)), wrap="check_runs")


# -- deployments


def deployment(services: Services, repo: Repo, found: Deployment) -> Json:
    url = f"{_url(services, repo)}/deployments/{found.id}"
    return {
        "url": url,
        "id": found.id,
        "node_id": node("Deployment", found.id),
        "sha": found.sha,
        "ref": found.ref,
        "task": found.task,
        "payload": {} if found.payload is None else found.payload,
        "original_environment": found.environment.name,
        "environment": found.environment.name,
        "description": found.description or None,
        "creator": account(services.links, found.by),
        "created_at": iso(found.created),
        "updated_at": iso(found.updated),
        "statuses_url": f"{url}/statuses",
        "repository_url": _url(services, repo),
        "transient_environment": found.transient,
        "production_environment": found.production,
    }


def create_deployment(call: Call) -> Answer:
    ref, fields = call.text("ref"), call.fields
    if not ref:
        raise _required("Deployment", "ref")
    sha = call.repo.bare.resolve(ref)
    if not sha:
        raise ApiError(422, f"No ref found for: {ref}")
    _require_contexts(call, sha, ref, fields.get("required_contexts"))
    environment = call.text("environment", "production")
    found = results.add_deployment(
        call.state,
        call.repo,
        call.user,
        environment,
        sha,
        ref,
        task=call.text("task", "deploy"),
        description=call.text("description"),
        payload=fields.get("payload"),
        transient=bool(fields.get("transient_environment")),
        production=bool(fields.get("production_environment", environment == "production")),
    )
    return Answer(201, deployment(call.services, call.repo, found))


def _require_contexts(call: Call, sha: str, ref: str, required: Any) -> None:
    """Raises ApiError (409) unless the commit's statuses are good: all of them when none are named."""
    newest = {mark.context: mark.state for mark in results.newest_marks(call.repo, sha)}
    wanted = list(newest) if required is None else list(required)
    bad = [{"context": name, "state": newest.get(name, "pending")} for name in wanted if newest.get(name) != "success"]
    if bad:
        errors = [{"resource": "Deployment", "field": "required_contexts", "code": "invalid", "contexts": bad}]
        raise ApiError(409, f"Conflict: Commit status checks failed for {ref}.", errors=errors)


def deployments(call: Call) -> Page:
    query = call.query
    wanted = {"sha": query.get("sha"), "ref": query.get("ref"), "task": query.get("task")}
    found = [
        one
        for one in call.repo.deployments.values()
        if all(value is None or getattr(one, name) == value for name, value in wanted.items())
        and query.get("environment", one.environment.name) == one.environment.name
    ]
    return Page(found[::-1], each(lambda one: deployment(call.services, call.repo, one)))


def one_deployment(call: Call) -> Json:
    return deployment(call.services, call.repo, call.one_of(call.repo.deployments, "id"))


def deployment_status(services: Services, repo: Repo, found: Deployment, mark: DeploymentMark) -> Json:
    url = f"{_url(services, repo)}/deployments/{found.id}"
    return {
        "url": f"{url}/statuses/{mark.id}",
        "id": mark.id,
        "node_id": node("DeploymentStatus", mark.id),
        "state": mark.state,
        "creator": account(services.links, mark.by),
        "description": mark.description,
        "environment": found.environment.name,
        "target_url": mark.log_url,
        "log_url": mark.log_url,
        "environment_url": mark.url,
        "created_at": iso(mark.created),
        "updated_at": iso(mark.created),
        "deployment_url": url,
        "repository_url": _url(services, repo),
    }


def create_deployment_status(call: Call) -> Answer:
    found: Deployment = call.one_of(call.repo.deployments, "id")
    word = call.text("state")
    if word not in _DEPLOYMENT_STATES:
        raise ApiError(422, errors=[{"resource": "DeploymentStatus", "code": "invalid", "field": "state"}])
    if len(call.text("description")) > 140:
        raise ApiError(422, errors=[{"resource": "DeploymentStatus", "code": "invalid", "field": "description"}])
    links = {"url": call.text("environment_url"), "log_url": call.text("log_url") or call.text("target_url")}
    mark = results.mark_deployment(
        call.state, call.repo, call.user, found, word, description=call.text("description"), **links
    )
    if word == "success" and call.fields.get("auto_inactive") is not False:
        results.deactivate_earlier(call.state, call.repo, call.user, found)
    return Answer(201, deployment_status(call.services, call.repo, found, mark))


def deployment_statuses(call: Call) -> Page:
    found: Deployment = call.one_of(call.repo.deployments, "id")
    return Page(found.marks[::-1], each(lambda mark: deployment_status(call.services, call.repo, found, mark)))


def environments(call: Call) -> Page:
    return Page(
        list(call.repo.environments.values()),
        each(lambda one: environment(call.services, call.repo, one)),
        wrap="environments",
    )


def environment(services: Services, repo: Repo, found: Any) -> Json:
    rules: list[Json] = []
    if found.reviewers:
        people = [
            {"type": "User", "reviewer": account(services.links, services.state.user(login))}
            for login in found.reviewers
        ]
        rules = [{"id": found.id, "type": "required_reviewers", "prevent_self_review": False, "reviewers": people}]
    return {
        "id": found.id,
        "node_id": node("Environment", found.id),
        "name": found.name,
        "url": f"{_url(services, repo)}/environments/{found.name}",
        "html_url": f"{services.links.repo(repo.full_name)}/deployments/activity_log?environments_filter={found.name}",
        "created_at": iso(found.created),
        "updated_at": iso(found.created),
        "protection_rules": rules,
        "deployment_branch_policy": None,
    }


def one_environment(call: Call) -> Json:
    found = call.repo.environments.get(call.args["name"])
    if found is None:
        raise ApiError(404, "Not Found")
    return environment(call.services, call.repo, found)


# -- releases


def release(services: Services, repo: Repo, found: Release) -> Json:
    url, page = _url(services, repo), services.links.repo(repo.full_name)
    return {
        "url": f"{url}/releases/{found.id}",
        "assets_url": f"{url}/releases/{found.id}/assets",
        "upload_url": f"{url}/releases/{found.id}/assets{{?name,label}}",
        "html_url": f"{page}/releases/tag/{found.tag}",
        "id": found.id,
        "node_id": node("Release", found.id),
        "tag_name": found.tag,
        "target_commitish": found.target,
        "name": found.name or None,
        "body": found.body or None,
        "draft": found.draft,
        "prerelease": found.prerelease,
        "created_at": iso(found.created),
        "published_at": None if found.draft else iso(found.created),
        "author": account(services.links, found.author),
        "assets": [],
        "tarball_url": f"{url}/tarball/{found.tag}",
        "zipball_url": f"{url}/zipball/{found.tag}",
    }


def create_release(call: Call) -> Answer:
    tag, target = call.text("tag_name"), call.text("target_commitish")
    if not tag:
        raise _required("Release", "tag_name")
    if any(one.tag == tag and not one.draft for one in call.repo.releases.values()):
        raise ApiError(422, errors=[{"resource": "Release", "code": "already_exists", "field": "tag_name"}])
    if tag not in call.repo.bare.tags() and not call.repo.bare.resolve(target or call.repo.default_branch):
        raise ApiError(422, errors=[{"resource": "Release", "code": "invalid", "field": "target_commitish"}])
    more = {name: bool(call.fields.get(name)) for name in ("draft", "prerelease")}
    found = results.add_release(
        call.state, call.repo, call.user, tag, call.text("name"), call.text("body"), target, **more
    )
    return Answer(201, release(call.services, call.repo, found))


def releases(call: Call) -> Page:
    return Page(list(call.repo.releases.values())[::-1], each(lambda one: release(call.services, call.repo, one)))


def release_by_tag(call: Call) -> Json:
    tag = call.args["tag"]
    found = next((one for one in call.repo.releases.values() if one.tag == tag and not one.draft), None)
    if found is None:
        raise ApiError(404, "Not Found")
    return release(call.services, call.repo, found)


def one_release(call: Call) -> Json:
    return release(call.services, call.repo, call.one_of(call.repo.releases, "id"))


def update_release(call: Call) -> Json:
    found: Release = call.one_of(call.repo.releases, "id")
    found.name, found.body = call.text("name", found.name), call.text("body", found.body)
    found.draft = bool(call.fields.get("draft", found.draft))
    return release(call.services, call.repo, found)


_REPO = "/repos/{owner}/{repo}"
ROUTES = (
    Route("POST", f"{_REPO}/statuses/{{sha}}", create_status, "status"),
    Route("GET", f"{_REPO}/commits/{{ref*}}/statuses", list_statuses, "status"),
    Route("GET", f"{_REPO}/statuses/{{ref*}}", list_statuses, "status"),
    Route("GET", f"{_REPO}/commits/{{ref*}}/status", combined, "status"),
    Route("GET", f"{_REPO}/commits/{{ref*}}/check-runs", checks),
    Route("POST", f"{_REPO}/check-runs", create_check, "checks"),
    Route("GET", f"{_REPO}/check-runs/{{id}}", one_check),
    Route("PATCH", f"{_REPO}/check-runs/{{id}}", update_check, "checks"),
    Route("POST", f"{_REPO}/deployments", create_deployment, "deployment"),
    Route("GET", f"{_REPO}/deployments", deployments, "deployment"),
    Route("GET", f"{_REPO}/deployments/{{id}}", one_deployment, "deployment"),
    Route("POST", f"{_REPO}/deployments/{{id}}/statuses", create_deployment_status, "deployment"),
    Route("GET", f"{_REPO}/deployments/{{id}}/statuses", deployment_statuses, "deployment"),
    Route("GET", f"{_REPO}/environments", environments),
    Route("GET", f"{_REPO}/environments/{{name}}", one_environment),
    Route("POST", f"{_REPO}/releases", create_release),
    Route("GET", f"{_REPO}/releases", releases),
    Route("GET", f"{_REPO}/releases/tags/{{tag*}}", release_by_tag),
    Route("GET", f"{_REPO}/releases/{{id}}", one_release),
    Route("PATCH", f"{_REPO}/releases/{{id}}", update_release),
)
