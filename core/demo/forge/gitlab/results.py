"""GitLab: commit statuses, deployments with their approvals, environments, releases."""

from __future__ import annotations

from functools import partial

from .. import results
from ..approvals import may_approve
from ..bare import SHA
from ..dialect import Call, Services
from ..exchange import Answer, ApiError, Page, each
from ..model import Deployment, Environment, Mark, Release, Repo
from ..routing import Route
from ..times import iso_milliseconds
from .code import Json, commit, found_commit, person, yes
from .pipelines import job

_STATES = ("pending", "running", "success", "failed", "canceled", "skipped")
_UNFINISHED = ("pending", "running")
_DEPLOYMENT_STATES = ("running", "success", "failed", "canceled")
# What a status that has not ended cannot become again, and the name of that transition.
_REFUSED = {("pending", "pending"): "enqueue", ("running", "pending"): "enqueue", ("running", "running"): "run"}


# -- commit statuses


def status(services: Services, mark: Mark) -> Json:
    return {
        "id": mark.id,
        "sha": mark.sha,
        "ref": mark.ref,
        "status": mark.state,
        "name": mark.context,
        "target_url": mark.url or None,
        "description": mark.description or None,
        "created_at": iso_milliseconds(mark.created),
        "started_at": iso_milliseconds(mark.created) if mark.state != "pending" else None,
        "finished_at": iso_milliseconds(mark.updated) if mark.state not in _UNFINISHED else None,
        "allow_failure": False,
        "coverage": None,
        "pipeline_id": 1,
        "author": person(services, mark.by),
    }


def create_status(call: Call) -> Answer:
    sha, word = call.args["sha"], call.text("state")
    if not word:
        raise ApiError(400, "state is missing")
    if word not in _STATES:
        raise ApiError(400, "state does not have a valid value")
    if not SHA.fullmatch(sha) or call.repo.bare.commit(sha) is None:
        raise ApiError(404, "404 Commit Not Found")
    if len(call.text("description")) > 255:
        raise ApiError(400, errors=[{"description": ["is too long (maximum is 255 characters)"]}])
    name = call.text("name") or call.text("context") or "default"
    ref = call.text("ref") or next((branch for branch, tip in call.repo.bare.branches().items() if tip == sha), "")
    said = {"description": call.text("description"), "url": call.text("target_url")}
    mark = _unfinished(call, sha, name, ref)
    if mark is None:
        mark = results.add_mark(call.state, call.repo, call.user, sha, name, word, ref=ref, **said)
    else:
        _refuse_again(mark, word)
        results.change_mark(call.state, call.repo, call.user, mark, word, **said)
    return Answer(201, status(call.services, mark))


def _unfinished(call: Call, sha: str, name: str, ref: str) -> Mark | None:
    """Returns the status that a call is about, if there is one that has not ended: that one is changed."""
    marks = results.newest_marks(call.repo, sha)
    return next((mark for mark in marks if (mark.context, mark.ref) == (name, ref) and mark.state in _UNFINISHED), None)


def _refuse_again(mark: Mark, word: str) -> None:
    """Raises ApiError (400) for a state that GitLab's states cannot come to from the one there is."""
    event = _REFUSED.get((mark.state, word))
    if event:
        reason = f'Status cannot transition via "{event}"'
        raise ApiError(400, f"Cannot transition status via :{event} from :{mark.state} (Reason(s): {reason})")


def statuses(call: Call) -> Page:
    sha = found_commit(call, call.args["sha"]).sha
    query, every = call.query, yes(call.query.get("all", ""))
    marks = call.repo.marks.get(sha, []) if every else results.newest_marks(call.repo, sha)[::-1]
    name = query.get("name", "")
    return Page([mark for mark in marks if name in ("", mark.context)], each(partial(status, call.services)))


# -- deployments


def deployment(services: Services, repo: Repo, found: Deployment) -> Json:
    document: Json = {
        "id": found.id,
        "iid": found.number,
        "ref": found.ref,
        "sha": found.sha,
        "status": found.state,
        "created_at": iso_milliseconds(found.created),
        "updated_at": iso_milliseconds(found.updated),
        "user": person(services, found.by),
        "environment": environment(services, found.environment),
        "deployable": job(services, found.job) if found.job else None,
        "pending_approval_count": 1 if found.approval and found.approval.state == "pending" else 0,
        "approvals": [],
    }
    if found.approval is not None and found.approval.state != "pending":
        document["approvals"] = [_approval(services, found)]
    return document


