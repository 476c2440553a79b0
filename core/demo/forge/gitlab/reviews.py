"""GitLab: merge requests and their notes."""

from __future__ import annotations

from functools import partial
from operator import attrgetter

from ..dialect import Call, Services
from ..exchange import Answer, ApiError, Page, each
from ..model import Comment, Pull, Repo
from ..routing import Route
from ..times import iso_milliseconds
from .code import Json, changed, commit, found_commit, person

_MAX_NOTE = 1_000_000  # letters
_STATES = {"open": "opened"}


def merge_request(services: Services, repo: Repo, found: Pull) -> Json:
    return {
        "id": found.id,
        "iid": found.number,
        "project_id": repo.id,
        "title": f"Draft: {found.title}" if found.draft else found.title,
        "description": found.body,
        "state": _STATES.get(found.state, found.state),
        "created_at": iso_milliseconds(found.created),
        "updated_at": iso_milliseconds(found.updated),
        "merged_at": iso_milliseconds(found.closed) if found.state == "merged" else None,
        "closed_at": iso_milliseconds(found.closed) if found.state == "closed" else None,
        "target_branch": found.base,
        "source_branch": found.branch,
        "source_project_id": None if found.deleted_fork else found.source.id,
        "target_project_id": repo.id,
        "author": person(services, found.author),
        "assignees": [],
        "reviewers": [],
        "labels": [],
        "draft": found.draft,
        "work_in_progress": found.draft,
        "merge_status": "can_be_merged",
        "detailed_merge_status": "mergeable",
        "sha": found.sha,
        "merge_commit_sha": found.merged_sha or None,
        "references": {
            "short": f"!{found.number}",
            "relative": f"!{found.number}",
            "full": f"{repo.full_name}!{found.number}",
        },
        "web_url": f"{services.links.repo(repo.full_name)}/-/merge_requests/{found.number}",
        "user_notes_count": sum(comment.number == found.number for comment in repo.comments.values()),
    }


def merge_requests(call: Call) -> Page:
    query = call.query
    state = query.get("state", "all")
    wanted = {"source_branch": "branch", "target_branch": "base"}
    found = [
        one
        for one in call.repo.pulls.values()
        if state in ("all", _STATES.get(one.state, one.state))
        and all(query.get(name, getattr(one, field)) == getattr(one, field) for name, field in wanted.items())
    ]
    key = "updated" if query.get("order_by") == "updated_at" else "created"
    found.sort(key=attrgetter(key), reverse=query.get("sort", "desc") == "desc")
    return Page(found, each(partial(merge_request, call.services, call.repo)))


def requests_of_commit(call: Call) -> Page:
    sha = found_commit(call, call.args["sha"]).sha
    found = [one for one in call.repo.pulls.values() if one.sha == sha]
    return Page(found, each(partial(merge_request, call.services, call.repo)))


def one_request(call: Call) -> Json:
    found = call.pull()
    base = call.repo.bare.branches().get(found.base, "")
    refs = {"base_sha": base, "head_sha": found.sha, "start_sha": base}
    changes = str(len(call.repo.bare.changes(base, found.sha))) if base else "0"
    return {
        **merge_request(call.services, call.repo, found),
        "diff_refs": refs,
        "changes_count": changes,
        "head_pipeline": None,
    }


def create_request(call: Call) -> Answer:
    for name in ("source_branch", "target_branch", "title"):
        if not call.text(name):
            raise ApiError(400, f"{name} is missing")
    branch, base = call.text("source_branch"), call.text("target_branch")
    target = call.repo
    if call.text("target_project_id"):
        target = next(
            (repo for repo in call.state.repos.values() if str(repo.id) == call.text("target_project_id")), target
        )
    if branch not in call.repo.bare.branches():
        raise ApiError(400, errors=[{"source_branch": ["does not exist"]}])
    for one in target.pulls.values():
        if one.state == "open" and (one.source, one.branch, one.base) == (call.repo, branch, base):
            raise ApiError(
                409, errors=[[f"Another open merge request already exists for this source branch: !{one.number}"]]
            )
    title = call.text("title")
    plain = title.removeprefix("Draft: ")
    found = call.services.reviews.open(
        target,
        call.user,
        branch,
        base,
        title=plain,
        body=call.text("description"),
        source=call.repo,
        draft=plain != title,
    )
    return Answer(201, merge_request(call.services, target, found))


