"""GitLab: what its webhooks say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from ..bare import Commit
from ..dialect import Delivery, Services
from ..model import Pushed
from ..state import Event
from ..times import iso
from . import pipelines, results, reviews
from .code import Json, person, project

_ZERO = "0" * 40
_SHOWN_COMMITS = 20
_ACTIONS = {"opened": "open", "closed": "close", "reopened": "reopen", "synchronize": "update", "edited": "update"}


def now() -> int:
    return int(time.time())


def deliveries(services: Services, event: Event) -> Iterable[Delivery]:
    found = _MAKERS.get(event.kind)
    if found is not None:
        name, make = found
        document = make(services, event)
        yield Delivery("Tag Push Hook" if document["object_kind"] == "tag_push" else name, document)


def _common(services: Services, event: Event, kind: str) -> Json:
    user = {**person(services, event.by), "email": event.by.email}
    return {"object_kind": kind, "event_type": kind, "user": user, "project": project(services, event.repo)}


def _push(services: Services, event: Event) -> Json:
    push: Pushed = event.subject
    bare, branch = event.repo.bare, push.ref.startswith("refs/heads/")
    new = bare.peeled(push.new) if push.new else ""
    old = push.old or bare.branches().get(event.repo.default_branch, "")
    shas = bare.between("" if old == new else old, new) if new and branch else []
    page = services.links.repo(event.repo.full_name)
    return {
        "object_kind": "push" if branch else "tag_push",
        "event_name": "push" if branch else "tag_push",
        "before": push.old or _ZERO,
        "after": push.new or _ZERO,
        "ref": push.ref,
        "ref_protected": push.ref == f"refs/heads/{event.repo.default_branch}",
        "checkout_sha": new or None,
        "user_id": event.by.id,
        "user_name": event.by.name,
        "user_username": event.by.login,
        "project_id": event.repo.id,
        "project": project(services, event.repo),
        "commits": [_commit(page, one) for one in bare.commits(shas[:_SHOWN_COMMITS][::-1])],
        "total_commits_count": len(shas),
        "push_options": {},
        "repository": {"name": event.repo.name, "homepage": page, "git_http_url": f"{page}.git"},
    }


def _commit(page: str, found: Commit) -> Json:
    return {
        "id": found.sha,
        "message": found.message,
        "title": found.title,
        "timestamp": iso(found.committer.at),
        "url": f"{page}/-/commit/{found.sha}",
        "author": {"name": found.author.name, "email": found.author.email},
        "added": [],
        "modified": [],
        "removed": [],
    }


def _request(services: Services, event: Event) -> Json:
    attributes = reviews.merge_request(services, event.repo, event.subject)
    attributes["action"] = _ACTIONS.get(event.action, "update")
    attributes["last_commit"] = {"id": event.subject.sha}
    if "before" in event.more:
        attributes["oldrev"] = event.more["before"]
    return {**_common(services, event, "merge_request"), "object_attributes": attributes}


def _note(services: Services, event: Event) -> Json:
    note = reviews.note(services, event.repo, event.subject)
    note["action"] = "create" if event.action == "created" else "update"
    pull = event.repo.pulls[event.subject.number]
    request = reviews.merge_request(services, event.repo, pull)
    return {**_common(services, event, "note"), "object_attributes": note, "merge_request": request}


def _pipeline(services: Services, event: Event) -> Json:
    builds = [
        {"id": one.id, "name": one.name, "stage": one.stage, "status": pipelines.word(one)}
        for one in event.subject.jobs
    ]
    attributes = pipelines.whole_pipeline(services, event.subject)
    return {**_common(services, event, "pipeline"), "object_attributes": attributes, "builds": builds}


def _job(services: Services, event: Event) -> Json:
    found = event.subject
    build = {
        "build_id": found.id,
        "build_name": found.name,
        "build_stage": found.stage,
        "build_status": pipelines.word(found),
    }
    ids = {"pipeline_id": found.run.id, "project_id": event.repo.id, "ref": found.run.branch, "sha": found.run.sha}
    return {**_common(services, event, "build"), **build, **ids}


def _deployment(services: Services, event: Event) -> Json:
    found = event.subject
    own = {"deployment_id": found.id, "status": found.state, "environment": found.environment.name, "ref": found.ref}
    place = {"environment_external_url": found.environment.url, "short_sha": found.sha[:8]}
    return {**_common(services, event, "deployment"), **own, **place}


def _release(services: Services, event: Event) -> Json:
    document = results.release(services, event.repo, event.subject)
    return {**_common(services, event, "release"), "action": "create", "tag": document["tag_name"], **document}


_MAKERS: Mapping[str, tuple[str, Callable[[Services, Event], Json]]] = {
    "push": ("Push Hook", _push),
    "pull": ("Merge Request Hook", _request),
    "comment": ("Note Hook", _note),
    "run": ("Pipeline Hook", _pipeline),
    "job": ("Job Hook", _job),
    "deployment": ("Deployment Hook", _deployment),
    "deployment_mark": ("Deployment Hook", _deployment),
    "release": ("Release Hook", _release),
}
