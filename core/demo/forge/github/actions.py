"""GitHub Actions: runs, jobs, logs, re-runs, approvals, workflows."""

from __future__ import annotations

from typing import cast

from ....domain.hosts import CiState
from ..actions import stamped, status_of
from ..approvals import may_approve
from ..ci import current
from ..dialect import Call, Services
from ..exchange import Answer, ApiError, Page, each
from ..model import Approval, CiWorkflow, Job, Repo, Run, Step
from ..routing import Route
from ..times import iso, seconds
from .code import LAST_ROUTES
from .render import Json, account, node, repository
from .results import deployment


def _url(services: Services, repo: Repo) -> str:
    return f"{services.links.api}/repos/{repo.full_name}"


def workflow(services: Services, repo: Repo, found: CiWorkflow) -> Json:
    return {
        "id": found.id,
        "node_id": node("Workflow", found.id),
        "name": found.name,
        "path": f".github/workflows/{found.path}",
        "state": "active",
        "created_at": iso(found.created),
        "updated_at": iso(found.created),
        "url": f"{_url(services, repo)}/actions/workflows/{found.id}",
        "html_url": f"{services.links.repo(repo.full_name)}/blob/{repo.default_branch}/.github/workflows/{found.path}",
        "badge_url": f"{services.links.repo(repo.full_name)}/workflows/{found.name}/badge.svg",
    }


def run(services: Services, found: Run) -> Json:
    repo = found.repo
    url = f"{_url(services, repo)}/actions/runs/{found.id}"
    status, conclusion = status_of(found.state)
    commit = repo.bare.commit(found.sha)
    person = {"name": commit.author.name, "email": commit.author.email} if commit else None
    details = (
        {
            "id": found.sha,
            "tree_id": commit.tree,
            "message": commit.message,
            "timestamp": iso(commit.committer.at),
            "author": person,
            "committer": person,
        }
        if commit
        else None
    )
    return {
        "id": found.id,
        "name": found.name,
        "node_id": node("WorkflowRun", found.id),
        "head_branch": found.branch,
        "head_sha": found.sha,
        "path": f".github/workflows/{found.workflow.path}",
        "display_title": found.title,
        "run_number": found.number,
        "run_attempt": found.attempt,
        "event": found.event,
        "status": status,
        "conclusion": conclusion,
        "workflow_id": found.workflow.id,
        "check_suite_id": found.id,
        "check_suite_url": f"{services.links.api}/repos/{repo.full_name}/check-suites/{found.id}",
        "url": url,
        "html_url": f"{services.links.repo(repo.full_name)}/actions/runs/{found.id}",
        "pull_requests": [],
        "created_at": iso(found.created),
        "updated_at": iso(found.updated),
        "run_started_at": iso(found.started),
        "actor": account(services.links, found.actor),
        "triggering_actor": account(services.links, found.actor),
        **{f"{name}_url": f"{url}/{name}" for name in ("jobs", "logs", "cancel", "rerun", "artifacts")},
        "workflow_url": f"{_url(services, repo)}/actions/workflows/{found.workflow.id}",
        "head_commit": details,
        "repository": repository(services, repo),
        "head_repository": repository(services, repo),
    }


def job(services: Services, found: Job) -> Json:
    repo = found.run.repo
    status, conclusion = status_of(found.state)
    url = _url(services, repo)
    started = found.state is not CiState.QUEUED
    return {
        "id": found.id,
        "run_id": found.run.id,
        "run_url": f"{url}/actions/runs/{found.run.id}",
        "node_id": node("CheckRun", found.id),
        "head_sha": found.run.sha,
        "head_branch": found.run.branch,
        "workflow_name": found.run.name,
        "run_attempt": found.attempt,
        "url": f"{url}/actions/jobs/{found.id}",
        "html_url": f"{services.links.repo(repo.full_name)}/actions/runs/{found.run.id}/job/{found.id}",
        "check_run_url": f"{url}/check-runs/{found.id}",
        "status": status,
        "conclusion": conclusion,
        "created_at": iso(found.created),
        "started_at": iso(found.started or found.created),
        "completed_at": iso(found.ended),
        "name": found.name,
        "steps": [step(one) for one in found.steps] if started else [],
        "labels": ["ubuntu-latest"],
        "runner_id": 1 if started else None,
        "runner_name": "runner-1" if started else None,
        "runner_group_id": 1 if started else None,
        "runner_group_name": "default" if started else None,
    }