def _approval(services: Services, found: Deployment) -> Json:
    said = found.approval
    if said is None:
        return {}
    user = person(services, services.state.user(said.by))
    return {"user": user, "status": said.state, "created_at": iso_milliseconds(said.at), "comment": said.comment}


def deployments(call: Call) -> Page:
    query = call.query
    found = [
        one
        for one in call.repo.deployments.values()
        if query.get("environment", one.environment.name) == one.environment.name
        and query.get("status", one.state) == one.state
    ]
    if query.get("sort", "asc") == "desc":
        found.reverse()
    return Page(found, each(partial(deployment, call.services, call.repo)))


def one_deployment(call: Call) -> Json:
    return deployment(call.services, call.repo, call.one_of(call.repo.deployments, "id"))


def create_deployment(call: Call) -> Answer:
    for name in ("environment", "sha", "ref", "tag", "status"):
        if name not in call.fields:
            raise ApiError(400, f"{name} is missing")
    word, sha = call.text("status"), call.text("sha")
    if word not in _DEPLOYMENT_STATES:
        raise ApiError(400, "status does not have a valid value")
    if call.repo.bare.commit(sha) is None:
        raise ApiError(400, errors=[{"sha": ["The commit does not exist"]}])
    tag = str(call.fields["tag"]).lower() == "true"
    found = results.add_deployment(
        call.state, call.repo, call.user, call.text("environment"), sha, call.text("ref"), state=word, tag=tag
    )
    return Answer(201, deployment(call.services, call.repo, found))


def update_deployment(call: Call) -> Json:
    found: Deployment = call.one_of(call.repo.deployments, "id")
    word = call.text("status")
    if word not in _DEPLOYMENT_STATES:
        raise ApiError(400, "status does not have a valid value" if word else "status is missing")
    if found.job is not None:
        raise ApiError(403, "Forbidden")
    if found.state == word or found.state not in ("created", "running"):
        raise ApiError(400, errors=[{"status": [f'cannot transition via "{word}"']}])
    results.mark_deployment(call.state, call.repo, call.user, found, word)
    return deployment(call.services, call.repo, found)


def approve(call: Call) -> Answer:
    found: Deployment = call.one_of(call.repo.deployments, "id")
    word = call.text("status")
    if word not in ("approved", "rejected"):
        raise ApiError(400, "status does not have a valid value" if word else "status is missing")
    approval, waiting = found.approval, found.job
    if approval is None or waiting is None or approval.state != "pending":
        raise ApiError(400, "This deployment job is not waiting for approvals.")
    if not may_approve(approval, call.user.login):
        raise ApiError(
            400, "You don't have permission to review this deployment. Contact the project or group owner for help."
        )
    call.ci.approve(waiting.run, approval, call.user, word == "approved", call.text("comment"))
    if word == "approved" and not call.services.options.approved_jobs_start:
        call.ci.hold(waiting)
    return Answer(201, _approval(call.services, found))


# -- environments


def environment(services: Services, found: Environment) -> Json:
    return {
        "id": found.id,
        "name": found.name,
        "slug": found.name.replace("/", "-"),
        "external_url": found.url or None,
        "state": found.state,
        "tier": "production" if found.name == "production" else "other",
        "created_at": iso_milliseconds(found.created),
        "updated_at": iso_milliseconds(found.created),
    }


def environments(call: Call) -> Page:
    name, state = call.query.get("name", ""), call.query.get("states", "")
    found = [one for one in call.repo.environments.values() if name in ("", one.name) and state in ("", one.state)]
    return Page(found, each(partial(environment, call.services)))


def the_environment(call: Call) -> Environment:
    number = call.number("id")
    found = next((one for one in call.repo.environments.values() if one.id == number), None)
    if found is None:
        raise ApiError(404, "404 Environment Not Found")
    return found


