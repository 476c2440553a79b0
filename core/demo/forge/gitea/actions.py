"""Gitea Actions: runs, jobs, logs, workflows. Re-running and cancelling need a version newer than most (the option
`rerun`); nothing waits for approval."""

from __future__ import annotations

from functools import partial

from ....domain.hosts import CiState
from ..actions import stamped, status_of
from ..ci import current
from ..dialect import Call, Services
from ..exchange import Answer, ApiError, Page, each
from ..model import CiWorkflow, Job, Repo, Run, Step
from ..routing import Route
from ..times import iso
from .code import Json, account, repository


def run(services: Services, found: Run) -> Json:
    repo = found.repo
    status, conclusion = status_of(found.state)
    owner = repository(services, repo)
    return {
        "id": found.id,
        "url": f"{services.links.api}/repos/{repo.full_name}/actions/runs/{found.id}",
        "html_url": f"{services.links.repo(repo.full_name)}/actions/runs/{found.number}",
        "display_title": found.title,
        "path": f"{found.workflow.path}@refs/heads/{found.branch}",
        "event": found.event,
        "run_attempt": found.attempt,
        "run_number": found.number,
        "repository_id": repo.id,
        "head_sha": found.sha,
        "head_branch": found.branch,
        "status": status,
        "actor": account(services, found.actor),
        "trigger_actor": account(services, found.actor),
        "repository": owner,
        "head_repository": owner,
        "conclusion": conclusion or "",
        "started_at": iso(found.started),
        "completed_at": iso(found.ended) or "0001-01-01T00:00:00Z",
    }


def job(services: Services, found: Job) -> Json:
    repo = found.run.repo
    status, conclusion = status_of(found.state)
    url = f"{services.links.api}/repos/{repo.full_name}/actions"
    started = found.state is not CiState.QUEUED
    return {
        "id": found.id,
        "url": f"{url}/jobs/{found.id}",
        "html_url": f"{services.links.repo(repo.full_name)}/actions/runs/{found.run.number}/jobs/{found.id}",
        "run_id": found.run.id,
        "run_url": f"{url}/runs/{found.run.id}",
        "name": found.name,
        "labels": ["ubuntu-latest"],
        "run_attempt": found.attempt,
        "head_sha": found.run.sha,
        "head_branch": found.run.branch,
        "status": status,
        "conclusion": conclusion or "",
        "runner_id": 1 if started else 0,
        "runner_name": "runner-1" if started else "",
        "steps": [step(one) for one in found.steps] if started else [],
        "created_at": iso(found.created),
        "started_at": iso(found.started) or "0001-01-01T00:00:00Z",
        "completed_at": iso(found.ended) or "0001-01-01T00:00:00Z",
    }


def step(found: Step) -> Json:
    status, conclusion = status_of(found.state)
    times = {"started_at": iso(found.started), "completed_at": iso(found.ended)}
    return {"name": found.name, "number": found.number, "status": status, "conclusion": conclusion or "", **times}


def workflow(services: Services, repo: Repo, found: CiWorkflow) -> Json:
    page = services.links.repo(repo.full_name)
    return {
        "id": found.path,
        "name": found.name,
        "path": f".gitea/workflows/{found.path}",
        "state": "active",
        "created_at": iso(found.created),
        "updated_at": iso(found.created),
        "deleted_at": None,
        "url": f"{services.links.api}/repos/{repo.full_name}/actions/workflows/{found.path}",
        "html_url": f"{page}/src/branch/{repo.default_branch}/.gitea/workflows/{found.path}",
        "badge_url": f"{page}/actions/workflows/{found.path}/badge.svg",
    }


def the_run(call: Call) -> Run:
    return call.one_of(call.repo.runs, "run")


def the_job(call: Call) -> Job:
    found = call.ci.find_job(call.repo, call.number("job"))
    if found is None:
        raise ApiError(404)
    return found


def runs(call: Call) -> Page:
    found = [one for one in call.repo.runs.values() if _fits(call, one)]
    return Page(found[::-1], each(partial(run, call.services)), wrap="workflow_runs")


def _fits(call: Call, found: Run) -> bool:
    query = call.query
    wanted = {"branch": found.branch, "head_sha": found.sha, "event": found.event, "actor": found.actor.login}
    if any(query.get(name) and query[name] != value for name, value in wanted.items()):
        return False
    return not query.get("status") or query["status"] in status_of(found.state)


def one_run(call: Call) -> Json:
    return run(call.services, the_run(call))


def jobs(call: Call) -> Page:
    return Page(current(the_run(call)), each(partial(job, call.services)), wrap="jobs")


def one_job(call: Call) -> Json:
    return job(call.services, the_job(call))


def logs(call: Call) -> Answer:
    """Returns a job's log so far. There is none before it has begun."""
    found = the_job(call)
    if found.state in (CiState.QUEUED, CiState.WAITING):
        raise ApiError(404, "job is not started")
    name = f"{found.run.workflow.name}-{found.name}-{found.id}.log"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Answer(200, content=stamped(found), kind="text/plain; charset=utf-8", headers=headers)


def workflows(call: Call) -> Page:
    return Page(call.repo.workflows, each(partial(workflow, call.services, call.repo)), wrap="workflows")


def the_workflow(call: Call) -> CiWorkflow:
    found = next((one for one in call.repo.workflows if one.path == call.args["workflow"]), None)
    if found is None:
        raise ApiError(404)
    return found


def one_workflow(call: Call) -> Json:
    return workflow(call.services, call.repo, the_workflow(call))


def dispatch(call: Call) -> Answer:
    found, ref = the_workflow(call), call.text("ref")
    if not ref:
        raise ApiError(422, "ref is required as a parameter")
    branch = ref.removeprefix("refs/heads/")
    call.commit_of(branch)
    given: Json = call.fields.get("inputs") or {}
    inputs = {name: str(value) for name, value in given.items() if name in found.inputs}
    event, state = "workflow_dispatch", CiState.QUEUED
    call.ci.start(call.repo, branch=branch, by=call.user, name=found.name, event=event, state=state, inputs=inputs)
    return Answer(204)


def _rerun(call: Call, failed: bool) -> Answer:
    if not call.services.options.rerun:
        raise ApiError(404)
    found = the_run(call)
    if not found.state.finished:
        raise ApiError(400, "this workflow run is not done")
    call.ci.rerun(found, failed=failed, by=call.user)
    return Answer(201, run(call.services, found))


def rerun(call: Call) -> Answer:
    return _rerun(call, failed=False)


def rerun_failed(call: Call) -> Answer:
    return _rerun(call, failed=True)


_ACTIONS = "/repos/{owner}/{repo}/actions"
ROUTES = (
    Route("GET", f"{_ACTIONS}/runs", runs),
    Route("GET", f"{_ACTIONS}/runs/{{run}}", one_run),
    Route("GET", f"{_ACTIONS}/runs/{{run}}/jobs", jobs),
    Route("POST", f"{_ACTIONS}/runs/{{run}}/rerun", rerun),
    Route("POST", f"{_ACTIONS}/runs/{{run}}/rerun-failed-jobs", rerun_failed),
    Route("GET", f"{_ACTIONS}/jobs/{{job}}", one_job),
    Route("GET", f"{_ACTIONS}/jobs/{{job}}/logs", logs),
    Route("GET", f"{_ACTIONS}/workflows", workflows),
    Route("GET", f"{_ACTIONS}/workflows/{{workflow}}", one_workflow),
    Route("POST", f"{_ACTIONS}/workflows/{{workflow}}/dispatches", dispatch),
)
