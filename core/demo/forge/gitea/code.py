"""Gitea: accounts, repositories, branches, commits, tags, refs, files."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Any

from ..bare import Commit, Entry, Person
from ..dialect import Call, Services
from ..exchange import Answer, ApiError, Page, each
from ..model import Repo, User
from ..routing import Route
from ..times import iso, seconds

Json = dict[str, Any]


def account(services: Services, user: User) -> Json:
    return {
        "id": user.id,
        "login": user.login,
        "login_name": "",
        "source_id": 0,
        "full_name": user.name,
        "email": user.email,
        "avatar_url": f"{services.links.web}/avatars/{user.id}",
        "html_url": f"{services.links.web}/{user.login}",
        "language": "",
        "is_admin": False,
        "last_login": iso(1e9),
        "created": iso(1e9),
        "restricted": False,
        "active": False,
        "prohibit_login": False,
        "location": "",
        "website": "",
        "description": "",
        "visibility": "public",
        "followers_count": 0,
        "following_count": 0,
        "starred_repos_count": 0,
        "username": user.login,
    }


def me(call: Call) -> Json:
    return account(call.services, call.user)


def someone(call: Call) -> Json:
    user = call.state.users.get(call.args["login"])
    if user is None:
        raise ApiError(404, "user redirect does not exist [name: " + call.args["login"] + "]")
    return account(call.services, user)


def version(call: Call) -> Json:
    return {"version": "1.25.1"}


def repository(services: Services, repo: Repo, writes: bool = True) -> Json:
    page = services.links.repo(repo.full_name)
    url = f"{services.links.api}/repos/{repo.full_name}"
    return {
        "id": repo.id,
        "owner": account(services, services.state.user(repo.owner)),
        "name": repo.name,
        "full_name": repo.full_name,
        "description": "",
        "empty": not repo.bare.branches(),
        "private": repo.private,
        "fork": repo.fork_of is not None,
        "template": False,
        "parent": repository(services, repo.fork_of) if repo.fork_of else None,
        "mirror": False,
        "size": 1,
        "language": "",
        "languages_url": f"{url}/languages",
        "html_url": page,
        "url": url,
        "link": "",
        "ssh_url": f"git@127.0.0.1:{repo.full_name}.git",
        "clone_url": f"{page}.git",
        "original_url": "",
        "website": "",
        "stars_count": 0,
        "forks_count": 0,
        "watchers_count": 1,
        "open_issues_count": 0,
        "open_pr_counter": sum(pull.state == "open" for pull in repo.pulls.values()),
        "release_counter": len(repo.releases),
        "default_branch": repo.default_branch,
        "archived": False,
        "created_at": iso(repo.created),
        "updated_at": iso(repo.pushed or repo.created),
        "permissions": {"admin": writes, "push": writes, "pull": True},
        "has_issues": True,
        "has_pull_requests": True,
        "has_releases": True,
        "has_actions": True,
        "internal": False,
        "avatar_url": "",
        "object_format_name": "sha1",
        "topics": [],
        "licenses": [],
    }


def one_repo(call: Call) -> Json:
    return repository(call.services, call.repo, call.state.writes(call.token, call.repo))


def own_repos(call: Call) -> Page:
    found = [repo for repo in call.state.repos.values() if call.state.sees(call.token, repo)]
    return Page(found, each(partial(repository, call.services)))


def forks(call: Call) -> Page:
    found = [repo for repo in call.state.repos.values() if repo.fork_of is call.repo]
    return Page(found, each(partial(repository, call.services)))


def url_of(call: Call) -> str:
    return f"{call.links.api}/repos/{call.repo.full_name}"


# -- commits


def _person(person: Person) -> Json:
    return {"name": person.name, "email": person.email, "date": iso(person.at)}


def by_email(services: Services, email: str) -> Json | None:
    user = next((user for user in services.state.users.values() if user.email == email), None)
    return account(services, user) if user else None


def unsigned() -> Json:
    return {"verified": False, "reason": "gpg.error.not_signed_commit", "signature": "", "signer": None, "payload": ""}


def commit(services: Services, repo: Repo, found: Commit) -> Json:
    url, page = f"{services.links.api}/repos/{repo.full_name}", services.links.repo(repo.full_name)
    at = iso(found.committer.at)
    parents = [{"url": f"{url}/git/commits/{sha}", "sha": sha, "created": iso(1e9)} for sha in found.parents]
    return {
        "url": f"{url}/git/commits/{found.sha}",
        "sha": found.sha,
        "created": at,
        "html_url": f"{page}/commit/{found.sha}",
        "commit": {
            "url": f"{url}/git/commits/{found.sha}",
            "author": _person(found.author),
            "committer": _person(found.committer),
            "message": f"{found.message}\n",
            "tree": {"url": f"{url}/git/trees/{found.tree}", "sha": found.tree, "created": at},
            "verification": unsigned(),
        },
        "author": by_email(services, found.author.email),
        "committer": by_email(services, found.committer.email),
        "parents": parents,
        "files": [],
        "stats": {"total": 0, "additions": 0, "deletions": 0},
    }


def commits(call: Call) -> Page:
    query, bare = call.query, call.repo.bare
    if not bare.branches():
        raise ApiError(409, "Git Repository is empty.")
    tip = call.commit_of(query.get("sha") or call.repo.default_branch)
    items = bare.history(tip, query.get("path", ""), seconds(query.get("since", "")), seconds(query.get("until", "")))
    call.headers["X-Total"] = str(len(items))

    def render(shas: Sequence[str]) -> list[Json]:
        return [commit(call.services, call.repo, found) for found in bare.commits(shas)]

    return Page(items, render)


def one_commit(call: Call) -> Json:
    found = call.repo.bare.commit(call.commit_of(call.args["sha"]))
    if found is None:
        raise ApiError(404)
    return commit(call.services, call.repo, found)


def payload_commit(services: Services, repo: Repo, found: Commit) -> Json:
    """Returns a commit as branches and webhooks have it."""
    author, committer = (
        {"name": one.name, "email": one.email, "username": ""} for one in (found.author, found.committer)
    )
    return {
        "id": found.sha,
        "message": f"{found.message}\n",
        "url": f"{services.links.repo(repo.full_name)}/commit/{found.sha}",
        "author": author,
        "committer": committer,
        "verification": unsigned(),
        "timestamp": iso(found.committer.at),
        "added": [],
        "removed": [],
        "modified": [],
    }


# -- branches, tags, refs


def _branch(call: Call, pair: tuple[str, str]) -> Json:
    found = call.repo.bare.commit(pair[1])
    return {
        "name": pair[0],
        "commit": payload_commit(call.services, call.repo, found) if found else None,
        "protected": False,
        "required_approvals": 0,
        "enable_status_check": False,
        "status_check_contexts": [],
        "user_can_push": True,
        "user_can_merge": True,
        "effective_branch_protection_name": "",
    }


def branches(call: Call) -> Page:
    return Page(list(call.repo.bare.branches().items()), each(partial(_branch, call)))


def branch(call: Call) -> Json:
    name = call.args["branch"]
    sha = call.repo.bare.branches().get(name)
    if sha is None:
        raise ApiError(404, f"branch does not exist [repo_id: {call.repo.id} name: {name}]")
    return _branch(call, (name, sha))


def create_branch(call: Call) -> Answer:
    name = call.text("new_branch_name")
    if not name:
        raise ApiError(422, "[NewBranchName]: Required")
    old = call.text("old_ref_name") or call.text("old_branch_name")
    sha = call.commit_of(old or call.repo.default_branch)
    if not call.repo.bare.set_ref(f"refs/heads/{name}", sha, "0" * 40):
        raise ApiError(409, "The branch already exists.")
    call.state.notice_pushes(call.repo, call.user)
    return Answer(201, _branch(call, (name, sha)))


def delete_branch(call: Call) -> Answer:
    name = call.args["branch"]
    if name not in call.repo.bare.branches():
        raise ApiError(404)
    if name == call.repo.default_branch:
        raise ApiError(403, "can not delete default branch")
    call.repo.bare.set_ref(f"refs/heads/{name}", "")
    call.state.notice_pushes(call.repo, call.user)
    return Answer(204)


def _tag(call: Call, pair: tuple[str, str]) -> Json:
    name, sha = pair
    meta = {"url": f"{url_of(call)}/git/commits/{sha}", "sha": call.repo.bare.peeled(sha), "created": iso(1e9)}
    page = f"{call.links.repo(call.repo.full_name)}/archive/{name}"
    return {
        "name": name,
        "message": "",
        "id": sha,
        "commit": meta,
        "zipball_url": f"{page}.zip",
        "tarball_url": f"{page}.tar.gz",
    }


def tags(call: Call) -> Page:
    return Page(sorted(call.repo.bare.tags().items(), reverse=True), each(partial(_tag, call)))


def one_tag(call: Call) -> Json:
    name = call.args["tag"]
    if name not in call.repo.bare.tags():
        raise ApiError(404)
    return _tag(call, (name, call.repo.bare.tags()[name]))


def create_tag(call: Call) -> Answer:
    name = call.text("tag_name")
    if not name:
        raise ApiError(422, "[TagName]: Required")
    sha = call.commit_of(call.text("target") or call.repo.default_branch)
    if not call.repo.bare.set_ref(f"refs/tags/{name}", sha, "0" * 40):
        raise ApiError(409, "tag already exists")
    call.state.notice_pushes(call.repo, call.user)
    return Answer(201, _tag(call, (name, sha)))


def refs(call: Call) -> Page:
    prefix = f"refs/{call.args.get('ref', '')}"
    found = [(name, sha) for name, sha in call.repo.bare.refs().items() if name.startswith(prefix)]
    if not found:
        raise ApiError(404)
    return Page(found, each(partial(_ref, call)))


def _ref(call: Call, pair: tuple[str, str]) -> Json:
    name, sha = pair
    kind = "commit" if call.repo.bare.peeled(sha) == sha else "tag"
    target = {"type": kind, "sha": sha, "url": f"{url_of(call)}/git/{kind}s/{sha}"}
    return {"ref": name, "url": f"{url_of(call)}/git/{name}", "object": target}


# -- files


def contents(call: Call) -> Any:
    path, bare = call.args.get("path", "").strip("/"), call.repo.bare
    sha = call.commit_of(call.query.get("ref") or call.repo.default_branch)
    found = bare.entries(sha, path) if path else []
    if found and found[0].kind == "blob":
        text = base64.b64encode(bare.file(sha, path) or b"").decode()
        return {**_entry(call, sha, found[0]), "encoding": "base64", "content": text}
    below = bare.entries(sha, f"{path}/" if path else "")
    if not below:
        raise ApiError(404, f"object does not exist [id: , rel_path: {path}]")
    return [_entry(call, sha, entry) for entry in below]


def _entry(call: Call, sha: str, entry: Entry) -> Json:
    url = f"{url_of(call)}/contents/{entry.path}"
    page = f"{call.links.repo(call.repo.full_name)}/src/commit/{sha}/{entry.path}"
    git = f"{url_of(call)}/git/blobs/{entry.sha}"
    return {
        "name": entry.path.rpartition("/")[2],
        "path": entry.path,
        "sha": entry.sha,
        "last_commit_sha": sha,
        "type": {"blob": "file", "tree": "dir"}.get(entry.kind, "submodule"),
        "size": entry.size,
        "encoding": None,
        "content": None,
        "target": None,
        "url": url,
        "html_url": page,
        "git_url": git,
        "download_url": f"{call.links.repo(call.repo.full_name)}/raw/commit/{sha}/{entry.path}",
        "submodule_git_url": None,
        "_links": {"self": url, "git": git, "html": page},
    }


def raw(call: Call) -> Answer:
    """Returns a file as it is. It is the one answer of Gitea that has an ETag."""
    sha = call.commit_of(call.query.get("ref") or call.repo.default_branch)
    content = call.repo.bare.file(sha, call.args["path"])
    if content is None:
        raise ApiError(404)
    tag = f'"{hashlib.sha256(content).hexdigest()}"'
    if call.request.headers.get("if-none-match") == tag:
        return Answer(304, content=b"", headers={"ETag": tag})
    return Answer(200, content=content, kind="application/octet-stream", headers={"ETag": tag})


_REPO = "/repos/{owner}/{repo}"
ROUTES = (
    Route("GET", "/version", version, "none"),
    Route("GET", "/user", me, "user"),
    Route("GET", "/user/repos", own_repos),
    Route("GET", "/users/{login}", someone, "user"),
    Route("GET", _REPO, one_repo),
    Route("GET", f"{_REPO}/forks", forks),
    Route("GET", f"{_REPO}/branches", branches),
    Route("POST", f"{_REPO}/branches", create_branch),
    Route("GET", f"{_REPO}/branches/{{branch*}}", branch),
    Route("DELETE", f"{_REPO}/branches/{{branch*}}", delete_branch),
    Route("GET", f"{_REPO}/tags", tags),
    Route("POST", f"{_REPO}/tags", create_tag),
    Route("GET", f"{_REPO}/tags/{{tag*}}", one_tag),
    Route("GET", f"{_REPO}/commits", commits),
    Route("GET", f"{_REPO}/git/commits/{{sha}}", one_commit),
    Route("GET", f"{_REPO}/git/refs", refs),
    Route("GET", f"{_REPO}/git/refs/{{ref*}}", refs),
    Route("GET", f"{_REPO}/contents", contents),
    Route("GET", f"{_REPO}/contents/{{path*}}", contents),
    Route("GET", f"{_REPO}/raw/{{path*}}", raw),
)