def update_request(call: Call) -> Json:
    found, event = call.pull(), call.text("state_event")
    found.title, found.body = call.text("title", found.title), call.text("description", found.body)
    found.state = {"close": "closed", "reopen": "open"}.get(event, found.state)
    call.services.reviews.update(call.repo, call.user, found, event or "update")
    return merge_request(call.services, call.repo, found)


def commits_of_request(call: Call) -> Page:
    found, bare = call.pull(), call.repo.bare
    shas = bare.between(bare.branches().get(found.base, ""), found.sha)
    return Page(shas, lambda some: [commit(call.services, call.repo, one) for one in bare.commits(some)])


def diffs(call: Call) -> Page:
    found, bare = call.pull(), call.repo.bare
    return Page(bare.changes(bare.branches().get(found.base, ""), found.sha), each(changed))


# -- notes


def note(services: Services, repo: Repo, found: Comment) -> Json:
    return {
        "id": found.id,
        "type": None,
        "body": found.body,
        "author": person(services, found.author),
        "created_at": iso_milliseconds(found.created),
        "updated_at": iso_milliseconds(found.updated),
        "system": False,
        "noteable_id": repo.pulls[found.number].id if found.number in repo.pulls else 0,
        "noteable_type": "MergeRequest",
        "noteable_iid": found.number,
        "project_id": repo.id,
        "resolvable": False,
        "confidential": False,
        "internal": False,
    }


def _body(call: Call) -> str:
    body = call.text("body")
    if "body" not in call.fields:
        raise ApiError(400, "body is missing")
    if not body.strip():
        raise ApiError(400, errors=[{"note": ["can't be blank"]}])
    if len(body) > _MAX_NOTE:
        raise ApiError(400, errors=[{"note": ["is too long (maximum is 1000000 characters)"]}])
    return body


def notes(call: Call) -> Page:
    number = call.pull().number
    found = [one for one in call.repo.comments.values() if one.number == number]
    key = "updated" if call.query.get("order_by") == "updated_at" else "id"
    found.sort(key=attrgetter(key), reverse=call.query.get("sort", "desc") == "desc")
    return Page(found, each(partial(note, call.services, call.repo)))


def the_note(call: Call) -> Comment:
    found: Comment = call.one_of(call.repo.comments, "id")
    if found.number != call.pull().number:
        raise ApiError(404, "Not Found")
    return found


def one_note(call: Call) -> Json:
    return note(call.services, call.repo, the_note(call))


def create_note(call: Call) -> Answer:
    found = call.services.reviews.comment(call.repo, call.user, call.pull().number, _body(call))
    return Answer(201, note(call.services, call.repo, found))


def update_note(call: Call) -> Json:
    found = the_note(call)
    if found.author is not call.user:
        raise ApiError(403, "Forbidden")
    call.services.reviews.edit(call.repo, call.user, found, _body(call))
    return note(call.services, call.repo, found)


def delete_note(call: Call) -> Answer:
    del call.repo.comments[the_note(call).id]
    return Answer(204)


_REQUESTS = "/projects/{project}/merge_requests"
_NOTES = f"{_REQUESTS}/{{number}}/notes"
ROUTES = (
    Route("GET", "/projects/{project}/repository/commits/{sha}/merge_requests", requests_of_commit),
    Route("GET", _REQUESTS, merge_requests),
    Route("POST", _REQUESTS, create_request, "issue"),
    Route("GET", f"{_REQUESTS}/{{number}}", one_request),
    Route("PUT", f"{_REQUESTS}/{{number}}", update_request),
    Route("GET", f"{_REQUESTS}/{{number}}/commits", commits_of_request),
    Route("GET", f"{_REQUESTS}/{{number}}/diffs", diffs),
    Route("GET", _NOTES, notes),
    Route("POST", _NOTES, create_note, "issue"),
    Route("GET", f"{_NOTES}/{{id}}", one_note),
    Route("PUT", f"{_NOTES}/{{id}}", update_note, "issue"),
    Route("DELETE", f"{_NOTES}/{{id}}", delete_note),
)
