"""Gitea: pull requests and comments."""

from __future__ import annotations

from functools import partial
from operator import attrgetter

from ..dialect import Call, Services
from ..exchange import Answer, ApiError, Page, each
from ..model import Comment, Pull, Repo
from ..routing import Route
from ..times import iso, seconds
from .code import Json, account, commit, repository


def pull(services: Services, repo: Repo, found: Pull) -> Json:
    page = f"{services.links.repo(repo.full_name)}/pulls/{found.number}"
    base_sha = repo.bare.branches().get(found.base, "")
    source = None if found.deleted_fork else found.source
    return {
        "id": found.id,
        "url": page,
        "number": found.number,
        "user": account(services, found.author),
        "title": f"WIP: {found.title}" if found.draft else found.title,
        "body": found.body,
        "labels": [],
        "milestone": None,
        "assignee": None,
        "assignees": [],
        "requested_reviewers": [],
        "requested_reviewers_teams": [],
        "state": "open" if found.state == "open" else "closed",
        "draft": found.draft,
        "is_locked": False,
        "comments": sum(comment.number == found.number for comment in repo.comments.values()),
        "html_url": page,
        "diff_url": f"{page}.diff",
        "patch_url": f"{page}.patch",
        "mergeable": True,
        "merged": found.state == "merged",
        "merged_at": iso(found.closed) if found.state == "merged" else None,
        "merge_commit_sha": found.merged_sha or None,
        "merged_by": None,
        "allow_maintainer_edit": False,
        "base": _side(services, repo, found.base, found.base, base_sha),
        "head": _side(services, source, found.branch, found.branch, found.sha),
        "merge_base": base_sha,
        "due_date": None,
        "created_at": iso(found.created),
        "updated_at": iso(found.updated),
        "closed_at": iso(found.closed),
        "pin_order": 0,
    }


def _side(services: Services, repo: Repo | None, label: str, ref: str, sha: str) -> Json:
    document = repository(services, repo) if repo else None
    return {"label": label, "ref": ref, "sha": sha, "repo_id": repo.id if repo else -1, "repo": document}


def pulls(call: Call) -> Page:
    state, sort = call.query.get("state", "open"), call.query.get("sort", "")
    found = [one for one in call.repo.pulls.values() if state == "all" or (one.state == "open") == (state == "open")]
    found.sort(
        key=attrgetter("updated" if sort in ("recentupdate", "leastupdate") else "created"),
        reverse=sort not in ("oldest", "leastupdate"),
    )
    return Page(found, each(partial(pull, call.services, call.repo)))


def one_pull(call: Call) -> Json:
    return pull(call.services, call.repo, call.pull())


def create_pull(call: Call) -> Answer:
    for name in ("head", "base", "title"):
        if not call.text(name):
            raise ApiError(422, f"[{name.title()}]: Required")
    owner, colon, branch = call.text("head").rpartition(":")
    source = call.state.repos.get(f"{owner}/{call.repo.name}") if colon else call.repo
    base = call.text("base")
    if source is None or branch not in source.bare.branches() or base not in call.repo.bare.branches():
        raise ApiError(404)
    for one in call.repo.pulls.values():
        if one.state == "open" and (one.source, one.branch, one.base) == (source, branch, base):
            raise ApiError(409, f"pull request already exists for these targets [id: {one.id}, issue_id: {one.id}]")
    title = call.text("title")
    plain = title.removeprefix("WIP: ")
    text = {"title": plain, "body": call.text("body")}
    found = call.services.reviews.open(call.repo, call.user, branch, base, source=source, draft=plain != title, **text)
    return Answer(201, pull(call.services, call.repo, found))


def update_pull(call: Call) -> Answer:
    found, state = call.pull(), call.text("state")
    found.title, found.body = call.text("title", found.title), call.text("body", found.body)
    action = "edited" if state in ("", found.state) else "reopened" if state == "open" else "closed"
    found.state = state or found.state
    call.services.reviews.update(call.repo, call.user, found, action)
    return Answer(201, pull(call.services, call.repo, found))


def pull_commits(call: Call) -> Page:
    found, bare = call.pull(), call.repo.bare
    shas = bare.between(bare.branches().get(found.base, ""), found.sha)
    return Page(shas, lambda some: [commit(call.services, call.repo, one) for one in bare.commits(some)])


# -- comments


def comment(services: Services, repo: Repo, found: Comment) -> Json:
    page = f"{services.links.repo(repo.full_name)}/pulls/{found.number}"
    return {
        "id": found.id,
        "html_url": f"{page}#issuecomment-{found.id}",
        "pull_request_url": page,
        "issue_url": "",
        "user": account(services, found.author),
        "original_author": "",
        "original_author_id": 0,
        "body": found.body,
        "assets": [],
        "created_at": iso(found.created),
        "updated_at": iso(found.updated),
    }


def comments(call: Call) -> list[Json]:
    """Returns all comments: Gitea has no pages here."""
    number, since = call.pull().number, seconds(call.query.get("since", ""))
    found = [one for one in call.repo.comments.values() if one.number == number and one.updated >= since]
    call.headers["X-Total-Count"] = str(len(found))
    return [comment(call.services, call.repo, one) for one in found]


def repo_comments(call: Call) -> Page:
    return Page(list(call.repo.comments.values()), each(partial(comment, call.services, call.repo)))


def one_comment(call: Call) -> Json:
    return comment(call.services, call.repo, call.one_of(call.repo.comments, "id"))


def _body(call: Call) -> str:
    body = call.text("body")
    if not body.strip():
        raise ApiError(422, "[Body]: Required")
    return body


def create_comment(call: Call) -> Answer:
    found = call.services.reviews.comment(call.repo, call.user, call.pull().number, _body(call))
    return Answer(201, comment(call.services, call.repo, found))


def update_comment(call: Call) -> Json:
    found: Comment = call.one_of(call.repo.comments, "id")
    if found.author is not call.user and not call.state.writes(call.token, call.repo):
        raise ApiError(403, "Forbidden")
    call.services.reviews.edit(call.repo, call.user, found, _body(call))
    return comment(call.services, call.repo, found)


def delete_comment(call: Call) -> Answer:
    del call.repo.comments[call.one_of(call.repo.comments, "id").id]
    return Answer(204)


_REPO = "/repos/{owner}/{repo}"
ROUTES = (
    Route("GET", f"{_REPO}/pulls", pulls),
    Route("POST", f"{_REPO}/pulls", create_pull),
    Route("GET", f"{_REPO}/pulls/{{number}}", one_pull),
    Route("PATCH", f"{_REPO}/pulls/{{number}}", update_pull),
    Route("GET", f"{_REPO}/pulls/{{number}}/commits", pull_commits),
    Route("GET", f"{_REPO}/issues/comments", repo_comments, "issue"),
    Route("GET", f"{_REPO}/issues/comments/{{id}}", one_comment, "issue"),
    Route("PATCH", f"{_REPO}/issues/comments/{{id}}", update_comment, "issue"),
    Route("DELETE", f"{_REPO}/issues/comments/{{id}}", delete_comment, "issue"),
    Route("GET", f"{_REPO}/issues/{{number}}/comments", comments, "issue"),
    Route("POST", f"{_REPO}/issues/{{number}}/comments", create_comment, "issue"),
)
