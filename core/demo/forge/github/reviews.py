"""GitHub: pull requests and comments."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from ..dialect import Call, Services
from ..exchange import Answer, ApiError, Page, each
from ..model import Comment, Pull, Repo
from ..routing import Route
from ..times import iso
from .code import LETTERS
from .render import Json, account, commit, node, repository

MAX_BODY = 65_536  # letters of a comment


def pull(services: Services, repo: Repo, found: Pull) -> Json:
    links = services.links
    url = f"{links.api}/repos/{repo.full_name}"
    base_sha = repo.bare.branches().get(found.base, "")
    return {
        "id": found.id,
        "node_id": node("PullRequest", found.id),
        "number": found.number,
        "url": f"{url}/pulls/{found.number}",
        "html_url": f"{links.repo(repo.full_name)}/pull/{found.number}",
        "issue_url": f"{url}/issues/{found.number}",
        "comments_url": f"{url}/issues/{found.number}/comments",
        "commits_url": f"{url}/pulls/{found.number}/commits",
        "statuses_url": f"{url}/statuses/{found.sha}",
        "review_comments_url": f"{url}/pulls/{found.number}/comments",
        "review_comment_url": f"{url}/pulls/comments{{/number}}",
        "diff_url": f"{links.repo(repo.full_name)}/pull/{found.number}.diff",
        "patch_url": f"{links.repo(repo.full_name)}/pull/{found.number}.patch",
        "_links": _pull_links(url, found),
        **dict.fromkeys(("assignee", "milestone", "auto_merge")),
        "state": "open" if found.state == "open" else "closed",
        "locked": False,
        "draft": found.draft,
        "title": found.title,
        "body": found.body or None,
        "user": account(links, found.author),
        "created_at": iso(found.created),
        "updated_at": iso(found.updated),
        "closed_at": iso(found.closed),
        "merged_at": iso(found.closed) if found.state == "merged" else None,
        "merge_commit_sha": found.merged_sha or None,
        "head": _side(
            services, None if found.deleted_fork else found.source, found.source.owner, found.branch, found.sha
        ),
        "base": _side(services, repo, repo.owner, found.base, base_sha),
        "labels": [],
        "assignees": [],
        "requested_reviewers": [],
        "author_association": "CONTRIBUTOR" if found.source is not repo else "MEMBER",
    }


def _pull_links(url: str, found: Pull) -> Json:
    own, issue = f"{url}/pulls/{found.number}", f"{url}/issues/{found.number}"
    links = {
        "self": own,
        "html": own,
        "issue": issue,
        "comments": f"{issue}/comments",
        "review_comments": f"{own}/comments",
        "review_comment": f"{url}/pulls/comments{{/number}}",
        "commits": f"{own}/commits",
        "statuses": f"{url}/statuses/{found.sha}",
    }
    return {name: {"href": link} for name, link in links.items()}


def _side(services: Services, repo: Repo | None, owner: str, branch: str, sha: str) -> Json:
    user = account(services.links, services.state.user(owner))
    document = repository(services, repo) if repo else None
    return {"label": f"{owner}:{branch}", "ref": branch, "sha": sha, "user": user, "repo": document}


def pulls(call: Call) -> Page:
    query = call.query
    found = [each for each in call.repo.pulls.values() if _fits(each, query)]
    descending = (
        query.get("direction", "asc" if query.get("sort") in ("long-running", "popularity") else "desc") == "desc"
    )
    found.sort(key=attrgetter("updated" if query.get("sort") == "updated" else "created"), reverse=descending)
    return Page(found, each(lambda one: pull(call.services, call.repo, one)))


def _fits(found: Pull, query: dict[str, str]) -> bool:
    state = query.get("state", "open")
    if state != "all" and (found.state == "open") != (state == "open"):
        return False
    head = query.get("head", "")
    return (not head or head == f"{found.source.owner}:{found.branch}") and query.get("base", found.base) == found.base


def one_pull(call: Call) -> Json:
    found = call.pull()
    bare = call.repo.bare
    base = bare.branches().get(found.base, "")
    return {
        **pull(call.services, call.repo, found),
        "merged": found.state == "merged",
        "mergeable": True if found.state == "open" else None,
        "mergeable_state": "clean",
        "comments": sum(comment.number == found.number for comment in call.repo.comments.values()),
        "review_comments": 0,
        "commits": len(bare.between(base, found.sha)),
        "additions": 0,
        "deletions": 0,
        "changed_files": len(bare.changes(base, found.sha)) if base else 0,
        "maintainer_can_modify": False,
    }


def create_pull(call: Call) -> Answer:
    missing = [name for name in ("head", "base") if not call.text(name)]
    if missing or not call.text("title"):
        names = missing or ["title"]
        raise ApiError(
            422, errors=[{"resource": "PullRequest", "field": name, "code": "missing_field"} for name in names]
        )
    owner, colon, branch = call.text("head").rpartition(":")
    source = call.state.repos.get(f"{owner}/{call.repo.name}") if colon else call.repo
    if source is None or branch not in source.bare.branches():
        raise ApiError(422, errors=[{"resource": "PullRequest", "field": "head", "code": "invalid"}])
    base = call.text("base")
    if base not in call.repo.bare.branches():
        raise ApiError(422, errors=[{"resource": "PullRequest", "field": "base", "code": "invalid"}])
    if any(
        one.state == "open" and (one.source, one.branch, one.base) == (source, branch, base)
        for one in call.repo.pulls.values()
    ):
        said = f"A pull request already exists for {source.owner}:{branch}."
        raise ApiError(422, errors=[{"resource": "PullRequest", "code": "custom", "message": said}])
    found = call.services.reviews.open(
        call.repo,
        call.user,
        branch,
        base,
        title=call.text("title"),
        body=call.text("body"),
        source=source,
        draft=bool(call.fields.get("draft")),
    )
    return Answer(201, one_pull_of(call, found))


def one_pull_of(call: Call, found: Pull) -> Json:
    call.args = {**call.args, "number": str(found.number)}
    return one_pull(call)


def update_pull(call: Call) -> Json:
    found = call.pull()
    found.title, found.body = call.text("title", found.title), call.text("body", found.body)
    state = call.text("state", found.state)
    if state not in ("open", "closed", found.state):
        raise ApiError(422, errors=[{"resource": "PullRequest", "field": "state", "code": "invalid"}])
    action = "edited" if state == found.state else "reopened" if state == "open" else "closed"
    found.state = state
    call.services.reviews.update(call.repo, call.user, found, action)
    return one_pull(call)


def pull_commits(call: Call) -> Page:
    found, bare = call.pull(), call.repo.bare
    shas = list(reversed(bare.between(bare.branches().get(found.base, ""), found.sha, 250)))
    return Page(shas, lambda some: [commit(call.services, call.repo, one) for one in bare.commits(some)])


def pull_files(call: Call) -> Page:
    found, bare = call.pull(), call.repo.bare
    changes = bare.changes(bare.branches().get(found.base, ""), found.sha)
    return Page(
        changes,
        each(lambda change: {"filename": change[1], "status": LETTERS.get(change[0], "modified"), "sha": found.sha}),
    )


def pulls_of_commit(call: Call) -> Page:
    sha = call.commit_of(call.args["ref"])
    found = [one for one in call.repo.pulls.values() if one.sha == sha]
    return Page(found, each(lambda one: pull(call.services, call.repo, one)))


# -- comments


def comment(services: Services, repo: Repo, found: Comment) -> Json:
    url = f"{services.links.api}/repos/{repo.full_name}"
    return {
        "id": found.id,
        "node_id": node("IssueComment", found.id),
        "url": f"{url}/issues/comments/{found.id}",
        "html_url": f"{services.links.repo(repo.full_name)}/pull/{found.number}#issuecomment-{found.id}",
        "issue_url": f"{url}/issues/{found.number}",
        "body": found.body,
        "user": account(services.links, found.author),
        "created_at": iso(found.created),
        "updated_at": iso(found.updated),
        "author_association": "MEMBER",
    }


def _body(call: Call) -> str:
    body = call.fields.get("body")
    if not isinstance(body, str) or not body.strip():
        raise ApiError(422, errors=[{"resource": "IssueComment", "code": "missing_field", "field": "body"}])
    if len(body) > MAX_BODY:
        said = f"body is too long (maximum is {MAX_BODY} characters)"
        raise ApiError(422, errors=[{"resource": "IssueComment", "code": "custom", "field": "body", "message": said}])
    return body


def comments(call: Call) -> Page:
    number = call.pull().number
    return Page(
        [one for one in call.repo.comments.values() if one.number == number],
        each(lambda one: comment(call.services, call.repo, one)),
    )


def one_comment(call: Call) -> Json:
    return comment(call.services, call.repo, call.one_of(call.repo.comments, "id"))


def create_comment(call: Call) -> Answer:
    found = call.services.reviews.comment(call.repo, call.user, call.pull().number, _body(call))
    return Answer(201, comment(call.services, call.repo, found))


def update_comment(call: Call) -> Json:
    found: Comment = call.one_of(call.repo.comments, "id")
    if found.author is not call.user and not call.state.writes(call.token, call.repo):
        raise ApiError(403, "Must have admin rights to Repository.")
    call.services.reviews.edit(call.repo, call.user, found, _body(call))
    return comment(call.services, call.repo, found)


def delete_comment(call: Call) -> Answer:
    found: Comment = call.one_of(call.repo.comments, "id")
    del call.repo.comments[found.id]
    return Answer(204)


def issue(call: Call) -> Json:
    """Returns a pull request as the issue that it also is."""
    found = call.pull()
    document: dict[str, Any] = pull(call.services, call.repo, found)
    kept = (
        "id",
        "node_id",
        "number",
        "html_url",
        "comments_url",
        "state",
        "title",
        "body",
        "user",
        "created_at",
        "updated_at",
        "labels",
    )
    url = document["issue_url"]
    return {
        **{name: document[name] for name in kept},
        "url": url,
        "pull_request": {"url": document["url"], "html_url": document["html_url"]},
    }


_REPO = "/repos/{owner}/{repo}"
ROUTES = (
    Route("GET", f"{_REPO}/commits/{{ref*}}/pulls", pulls_of_commit),
    Route("GET", f"{_REPO}/pulls", pulls),
    Route("POST", f"{_REPO}/pulls", create_pull, "issue"),
    Route("GET", f"{_REPO}/pulls/{{number}}", one_pull),
    Route("PATCH", f"{_REPO}/pulls/{{number}}", update_pull),
    Route("GET", f"{_REPO}/pulls/{{number}}/commits", pull_commits),
    Route("GET", f"{_REPO}/pulls/{{number}}/files", pull_files),
    Route("GET", f"{_REPO}/issues/{{number}}", issue),
    Route("GET", f"{_REPO}/issues/{{number}}/comments", comments),
    Route("POST", f"{_REPO}/issues/{{number}}/comments", create_comment, "issue"),
    Route("GET", f"{_REPO}/issues/comments/{{id}}", one_comment),
    Route("PATCH", f"{_REPO}/issues/comments/{{id}}", update_comment, "issue"),
    Route("DELETE", f"{_REPO}/issues/comments/{{id}}", delete_comment),
)
