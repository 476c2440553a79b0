"""Gitea: what its webhooks say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ..dialect import Delivery, Services
from ..model import Pushed
from ..state import Event
from . import actions, results, reviews
from .code import Json, account, payload_commit, repository

_ZERO = "0" * 40
_ACTIONS = {"synchronize": "synchronized"}


def deliveries(services: Services, event: Event) -> Iterable[Delivery]:
    by = account(services, event.by)
    common: Json = {"repository": repository(services, event.repo), "sender": by}
    if event.kind == "push":
        push: Pushed = event.subject
        if not push.old or not push.new:
            kind = "tag" if push.ref.startswith("refs/tags/") else "branch"
            document = {"sha": push.new, "ref": push.ref.split("/", 2)[2], "ref_type": kind, "pusher_type": "user"}
            yield Delivery("create" if push.new else "delete", {**document, **common})
        if push.new:
            yield Delivery("push", {**_push(services, event), "pusher": by, **common})
        return
    found = _MAKERS.get(event.kind)
    if found is not None:
        name, make = found
        action = _ACTIONS.get(event.action, event.action)
        yield Delivery(name, {"action": action, **make(services, event), **common})


def _push(services: Services, event: Event) -> Json:
    push: Pushed = event.subject
    bare, new = event.repo.bare, event.repo.bare.peeled(push.new)
    old = push.old or bare.branches().get(event.repo.default_branch, "")
    shas = bare.between("" if old == new else old, new) if push.ref.startswith("refs/heads/") else []
    commits = [payload_commit(services, event.repo, one) for one in bare.commits(shas)]
    heads = bare.commits([new])
    page = services.links.repo(event.repo.full_name)
    return {
        "ref": push.ref,
        "before": push.old or _ZERO,
        "after": push.new,
        "compare_url": f"{page}/compare/{push.old or _ZERO}...{push.new}",
        "commits": commits,
        "total_commits": len(commits),
        "head_commit": payload_commit(services, event.repo, heads[0]) if heads else None,
    }


def _pull(services: Services, event: Event) -> Json:
    document = reviews.pull(services, event.repo, event.subject)
    return {"number": event.subject.number, "pull_request": document, "commit_id": event.subject.sha}


def _comment(services: Services, event: Event) -> Json:
    document = reviews.comment(services, event.repo, event.subject)
    return {"issue": {"number": event.subject.number}, "comment": document, "is_pull": True}


def _run(services: Services, event: Event) -> Json:
    found = event.subject
    workflow = actions.workflow(services, event.repo, found.workflow)
    return {"workflow_run": actions.run(services, found), "workflow": workflow}


def _mark(services: Services, event: Event) -> Json:
    found = event.subject
    named = {"context": found.context, "state": found.state, "sha": found.sha, "id": found.id}
    return {**named, "description": found.description, "target_url": found.url}


_MAKERS: Mapping[str, tuple[str, Callable[[Services, Event], Json]]] = {
    "pull": ("pull_request", _pull),
    "comment": ("issue_comment", _comment),
    "run": ("workflow_run", _run),
    "job": ("workflow_job", lambda services, event: {"workflow_job": actions.job(services, event.subject)}),
    "mark": ("status", _mark),
    "release": ("release", lambda services, event: {"release": results.release(services, event.repo, event.subject)}),
}