def step(found: Step) -> Json:
    status, conclusion = status_of(found.state)
    return {
        "name": found.name,
        "status": status if status != "waiting" else "queued",
        "conclusion": conclusion,
        "number": found.number,
        "started_at": iso(found.started),
        "completed_at": iso(found.ended),
    }


def the_run(call: Call) -> Run:
    return call.one_of(call.repo.runs, "run")


def the_job(call: Call) -> Job:
    found = call.ci.find_job(call.repo, call.number("job"))
    if found is None:
        raise ApiError(404, "Not Found")
    return found


def runs(call: Call) -> Page:
    found = [one for one in call.repo.runs.values() if run_fits(call, one)]
    return Page(found[::-1], each(lambda one: run(call.services, one)), wrap="workflow_runs")


def runs_of_workflow(call: Call) -> Page:
    wanted = the_workflow(call)
    found = [one for one in call.repo.runs.values() if one.workflow is wanted and run_fits(call, one)]
    return Page(found[::-1], each(lambda one: run(call.services, one)), wrap="workflow_runs")


def run_fits(call: Call, found: Run) -> bool:
    query = call.query
    wanted = {"branch": found.branch, "head_sha": found.sha, "event": found.event, "actor": found.actor.login}
    if any(query.get(name) and query[name] != value for name, value in wanted.items()):
        return False
    if query.get("status") and query["status"] not in status_of(found.state):
        return False
    created = query.get("created", "")
    return not created.startswith(">=") or found.created >= seconds(created[2:])


def one_run(call: Call) -> Json:
    return run(call.services, the_run(call))


def jobs(call: Call) -> Page:
    found = the_run(call)
    listed = found.jobs if call.query.get("filter") == "all" else current(found)
    return Page(listed, each(lambda one: job(call.services, one)), wrap="jobs")


def one_job(call: Call) -> Json:
    return job(call.services, the_job(call))


def job_logs(call: Call) -> Answer:
    """Sends the caller to where the log is, once the job has ended."""
    found = the_job(call)
    if not found.state.finished:
        raise ApiError(404, "Not Found")
    return Answer(302, headers={"Location": call.links.ticket(stamped(found))})


def run_logs(call: Call) -> Answer:
    import io
    import zipfile

    found = the_run(call)
    if not found.state.finished:
        raise ApiError(404, "Not Found")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number, one in enumerate(current(found)):
            archive.writestr(f"{number}_{one.name.replace('/', '_')}.txt", stamped(one))
    return Answer(302, headers={"Location": call.links.ticket(file.getvalue())})


def _rerun(call: Call, failed: bool) -> Answer:
    found = the_run(call)
    if not found.state.finished:
        raise ApiError(403, "This workflow is already running")
    if not call.ci.rerun(found, failed=failed, by=call.user):
        raise ApiError(403, "This workflow run cannot be retried")
    return Answer(201, {})


def rerun(call: Call) -> Answer:
    return _rerun(call, failed=False)


def rerun_failed(call: Call) -> Answer:
    return _rerun(call, failed=True)


def rerun_job(call: Call) -> Answer:
    found = the_job(call)
    if not found.run.state.finished:
        raise ApiError(403, "The workflow run containing this job is already running")
    found.run.attempt += 1
    call.ci.retry(found)
    return Answer(201, {})


def cancel(call: Call) -> Answer:
    found = the_run(call)
    if found.state.finished:
        raise ApiError(409, "Cannot cancel a workflow run that is completed.")
    call.ci.cancel(found)
    return Answer(202, {})


# -- approvals


def pending(call: Call) -> list[Json]:
    return [_pending(call, one) for one in the_run(call).approvals if one.state == "pending"]


def _pending(call: Call, found: Approval) -> Json:
    place, links = found.environment, call.links
    url = f"{_url(call.services, call.repo)}/environments/{place.name}"
    people = [{"type": "User", "reviewer": account(links, call.state.user(login))} for login in found.reviewers]
    return {
        "environment": {
            "id": place.id,
            "node_id": node("Environment", place.id),
            "name": place.name,
            "url": url,
            "html_url": url,
        },
        "wait_timer": 0,
        "wait_timer_started_at": None,
        "current_user_can_approve": call.token is not None and may_approve(found, call.user.login),
        "reviewers": people,
    }


