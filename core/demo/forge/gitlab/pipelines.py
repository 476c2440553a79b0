"""GitLab CI: pipelines, jobs, bridges to child pipelines, traces that grow."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

from ....domain.hosts import CiState
from ..ci import current
from ..dialect import Call, Services
from ..exchange import Answer, ApiError, Page, each, text_answer
from ..model import Job, Run
from ..routing import Route
from ..times import iso_milliseconds
from .code import Json, commit, person, yes

_WORDS = {
    CiState.QUEUED: "pending",
    CiState.RUNNING: "running",
    CiState.WAITING: "manual",
    CiState.SUCCEEDED: "success",
    CiState.FAILED: "failed",
    CiState.CANCELLED: "canceled",
    CiState.SKIPPED: "skipped",
}
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


def pipeline(services: Services, found: Run) -> Json:
    repo = found.repo
    return {
        "id": found.id,
        "iid": found.number,
        "project_id": repo.id,
        "name": found.name,
        "sha": found.sha,
        "ref": found.branch,
        "status": _WORDS[found.state],
        "source": found.event,
        "created_at": iso_milliseconds(found.created),
        "updated_at": iso_milliseconds(found.updated),
        "web_url": f"{services.links.repo(repo.full_name)}/-/pipelines/{found.id}",
    }


def whole_pipeline(services: Services, found: Run) -> Json:
    text = _WORDS[found.state]
    page = f"/{found.repo.full_name}/-/pipelines/{found.id}"
    return {
        **pipeline(services, found),
        "before_sha": "0" * 40,
        "tag": False,
        "yaml_errors": None,
        "user": person(services, found.actor),
        "started_at": iso_milliseconds(found.started),
        "finished_at": iso_milliseconds(found.ended),
        "committed_at": None,
        "duration": int(found.ended - found.started) if found.ended else None,
        "queued_duration": 0,
        "coverage": None,
        "detailed_status": {"text": text, "label": text, "group": text, "icon": f"status_{text}", "details_path": page},
    }


def word(found: Job) -> str:
    return "manual" if found.manual and found.state is CiState.QUEUED else _WORDS[found.state]


def job(services: Services, found: Job) -> Json:
    repo = found.run.repo
    commits = repo.bare.commits([found.run.sha])
    took = (found.ended or services.state.now()) - found.started if found.started else None
    return {
        "id": found.id,
        "name": found.name,
        "stage": found.stage,
        "status": word(found),
        "ref": found.run.branch,
        "tag": False,
        "coverage": None,
        "allow_failure": found.manual,
        "created_at": iso_milliseconds(found.created),
        "started_at": iso_milliseconds(found.started),
        "finished_at": iso_milliseconds(found.ended),
        "erased_at": None,
        "duration": took,
        "queued_duration": 0.1,
        "user": person(services, found.run.actor),
        "commit": commit(services, repo, commits[0]) if commits else None,
        "pipeline": pipeline(services, found.run),
        "failure_reason": found.reason if found.state is CiState.FAILED else None,
        "web_url": f"{services.links.repo(repo.full_name)}/-/jobs/{found.id}",
        "project": {"ci_job_token_scope_enabled": False},
        "artifacts": [],
        "runner": None,
        "tag_list": [],
    }


def bridge(services: Services, found: Job) -> Json:
    document = job(services, found)
    for name in ("artifacts", "runner", "tag_list"):
        del document[name]
    return {**document, "downstream_pipeline": pipeline(services, found.child) if found.child else None}


def the_run(call: Call) -> Run:
    return call.one_of(call.repo.runs, "pipeline")


def the_job(call: Call) -> Job:
    found = call.ci.find_job(call.repo, call.number("job"))
    if found is None:
        raise ApiError(404, "Not Found")
    return found


def pipelines(call: Call) -> Page:
    query = call.query
    wanted = {"sha": "sha", "ref": "branch", "source": "event", "name": "name"}
    found = [
        one
        for one in call.repo.runs.values()
        if all(query.get(name, getattr(one, field)) == getattr(one, field) for name, field in wanted.items())
        and query.get("status", _WORDS[one.state]) == _WORDS[one.state]
        # As GitLab does: child pipelines are listed only where they are asked for by their source.
        and (one.event != "parent_pipeline" or "source" in query)
    ]
    return Page(found[::-1], each(partial(pipeline, call.services)))


def one_pipeline(call: Call) -> Json:
    return whole_pipeline(call.services, the_run(call))


def latest(call: Call) -> Json:
    ref = call.query.get("ref") or call.repo.default_branch
    found = [one for one in call.repo.runs.values() if one.branch == ref]
    if not found:
        raise ApiError(403, "Forbidden")
    return whole_pipeline(call.services, found[-1])


def create_pipeline(call: Call) -> Answer:
    ref = call.text("ref") or call.query.get("ref", "")
    if not ref:
        raise ApiError(400, "ref is missing")
    if not call.repo.bare.resolve(ref):
        raise ApiError(400, errors=[{"base": ["Reference not found"]}])
    given = call.fields.get("variables") or ()
    if not isinstance(given, list | tuple):
        raise ApiError(400, "variables is invalid")
    variables = {str(one.get("key")): str(one.get("value")) for one in cast("Sequence[Mapping[str, Any]]", given)}
    found = call.ci.start(call.repo, branch=ref, event="api", state=CiState.QUEUED, by=call.user, inputs=variables)
    return Answer(201, whole_pipeline(call.services, found))


def variables(call: Call) -> list[Json]:
    return [{"key": key, "value": value, "variable_type": "env_var"} for key, value in the_run(call).inputs.items()]


def jobs(call: Call) -> Page:
    """Lists jobs, among which no bridges are."""
    found = the_run(call)
    listed = found.jobs if yes(call.query.get("include_retried", "")) else current(found)
    scopes = {*call.request.query_all.get("scope[]", ()), *call.request.query_all.get("scope", ())}
    kept = [one for one in listed if not one.bridge and (not scopes or word(one) in scopes)]
    return Page(kept[::-1], each(partial(job, call.services)))


def bridges(call: Call) -> Page:
    return Page([one for one in current(the_run(call)) if one.bridge], each(partial(bridge, call.services)))


def project_jobs(call: Call) -> Page:
    found = [one for run in call.repo.runs.values() for one in run.jobs if not one.bridge]
    return Page(found[::-1], each(partial(job, call.services)))


def one_job(call: Call) -> Json:
    return job(call.services, the_job(call))


def trace(call: Call) -> Answer:
    """Returns the log so far, or what of it is asked for with Range."""
    log = bytes(the_job(call).log)
    match = _RANGE.fullmatch(call.request.headers.get("range", ""))
    if match is None or not call.services.options.trace_ranges:
        return text_answer(log)
    first, last = int(match[1]), int(match[2] or len(log) - 1)
    if first >= len(log):
        return text_answer("", 416, **{"Content-Range": f"bytes */{len(log)}"})
    part = log[first : last + 1]
    return text_answer(part, 206, **{"Content-Range": f"bytes {first}-{first + len(part) - 1}/{len(log)}"})


def retry(call: Call) -> Answer:
    found = the_run(call)
    call.ci.rerun(found, failed=True, by=call.user)
    return Answer(201, whole_pipeline(call.services, found))


def cancel(call: Call) -> Json:
    found = the_run(call)
    if not found.state.finished:
        call.ci.cancel(found)
    return whole_pipeline(call.services, found)


def retry_job(call: Call) -> Answer:
    found = the_job(call)
    if not found.state.finished or found.retried:
        raise ApiError(403, "403 Forbidden - Job is not retryable")
    return Answer(201, job(call.services, call.ci.retry(found)))


def cancel_job(call: Call) -> Answer:
    found = the_job(call)
    if not found.state.finished:
        call.ci.cancel_job(found)
    return Answer(201, job(call.services, found))


def play_job(call: Call) -> Json:
    found = the_job(call)
    if word(found) != "manual" or found.state is CiState.WAITING:
        raise ApiError(400, "400 Bad request - Unplayable Job")
    call.ci.play(found)
    return job(call.services, found)


_PROJECT = "/projects/{project}"
_PIPELINE = f"{_PROJECT}/pipelines/{{pipeline}}"
ROUTES = (
    Route("GET", f"{_PROJECT}/pipelines", pipelines),
    Route("POST", f"{_PROJECT}/pipeline", create_pipeline),
    Route("GET", f"{_PROJECT}/pipelines/latest", latest),
    Route("GET", _PIPELINE, one_pipeline),
    Route("GET", f"{_PIPELINE}/variables", variables),
    Route("GET", f"{_PIPELINE}/jobs", jobs),
    Route("GET", f"{_PIPELINE}/bridges", bridges),
    Route("POST", f"{_PIPELINE}/retry", retry),
    Route("POST", f"{_PIPELINE}/cancel", cancel),
    Route("GET", f"{_PROJECT}/jobs", project_jobs),
    Route("GET", f"{_PROJECT}/jobs/{{job}}", one_job),
    Route("GET", f"{_PROJECT}/jobs/{{job}}/trace", trace),
    Route("POST", f"{_PROJECT}/jobs/{{job}}/retry", retry_job),
    Route("POST", f"{_PROJECT}/jobs/{{job}}/cancel", cancel_job),
    Route("POST", f"{_PROJECT}/jobs/{{job}}/play", play_job),
)
