"""GitHub: what its webhooks say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..bare import Commit
from ..dialect import Delivery, Services
from ..model import Pushed
from ..state import Event
from ..times import iso
from . import actions, results, reviews
from .render import Json, account, repository

_ZERO = "0" * 40
_MAX_COMMITS = 2048


def deliveries(services: Services, event: Event) -> Iterable[Delivery]:
    common: Json = {"repository": repository(services, event.repo), "sender": account(services.links, event.by)}
    if event.kind == "push":
        yield from _pushed(services, event, common)
        return
    found = _MAKERS.get(event.kind)
    if found is not None:
        name, make = found
        yield Delivery(name, {"action": event.action, **make(services, event), **common})


def _pushed(services: Services, event: Event, common: Json) -> Iterable[Delivery]:
    push: Pushed = event.subject
    document = push_document(services, event)
    kind = "tag" if push.ref.startswith("refs/tags/") else "branch"
    name = push.ref.split("/", 2)[2]
    if not push.old or not push.new:
        word = "create" if push.new else "delete"
        yield Delivery(word, {"ref": name, "ref_type": kind, "pusher_type": "user", **common})
    yield Delivery("push", {**document, **common})


def push_document(services: Services, event: Event) -> Json:
    push: Pushed = event.subject
    bare = event.repo.bare
    page = services.links.repo(event.repo.full_name)
    new = bare.peeled(push.new) if push.new else ""
    old = push.old or bare.branches().get(event.repo.default_branch, "")
    shas = (
        bare.between("" if old == new else old, new, _MAX_COMMITS) if new and push.ref.startswith("refs/heads/") else []
    )
    commits = [_commit(page, found) for found in bare.commits(shas[::-1])]
    head = bare.commit(new) if new else None
    return {
        "ref": push.ref,
        "before": push.old or _ZERO,
        "after": push.new or _ZERO,
        "created": not push.old,
        "deleted": not push.new,
        "forced": bool(push.old and push.new and not bare.is_ancestor(push.old, push.new)),
        "base_ref": None,
        "compare": f"{page}/compare/{(push.old or _ZERO)[:12]}...{(push.new or _ZERO)[:12]}",
        "commits": commits,
        "head_commit": _commit(page, head) if head else None,
        "pusher": {"name": event.by.login, "email": event.by.email},
    }


def _commit(page: str, found: Commit) -> Json:
    return {
        "id": found.sha,
        "tree_id": found.tree,
        "distinct": True,
        "message": found.message,
        "timestamp": iso(found.committer.at),
        "url": f"{page}/commit/{found.sha}",
        "author": {"name": found.author.name, "email": found.author.email},
        "committer": {"name": found.committer.name, "email": found.committer.email},
        "added": [],
        "removed": [],
        "modified": [],
    }


def _pull(services: Services, event: Event) -> Json:
    document: Json = {"number": event.subject.number, "pull_request": reviews.pull(services, event.repo, event.subject)}
    return {**document, **event.more}


def _comment(services: Services, event: Event) -> Json:
    issue: Json = {"number": event.subject.number, "pull_request": {}}
    return {"issue": issue, "comment": reviews.comment(services, event.repo, event.subject)}


def _run(services: Services, event: Event) -> Json:
    found = event.subject
    return {
        "workflow_run": actions.run(services, found),
        "workflow": actions.workflow(services, event.repo, found.workflow),
    }


def _deployment(services: Services, event: Event) -> Json:
    return {"deployment": results.deployment(services, event.repo, event.subject)}


def _deployment_mark(services: Services, event: Event) -> Json:
    mark = results.deployment_status(services, event.repo, event.subject, event.more["mark"])
    return {**_deployment(services, event), "deployment_status": mark}


_MAKERS: Mapping[str, tuple[str, Callable[[Services, Event], dict[str, Any]]]] = {
    "pull": ("pull_request", _pull),
    "comment": ("issue_comment", _comment),
    "run": ("workflow_run", _run),
    "job": ("workflow_job", lambda services, event: {"workflow_job": actions.job(services, event.subject)}),
    "mark": ("status", lambda services, event: results.status(services, event.repo, event.subject)),
    "check": ("check_run", lambda services, event: {"check_run": results.check(services, event.repo, event.subject)}),
    "release": ("release", lambda services, event: {"release": results.release(services, event.repo, event.subject)}),
    "deployment": ("deployment", _deployment),
    "deployment_mark": ("deployment_status", _deployment_mark),
}