def review(call: Call) -> list[Json]:
    found, fields = the_run(call), call.fields
    wanted = cast("list[int]", fields.get("environment_ids"))
    if not wanted or fields.get("state") not in ("approved", "rejected") or "comment" not in fields:
        raise ApiError(422, 'Invalid request.\n\n"environment_ids", "state" and "comment" are required.')
    waiting = {one.environment.id: one for one in found.approvals if one.state == "pending"}
    if not all(number in waiting for number in wanted):
        raise ApiError(422, "No pending deployment requests to approve or reject")
    if not all(may_approve(waiting[number], call.user.login) for number in wanted):
        raise ApiError(403, "The current user is not allowed to review these deployments")
    for number in wanted:
        call.ci.approve(found, waiting[number], call.user, fields["state"] == "approved", call.text("comment"))
    deployments = {
        one.environment.id: one for one in call.repo.deployments.values() if one.job and one.job.run is found
    }
    return [deployment(call.services, call.repo, deployments[number]) for number in wanted]


def reviews_given(call: Call) -> list[Json]:
    return [
        {
            "state": one.state,
            "comment": one.comment,
            "environments": [{"id": one.environment.id, "name": one.environment.name}],
            "user": account(call.links, call.state.user(one.by)),
        }
        for one in the_run(call).approvals
        if one.state != "pending"
    ]


# -- workflows


def workflows(call: Call) -> Page:
    return Page(call.repo.workflows, each(lambda one: workflow(call.services, call.repo, one)), wrap="workflows")


def the_workflow(call: Call) -> CiWorkflow:
    wanted = call.args["workflow"]
    found = next((one for one in call.repo.workflows if wanted in (str(one.id), one.path)), None)
    if found is None:
        raise ApiError(404, "Not Found")
    return found


def one_workflow(call: Call) -> Json:
    return workflow(call.services, call.repo, the_workflow(call))


def dispatch(call: Call) -> Answer:
    found, fields = the_workflow(call), call.fields
    if not fields.get("ref"):
        raise ApiError(422, 'Invalid request.\n\n"ref" wasn\'t supplied.')
    branch = str(fields["ref"]).removeprefix("refs/heads/")
    if not call.repo.bare.resolve(branch):
        raise ApiError(422, f"No ref found for: {branch}")
    if not found.dispatch:
        raise ApiError(422, "Workflow does not have 'workflow_dispatch' trigger")
    inputs: Json = fields.get("inputs") or {}
    unknown = [name for name in inputs if name not in found.inputs]
    if unknown:
        raise ApiError(422, f"Unexpected inputs provided: {unknown}")
    given = {name: str(value) for name, value in inputs.items()}
    call.ci.start(
        call.repo,
        branch=branch,
        name=found.name,
        event="workflow_dispatch",
        state=CiState.QUEUED,
        by=call.user,
        inputs=given,
    )
    return Answer(204)


_ACTIONS = "/repos/{owner}/{repo}/actions"
ROUTES = (
    Route("GET", f"{_ACTIONS}/runs", runs),
    Route("GET", f"{_ACTIONS}/runs/{{run}}", one_run),
    Route("GET", f"{_ACTIONS}/runs/{{run}}/jobs", jobs),
    Route("GET", f"{_ACTIONS}/runs/{{run}}/logs", run_logs),
    Route("POST", f"{_ACTIONS}/runs/{{run}}/rerun", rerun),
    Route("POST", f"{_ACTIONS}/runs/{{run}}/rerun-failed-jobs", rerun_failed),
    Route("POST", f"{_ACTIONS}/runs/{{run}}/cancel", cancel),
    Route("POST", f"{_ACTIONS}/runs/{{run}}/force-cancel", cancel),
    Route("GET", f"{_ACTIONS}/runs/{{run}}/pending_deployments", pending),
    Route("POST", f"{_ACTIONS}/runs/{{run}}/pending_deployments", review),
    Route("GET", f"{_ACTIONS}/runs/{{run}}/approvals", reviews_given),
    Route("GET", f"{_ACTIONS}/jobs/{{job}}", one_job),
    Route("GET", f"{_ACTIONS}/jobs/{{job}}/logs", job_logs),
    Route("POST", f"{_ACTIONS}/jobs/{{job}}/rerun", rerun_job),
    Route("GET", f"{_ACTIONS}/workflows", workflows),
    Route("GET", f"{_ACTIONS}/workflows/{{workflow}}", one_workflow),
    Route("GET", f"{_ACTIONS}/workflows/{{workflow}}/runs", runs_of_workflow),
    Route("POST", f"{_ACTIONS}/workflows/{{workflow}}/dispatches", dispatch),
    *LAST_ROUTES,
)
