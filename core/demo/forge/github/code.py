"""GitHub: accounts, repositories, branches, commits, tags, refs, files."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import partial
from typing import Any

from ..bare import SHA, Entry
from ..dialect import Call
from ..exchange import Answer, ApiError, Page, each
from ..model import Pushed
from ..routing import Route
from ..times import iso, seconds
from .render import Json, account, commit, git_commit, node, repository

LETTERS = {"A": "added", "D": "removed", "M": "modified", "T": "changed"}
_MAX_FILE = 1 << 20  # bytes that are answered as JSON


def me(call: Call) -> Json:
    user = call.user
    if call.token is not None and call.token.app:
        raise ApiError(403, "Resource not accessible by integration")
    return {
        **account(call.links, user),
        "name": user.name,
        "email": user.email,
        **dict.fromkeys(("company", "location", "hireable", "bio")),
        "blog": "",
        **dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0),
        **dict.fromkeys(("private_gists", "total_private_repos", "owned_private_repos", "disk_usage"), 0),
        "collaborators": 0,
        "two_factor_authentication": False,
        "created_at": iso(1e9),
        "updated_at": iso(1e9),
    }


def someone(call: Call) -> Json:
    user = call.state.users.get(call.args["login"])
    if user is None:
        raise ApiError(404, "Not Found")
    return {**account(call.links, user), "name": user.name, "email": user.email}


def rate_limit(call: Call) -> Json:
    bucket = call.services.rates.bucket(call.token.user.login if call.token else "")
    limit, remaining, used, reset = (int(value) for value in bucket.headers().values())
    core = {"limit": limit, "remaining": remaining, "used": used, "reset": reset}
    return {"resources": {"core": core, "search": core}, "rate": core}


def meta(call: Call) -> Json:
    return {"installed_version": "3.17.0", "verifiable_password_authentication": False}


def own_repos(call: Call) -> Page:
    visible = [repo for repo in call.state.repos.values() if call.state.writes(call.token, repo)]
    return Page(visible, each(lambda repo: repository(call.services, repo)))


def get_repo(call: Call) -> Json:
    return repository(call.services, call.repo, call.state.writes(call.token, call.repo))


def forks(call: Call) -> Page:
    found = [repo for repo in call.state.repos.values() if repo.fork_of is call.repo]
    return Page(found, each(lambda repo: repository(call.services, repo)))


def _url(call: Call) -> str:
    return f"{call.links.api}/repos/{call.repo.full_name}"


def _branch(call: Call, pair: tuple[str, str]) -> Json:
    name, sha = pair
    return {"name": name, "commit": {"sha": sha, "url": f"{_url(call)}/commits/{sha}"}, "protected": False}


def branches(call: Call) -> Page:
    return Page(list(call.repo.bare.branches().items()), each(partial(_branch, call)))


def branch(call: Call) -> Json:
    name = call.args["branch"]
    sha = call.repo.bare.branches().get(name)
    found = call.repo.bare.commit(sha) if sha else None
    if not sha or found is None:
        raise ApiError(404, "Branch not found")
    links = {"self": f"{_url(call)}/branches/{name}", "html": f"{call.links.repo(call.repo.full_name)}/tree/{name}"}
    document = _branch(call, (name, sha))
    return {
        **document,
        "commit": commit(call.services, call.repo, found),
        "_links": links,
        "protection_url": f"{links['self']}/protection",
    }


def tags(call: Call) -> Page:
    bare, page = call.repo.bare, _url(call)

    def one(pair: tuple[str, str]) -> Json:
        name, sha = pair[0], bare.peeled(pair[1])
        archives = {
            "zipball_url": f"{page}/zipball/refs/tags/{name}",
            "tarball_url": f"{page}/tarball/refs/tags/{name}",
        }
        return {
            "name": name,
            "commit": {"sha": sha, "url": f"{page}/commits/{sha}"},
            "node_id": node("Ref", 1),
            **archives,
        }

    return Page(sorted(bare.tags().items(), reverse=True), each(one))


def commits(call: Call) -> Page:
    query, bare = call.query, call.repo.bare
    tip = bare.resolve(query.get("sha") or call.repo.default_branch)
    if not tip:
        if not bare.branches():
            raise ApiError(409, "Git Repository is empty.")
        raise ApiError(404, "Not Found")
    items = bare.history(tip, query.get("path", ""), seconds(query.get("since", "")), seconds(query.get("until", "")))

    def render(shas: Sequence[str]) -> list[Json]:
        return [commit(call.services, call.repo, found) for found in bare.commits(shas)]

    return Page(items, render)


def one_commit(call: Call) -> Json | Answer:
    ref, bare = call.args["ref"], call.repo.bare
    sha = bare.resolve(ref)
    found = bare.commit(sha) if sha else None
    if found is None:
        raise ApiError(422, f"No commit found for SHA: {ref}")
    if "sha" in call.request.headers.get("accept", "").split(".")[-1]:
        return Answer(200, content=sha.encode(), kind="application/vnd.github.sha; charset=utf-8")
    base = found.parents[0] if found.parents else ""
    return {**commit(call.services, call.repo, found), **_files(call, base, sha)}


def _files(call: Call, old: str, new: str) -> Json:
    files = [
        {
            "filename": path,
            "status": LETTERS.get(letter, "modified"),
            "sha": new,
            "additions": 0,
            "deletions": 0,
            "changes": 0,
        }
        for letter, path in call.repo.bare.changes(old, new)
    ]
    return {"stats": {"total": 0, "additions": 0, "deletions": 0}, "files": files}


def compare(call: Call) -> Json:
    old, dots, new = call.args["basehead"].partition("...")
    if not dots:
        raise ApiError(404, "Not Found")
    bare = call.repo.bare
    base, head = call.commit_of(old), call.commit_of(new)
    ahead, behind = bare.between(base, head), bare.between(head, base)
    words = {(True, True): "diverged", (True, False): "ahead", (False, True): "behind", (False, False): "identical"}
    listed = [commit(call.services, call.repo, found) for found in bare.commits(list(reversed(ahead))[:250])]
    return {
        "url": f"{_url(call)}/compare/{old}...{new}",
        "status": words[bool(ahead), bool(behind)],
        "ahead_by": len(ahead),
        "behind_by": len(behind),
        "total_commits": len(ahead),
        "commits": listed,
        "files": _files(call, base, head)["files"],
    }


# -- refs and objects


def _ref(call: Call, name: str, sha: str) -> Json:
    kind = "commit" if call.repo.bare.peeled(sha) == sha else "tag"
    target = {"type": kind, "sha": sha, "url": f"{_url(call)}/git/{kind}s/{sha}"}
    return {"ref": name, "node_id": node("Ref", 1), "url": f"{_url(call)}/git/{name}", "object": target}


def get_ref(call: Call) -> Json:
    name = f"refs/{call.args['ref']}"
    sha = call.repo.bare.refs().get(name)
    if sha is None:
        raise ApiError(404, "Not Found")
    return _ref(call, name, sha)


def matching_refs(call: Call) -> Page:
    prefix = f"refs/{call.args.get('ref', '')}"
    found = [(name, sha) for name, sha in call.repo.bare.refs().items() if name.startswith(prefix)]
    return Page(found, each(lambda pair: _ref(call, *pair)))


def _exists(call: Call, sha: str) -> None:
    if not SHA.fullmatch(sha) or not call.repo.bare.peeled(sha):
        raise ApiError(422, "Object does not exist")


def create_ref(call: Call) -> Answer:
    name, sha = call.text("ref"), call.text("sha")
    if not name.startswith("refs/") or name.count("/") < 2:
        raise ApiError(422, "Reference name must start with 'refs/' and have at least two slashes.")
    _exists(call, sha)
    if not call.repo.bare.set_ref(name, sha, "0" * 40):
        raise ApiError(422, "Reference already exists")
    call.state.notice_pushes(call.repo, call.user)
    return Answer(201, _ref(call, name, sha))


def update_ref(call: Call) -> Json:
    name, sha, bare = f"refs/{call.args['ref']}", call.text("sha"), call.repo.bare
    old = bare.refs().get(name)
    if old is None:
        raise ApiError(422, "Reference does not exist")
    _exists(call, sha)
    if not call.fields.get("force") and not bare.is_ancestor(old, sha):
        raise ApiError(422, "Update is not a fast forward")
    if not bare.set_ref(name, sha, old):
        raise ApiError(409, "Reference cannot be updated")
    call.state.notice_pushes(call.repo, call.user)
    return _ref(call, name, sha)


def delete_ref(call: Call) -> Answer:
    name = f"refs/{call.args['ref']}"
    if name not in call.repo.bare.refs():
        raise ApiError(422, "Reference does not exist")
    call.repo.bare.set_ref(name, "")
    call.state.notice_pushes(call.repo, call.user)
    return Answer(204)


def object_commit(call: Call) -> Json:
    found = call.repo.bare.commit(call.args["sha"])
    if found is None:
        raise ApiError(404, "Not Found")
    parents = [{"sha": sha, "url": f"{_url(call)}/git/commits/{sha}"} for sha in found.parents]
    return {"sha": found.sha, **git_commit(_url(call), found), "parents": parents}


# -- files


def contents(call: Call) -> Any:
    path, bare = call.args.get("path", "").strip("/"), call.repo.bare
    sha = call.commit_of(call.query.get("ref") or call.repo.default_branch)
    found = bare.entries(sha, path) if path else []
    if path and found and found[0].kind == "blob":
        return _file(call, sha, found[0])
    below = bare.entries(sha, f"{path}/" if path else "")
    if not below:
        raise ApiError(404, "Not Found")
    return [_entry(call, entry) for entry in below]


def _file(call: Call, sha: str, entry: Entry) -> Any:
    content = call.repo.bare.file(sha, entry.path) or b""
    if "raw" in call.request.headers.get("accept", ""):
        return Answer(200, content=content, kind="application/vnd.github.raw+json; charset=utf-8")
    whole = len(content) <= _MAX_FILE
    text = base64.encodebytes(content).decode() if whole else ""
    return {**_entry(call, entry), "content": text, "encoding": "base64" if whole else "none"}


def _entry(call: Call, entry: Entry) -> Json:
    kind = {"blob": "file", "tree": "dir"}.get(entry.kind, "submodule")
    url = f"{_url(call)}/contents/{entry.path}"
    place = f"{'blob' if kind == 'file' else 'tree'}/{call.repo.default_branch}/{entry.path}"
    return {
        "type": kind,
        "name": entry.path.rpartition("/")[2],
        "path": entry.path,
        "sha": entry.sha,
        "size": entry.size,
        "url": url,
        "html_url": f"{call.links.repo(call.repo.full_name)}/{place}",
        "git_url": f"{_url(call)}/git/blobs/{entry.sha}",
        "download_url": None,
    }


def repo_events(call: Call) -> Page:
    call.headers["X-Poll-Interval"] = str(call.services.options.poll_interval)
    return Page(list(reversed(call.repo.pushes)), each(lambda pushed: _push_event(call, pushed)))


def _push_event(call: Call, pushed: Pushed) -> Json:
    repo, zero = call.repo, "0" * 40
    payload = {"ref": pushed.ref, "head": pushed.new or zero, "before": pushed.old or zero, "push_id": pushed.id}
    return {
        "id": str(pushed.id),
        "type": "PushEvent",
        "actor": account(call.links, pushed.by),
        "repo": {"id": repo.id, "name": repo.full_name, "url": _url(call)},
        "payload": payload,
        "public": not repo.private,
        "created_at": iso(pushed.at),
    }


_REPO = "/repos/{owner}/{repo}"
ROUTES = (
    Route("GET", "/", meta, "none"),
    Route("GET", "/meta", meta, "none"),
    Route("GET", "/rate_limit", rate_limit, "none"),
    Route("GET", "/user", me, "user"),
    Route("GET", "/user/repos", own_repos, "repo"),
    Route("GET", "/users/{login}", someone, "user"),
    Route("GET", _REPO, get_repo),
    Route("GET", f"{_REPO}/forks", forks),
    Route("GET", f"{_REPO}/events", repo_events),
    Route("GET", f"{_REPO}/branches", branches),
    Route("GET", f"{_REPO}/branches/{{branch*}}", branch),
    Route("GET", f"{_REPO}/tags", tags),
    Route("GET", f"{_REPO}/commits", commits),
    Route("GET", f"{_REPO}/compare/{{basehead*}}", compare),
    Route("GET", f"{_REPO}/git/commits/{{sha}}", object_commit),
    Route("GET", f"{_REPO}/git/ref/{{ref*}}", get_ref),
    Route("GET", f"{_REPO}/git/refs", matching_refs),
    Route("GET", f"{_REPO}/git/matching-refs/{{ref*}}", matching_refs),
    Route("POST", f"{_REPO}/git/refs", create_ref),
    Route("PATCH", f"{_REPO}/git/refs/{{ref*}}", update_ref),
    Route("DELETE", f"{_REPO}/git/refs/{{ref*}}", delete_ref),
    Route("GET", f"{_REPO}/contents", contents),
    Route("GET", f"{_REPO}/contents/{{path*}}", contents),
)
LAST_ROUTES = (Route("GET", f"{_REPO}/commits/{{ref*}}", one_commit),)
