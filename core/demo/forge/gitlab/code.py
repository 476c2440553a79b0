"""GitLab: accounts, projects, branches, commits, tags, files."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ..bare import Commit, Entry
from ..dialect import Call, Services
from ..exchange import Answer, ApiError, Page, each, text_answer
from ..model import Repo, User
from ..routing import Route
from ..times import iso_milliseconds, seconds

Json = dict[str, Any]


def person(services: Services, user: User) -> Json:
    return {
        "id": user.id,
        "username": user.login,
        "name": user.name,
        "state": "active",
        "locked": False,
        "avatar_url": None,
        "web_url": f"{services.links.web}/{user.login}",
    }


def me(call: Call) -> Json:
    return {
        **person(call.services, call.user),
        "email": call.user.email,
        "created_at": iso_milliseconds(1e9),
        "bot": False,
    }


def own_token(call: Call) -> Json:
    user, token = call.user, call.token
    return {
        "id": user.id,
        "name": "podium",
        "user_id": user.id,
        "scopes": sorted(token.scopes) if token else [],
        "active": True,
        "revoked": False,
        "created_at": iso_milliseconds(1e9),
        "expires_at": None,
    }


def version(call: Call) -> Json:
    return {"version": "18.6.0-ee", "revision": "0123456789a", "enterprise": True}


def users(call: Call) -> Page:
    name = call.query.get("username", "")
    found = [user for user in call.state.users.values() if name in ("", user.login)]
    return Page(found, each(partial(person, call.services)))


def project(services: Services, repo: Repo) -> Json:
    page = services.links.repo(repo.full_name)
    url = f"{services.links.api}/projects/{repo.id}"
    document: Json = {
        "id": repo.id,
        "name": repo.name,
        "path": repo.name,
        "name_with_namespace": f"{repo.owner} / {repo.name}",
        "path_with_namespace": repo.full_name,
        "description": None,
        "created_at": iso_milliseconds(repo.created),
        "last_activity_at": iso_milliseconds(repo.pushed or repo.created),
        "default_branch": repo.default_branch if repo.bare.branches() else None,
        "visibility": "private" if repo.private else "public",
        "http_url_to_repo": f"{page}.git",
        "ssh_url_to_repo": f"git@127.0.0.1:{repo.full_name}.git",
        "web_url": page,
        "namespace": {"id": 1, "name": repo.owner, "path": repo.owner, "kind": "group", "full_path": repo.owner},
        "archived": False,
        "empty_repo": not repo.bare.branches(),
        "permissions": {"project_access": {"access_level": 40, "notification_level": 3}, "group_access": None},
        "_links": {
            "self": url,
            "merge_requests": f"{url}/merge_requests",
            "repo_branches": f"{url}/repository/branches",
        },
    }
    if repo.fork_of is not None:
        document["forked_from_project"] = project(services, repo.fork_of)
    return document


def one_project(call: Call) -> Json:
    return project(call.services, call.repo)


def projects(call: Call) -> Page:
    found = [repo for repo in call.state.repos.values() if call.state.sees(call.token, repo)]
    return Page(found, each(partial(project, call.services)))


def yes(text: str) -> bool:
    return text.lower() in ("1", "t", "true", "y", "yes", "on")


# -- commits


def _at(when: int) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%S.000+00:00")


def commit(services: Services, repo: Repo, found: Commit) -> Json:
    return {
        "id": found.sha,
        "short_id": found.sha[:8],
        "created_at": _at(found.committer.at),
        "parent_ids": list(found.parents),
        "title": found.title,
        "message": found.message,
        "author_name": found.author.name,
        "author_email": found.author.email,
        "authored_date": _at(found.author.at),
        "committer_name": found.committer.name,
        "committer_email": found.committer.email,
        "committed_date": _at(found.committer.at),
        "trailers": {},
        "extended_trailers": {},
        "web_url": f"{services.links.repo(repo.full_name)}/-/commit/{found.sha}",
    }


def found_commit(call: Call, name: str) -> Commit:
    sha = call.repo.bare.resolve(name)
    found = call.repo.bare.commit(sha) if sha else None
    if found is None:
        raise ApiError(404, "404 Commit Not Found")
    return found


def commits(call: Call) -> Page:
    query, bare = call.query, call.repo.bare
    tip = bare.resolve(query.get("ref_name") or call.repo.default_branch)
    if not tip:
        raise ApiError(404, "404 Repository Not Found" if not bare.branches() else "404 Not Found")
    items = bare.history(tip, query.get("path", ""), seconds(query.get("since", "")), seconds(query.get("until", "")))

    def render(shas: Sequence[str]) -> list[Json]:
        return [commit(call.services, call.repo, found) for found in bare.commits(shas)]

    return Page(items, render)


def one_commit(call: Call) -> Json:
    found = found_commit(call, call.args["sha"])
    runs = [run for run in call.repo.runs.values() if run.sha == found.sha]
    last = {"id": runs[-1].id, "sha": found.sha, "ref": runs[-1].branch} if runs else None
    stats = {"additions": 0, "deletions": 0, "total": 0}
    return {
        **commit(call.services, call.repo, found),
        "stats": stats,
        "status": None,
        "project_id": call.repo.id,
        "last_pipeline": last,
    }


def diff(call: Call) -> Page:
    found = found_commit(call, call.args["sha"])
    return Page(call.repo.bare.changes(found.parents[0] if found.parents else "", found.sha), each(changed))


def changed(change: tuple[str, str]) -> Json:
    letter, path = change
    flags = {"new_file": letter == "A", "deleted_file": letter == "D", "renamed_file": False}
    return {"old_path": path, "new_path": path, "a_mode": "100644", "b_mode": "100644", "diff": "", **flags}


def compare(call: Call) -> Json:
    old, new = found_commit(call, call.query.get("from", "")), found_commit(call, call.query.get("to", ""))
    bare = call.repo.bare
    listed = [commit(call.services, call.repo, one) for one in bare.commits(bare.between(old.sha, new.sha)[::-1])]
    changes = [changed(change) for change in bare.changes(old.sha, new.sha)]
    return {
        "commit": listed[-1] if listed else None,
        "commits": listed,
        "diffs": changes,
        "compare_timeout": False,
        "compare_same_ref": old.sha == new.sha,
        "web_url": f"{call.links.repo(call.repo.full_name)}/-/compare/{old.sha}...{new.sha}",
    }


# -- branches and tags


def _branch(call: Call, pair: tuple[str, str]) -> Json:
    name, found = pair[0], found_commit(call, pair[1])
    default = name == call.repo.default_branch
    return {
        "name": name,
        "commit": commit(call.services, call.repo, found),
        "merged": False,
        "protected": default,
        "developers_can_push": False,
        "developers_can_merge": False,
        "can_push": True,
        "default": default,
        "web_url": f"{call.links.repo(call.repo.full_name)}/-/tree/{name}",
    }


def branches(call: Call) -> Page:
    found = [pair for pair in call.repo.bare.branches().items() if call.query.get("search", "") in pair[0]]
    return Page(found, each(partial(_branch, call)))


def branch(call: Call) -> Json:
    name = call.args["branch"]
    sha = call.repo.bare.branches().get(name)
    if sha is None:
        raise ApiError(404, "404 Branch Not Found")
    return _branch(call, (name, sha))


def create_branch(call: Call) -> Answer:
    name, sha = _wanted(call, "branch"), call.repo.bare.resolve(_wanted(call, "ref"))
    if not sha:
        raise ApiError(400, f"Invalid reference name: {_wanted(call, 'ref')}")
    if not call.repo.bare.set_ref(f"refs/heads/{name}", sha, "0" * 40):
        raise ApiError(400, "Branch already exists")
    call.state.notice_pushes(call.repo, call.user)
    return Answer(201, _branch(call, (name, sha)))


def delete_branch(call: Call) -> Answer:
    name = call.args["branch"]
    if name not in call.repo.bare.branches():
        raise ApiError(404, "404 Branch Not Found")
    call.repo.bare.set_ref(f"refs/heads/{name}", "")
    call.state.notice_pushes(call.repo, call.user)
    return Answer(204)


def _wanted(call: Call, name: str) -> str:
    value = call.text(name) or call.query.get(name, "")
    if not value:
        raise ApiError(400, f"{name} is missing")
    return value


def _tag(call: Call, pair: tuple[str, str]) -> Json:
    name, sha = pair
    found = found_commit(call, call.repo.bare.peeled(sha))
    release = next((one for one in call.repo.releases.values() if one.tag == name), None)
    return {
        "name": name,
        "message": "",
        "target": sha,
        "commit": commit(call.services, call.repo, found),
        "release": {"tag_name": name, "description": release.body} if release else None,
        "protected": False,
        "created_at": None,
    }


def tags(call: Call) -> Page:
    """`search` is a part of the name, or its beginning after a `^`."""
    wanted = call.query.get("search", "")
    beginning = wanted.removeprefix("^")
    found = [
        pair
        for pair in call.repo.bare.tags().items()
        if (pair[0].startswith(beginning) if wanted != beginning else wanted in pair[0])
    ]
    return Page(sorted(found, reverse=True), each(partial(_tag, call)))


def one_tag(call: Call) -> Json:
    name = call.args["tag"]
    if name not in call.repo.bare.tags():
        raise ApiError(404, "404 Tag Not Found")
    return _tag(call, (name, call.repo.bare.tags()[name]))


def create_tag(call: Call) -> Answer:
    name, sha = _wanted(call, "tag_name"), call.repo.bare.resolve(_wanted(call, "ref"))
    if not sha:
        raise ApiError(400, f"Target {_wanted(call, 'ref')} is invalid")
    if not call.repo.bare.set_ref(f"refs/tags/{name}", sha, "0" * 40):
        raise ApiError(400, f"Tag {name} already exists")
    call.state.notice_pushes(call.repo, call.user)
    return Answer(201, _tag(call, (name, sha)))


# -- files


def file(call: Call) -> Json:
    ref = _wanted(call, "ref")
    found = found_commit(call, ref)
    path, content = call.args["path"], _content(call, found)
    return {
        "file_name": path.rpartition("/")[2],
        "file_path": path,
        "size": len(content),
        "encoding": "base64",
        "content_sha256": hashlib.sha256(content).hexdigest(),
        "ref": ref,
        "blob_id": call.repo.bare.entries(found.sha, path)[0].sha,
        "commit_id": found.sha,
        "last_commit_id": found.sha,
        "execute_filemode": False,
        "content": base64.b64encode(content).decode(),
    }


def raw_file(call: Call) -> Answer:
    return text_answer(_content(call, found_commit(call, call.query.get("ref") or call.repo.default_branch)))


def _content(call: Call, found: Commit) -> bytes:
    content = call.repo.bare.file(found.sha, call.args["path"])
    if content is None:
        raise ApiError(404, "404 File Not Found")
    return content


def tree(call: Call) -> Page:
    found = found_commit(call, call.query.get("ref") or call.repo.default_branch)
    path = call.query.get("path", "").strip("/")
    return Page(call.repo.bare.entries(found.sha, f"{path}/" if path else ""), each(_entry))


def _entry(found: Entry) -> Json:
    name = found.path.rpartition("/")[2]
    mode = "040000" if found.kind == "tree" else "100644"
    return {"id": found.sha, "name": name, "type": found.kind, "path": found.path, "mode": mode}


_PROJECT = "/projects/{project}"
_REPOSITORY = f"{_PROJECT}/repository"
ROUTES = (
    Route("GET", "/user", me, "user"),
    Route("GET", "/users", users, "user"),
    Route("GET", "/personal_access_tokens/self", own_token, "none"),
    Route("GET", "/version", version, "user"),
    Route("GET", "/metadata", version, "user"),
    Route("GET", "/projects", projects),
    Route("GET", _PROJECT, one_project),
    Route("GET", f"{_REPOSITORY}/branches", branches),
    Route("POST", f"{_REPOSITORY}/branches", create_branch),
    Route("GET", f"{_REPOSITORY}/branches/{{branch}}", branch),
    Route("DELETE", f"{_REPOSITORY}/branches/{{branch}}", delete_branch),
    Route("GET", f"{_REPOSITORY}/tags", tags),
    Route("POST", f"{_REPOSITORY}/tags", create_tag),
    Route("GET", f"{_REPOSITORY}/tags/{{tag}}", one_tag),
    Route("GET", f"{_REPOSITORY}/commits", commits),
    Route("GET", f"{_REPOSITORY}/commits/{{sha}}", one_commit),
    Route("GET", f"{_REPOSITORY}/commits/{{sha}}/diff", diff),
    Route("GET", f"{_REPOSITORY}/compare", compare),
    Route("GET", f"{_REPOSITORY}/tree", tree),
    Route("GET", f"{_REPOSITORY}/files/{{path}}", file),
    Route("GET", f"{_REPOSITORY}/files/{{path}}/raw", raw_file),
)