def one_environment(call: Call) -> Json:
    found = the_environment(call)
    own = [one for one in call.repo.deployments.values() if one.environment is found]
    last = deployment(call.services, call.repo, own[-1]) if own else None
    return {**environment(call.services, found), "last_deployment": last}


def create_environment(call: Call) -> Answer:
    name = call.text("name")
    if not name:
        raise ApiError(400, "name is missing")
    if name in call.repo.environments:
        raise ApiError(400, errors=[{"name": ["has already been taken"]}])
    found = call.state.environment(call.repo, name)
    found.url = call.text("external_url")
    return Answer(201, environment(call.services, found))


def update_environment(call: Call) -> Json:
    found = the_environment(call)
    found.url = call.text("external_url", found.url)
    return environment(call.services, found)


def stop_environment(call: Call) -> Json:
    found = the_environment(call)
    found.state = "stopped"
    return environment(call.services, found)


# -- releases


def release(services: Services, repo: Repo, found: Release) -> Json:
    sha = repo.bare.resolve(found.tag)
    commits = repo.bare.commits([sha])
    page = services.links.repo(repo.full_name)
    return {
        "tag_name": found.tag,
        "name": found.name or found.tag,
        "description": found.body,
        "created_at": iso_milliseconds(found.created),
        "released_at": iso_milliseconds(found.created),
        "upcoming_release": False,
        "author": person(services, found.author),
        "commit": commit(services, repo, commits[0]) if commits else None,
        "assets": {"count": 0, "sources": [], "links": []},
        "_links": {"self": f"{page}/-/releases/{found.tag}"},
    }


def the_release(call: Call) -> Release:
    found = next((one for one in call.repo.releases.values() if one.tag == call.args["tag"]), None)
    if found is None:
        raise ApiError(404, "Not Found")
    return found


def releases(call: Call) -> Page:
    return Page(list(call.repo.releases.values())[::-1], each(partial(release, call.services, call.repo)))


def one_release(call: Call) -> Json:
    return release(call.services, call.repo, the_release(call))


def create_release(call: Call) -> Answer:
    tag, ref = call.text("tag_name"), call.text("ref")
    if not tag:
        raise ApiError(400, "tag_name is missing")
    if any(one.tag == tag for one in call.repo.releases.values()):
        raise ApiError(409, "Release already exists")
    if tag not in call.repo.bare.tags() and not call.repo.bare.resolve(ref or "?"):
        raise ApiError(422, "Ref is not specified" if not ref else f"Target {ref} is invalid")
    found = results.add_release(call.state, call.repo, call.user, tag, call.text("name"), call.text("description"), ref)
    return Answer(201, release(call.services, call.repo, found))


def update_release(call: Call) -> Json:
    found = the_release(call)
    found.name, found.body = call.text("name", found.name), call.text("description", found.body)
    return release(call.services, call.repo, found)


_PROJECT = "/projects/{project}"
ROUTES = (
    Route("POST", f"{_PROJECT}/statuses/{{sha}}", create_status, "status"),
    Route("GET", f"{_PROJECT}/repository/commits/{{sha}}/statuses", statuses),
    Route("GET", f"{_PROJECT}/deployments", deployments),
    Route("POST", f"{_PROJECT}/deployments", create_deployment),
    Route("GET", f"{_PROJECT}/deployments/{{id}}", one_deployment),
    Route("PUT", f"{_PROJECT}/deployments/{{id}}", update_deployment),
    Route("POST", f"{_PROJECT}/deployments/{{id}}/approval", approve),
    Route("GET", f"{_PROJECT}/environments", environments),
    Route("POST", f"{_PROJECT}/environments", create_environment),
    Route("GET", f"{_PROJECT}/environments/{{id}}", one_environment),
    Route("PUT", f"{_PROJECT}/environments/{{id}}", update_environment),
    Route("POST", f"{_PROJECT}/environments/{{id}}/stop", stop_environment),
    Route("GET", f"{_PROJECT}/releases", releases),
    Route("POST", f"{_PROJECT}/releases", create_release),
    Route("GET", f"{_PROJECT}/releases/{{tag}}", one_release),
    Route("PUT", f"{_PROJECT}/releases/{{tag}}", update_release),
)
