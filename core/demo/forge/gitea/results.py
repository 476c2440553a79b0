"""Gitea: commit statuses and releases. It has neither deployments nor check runs."""

from __future__ import annotations

from functools import partial

from .. import results
from ..bare import SHA
from ..dialect import Call, Services
from ..exchange import Answer, ApiError, Page, each
from ..model import Mark, Release, Repo
from ..routing import Route
from ..times import iso
from .code import Json, account, repository, url_of

_STATES = ("pending", "success", "error", "failure", "warning", "skipped")
_WORST_FIRST = ("error", "failure", "warning", "pending", "success", "skipped")


def status(services: Services, repo: Repo, mark: Mark) -> Json:
    return {
        "id": mark.id,
        "status": mark.state,
        "target_url": mark.url,
        "description": mark.description,
        "url": f"{services.links.api}/repos/{repo.full_name}/statuses/{mark.sha}",
        "context": mark.context,
        "creator": account(services, mark.by),
        "created_at": iso(mark.created),
        "updated_at": iso(mark.updated),
    }


def create_status(call: Call) -> Answer:
    word = call.text("state")
    if word not in _STATES:
        raise ApiError(422, f"invalid commit status state: {word}")
    sha = call.args["sha"]
    if not SHA.fullmatch(sha) or call.repo.bare.commit(sha) is None:
        raise ApiError(404, f"object does not exist [id: {sha}, rel_path: ]")
    said = {"description": call.text("description"), "url": call.text("target_url")}
    context = call.text("context", "default")
    mark = results.add_mark(call.state, call.repo, call.user, sha, context, word, **said)
    return Answer(201, status(call.services, call.repo, mark))


def statuses(call: Call) -> Page:
    marks = call.repo.marks.get(call.commit_of(call.args["ref"]), [])
    wanted = call.query.get("state", "")
    found = [mark for mark in marks if wanted in ("", mark.state)]
    return Page(found[::-1], each(partial(status, call.services, call.repo)))


def combined(call: Call) -> Json:
    sha = call.commit_of(call.args["ref"])
    newest = results.newest_marks(call.repo, sha)
    states = {mark.state for mark in newest}
    return {
        "state": next((state for state in _WORST_FIRST if state in states), ""),
        "sha": sha,
        "total_count": len(newest),
        "statuses": [status(call.services, call.repo, mark) for mark in newest],
        "repository": repository(call.services, call.repo),
        "commit_url": f"{url_of(call)}/commits/{sha}",
        "url": f"{url_of(call)}/commits/{sha}/status",
    }


# -- releases


def release(services: Services, repo: Repo, found: Release) -> Json:
    url, page = f"{services.links.api}/repos/{repo.full_name}/releases/{found.id}", services.links.repo(repo.full_name)
    return {
        "id": found.id,
        "tag_name": found.tag,
        "target_commitish": found.target,
        "name": found.name,
        "body": found.body,
        "url": url,
        "html_url": f"{page}/releases/tag/{found.tag}",
        "tarball_url": f"{page}/archive/{found.tag}.tar.gz",
        "zipball_url": f"{page}/archive/{found.tag}.zip",
        "upload_url": f"{url}/assets",
        "draft": found.draft,
        "prerelease": found.prerelease,
        "created_at": iso(found.created),
        "published_at": iso(found.created),
        "author": account(services, found.author),
        "assets": [],
    }


def releases(call: Call) -> Page:
    return Page(list(call.repo.releases.values())[::-1], each(partial(release, call.services, call.repo)))


def one_release(call: Call) -> Json:
    return release(call.services, call.repo, call.one_of(call.repo.releases, "id"))


def release_by_tag(call: Call) -> Json:
    found = next((one for one in call.repo.releases.values() if one.tag == call.args["tag"]), None)
    if found is None:
        raise ApiError(404)
    return release(call.services, call.repo, found)


def create_release(call: Call) -> Answer:
    tag, target = call.text("tag_name"), call.text("target_commitish")
    if not tag:
        raise ApiError(422, "[TagName]: Required")
    if any(one.tag == tag for one in call.repo.releases.values()):
        raise ApiError(409, "Release already exists")
    if tag not in call.repo.bare.tags() and not call.repo.bare.resolve(target or call.repo.default_branch):
        raise ApiError(404)
    more = {name: bool(call.fields.get(name)) for name in ("draft", "prerelease")}
    text = (call.text("name"), call.text("body"), target)
    found = results.add_release(call.state, call.repo, call.user, tag, *text, **more)
    return Answer(201, release(call.services, call.repo, found))


def update_release(call: Call) -> Json:
    found: Release = call.one_of(call.repo.releases, "id")
    found.name, found.body = call.text("name", found.name), call.text("body", found.body)
    return release(call.services, call.repo, found)


_REPO = "/repos/{owner}/{repo}"
ROUTES = (
    Route("POST", f"{_REPO}/statuses/{{sha}}", create_status),
    Route("GET", f"{_REPO}/statuses/{{ref*}}", statuses),
    Route("GET", f"{_REPO}/commits/{{ref*}}/statuses", statuses),
    Route("GET", f"{_REPO}/commits/{{ref*}}/status", combined),
    Route("GET", f"{_REPO}/releases", releases),
    Route("POST", f"{_REPO}/releases", create_release),
    Route("GET", f"{_REPO}/releases/tags/{{tag*}}", release_by_tag),
    Route("GET", f"{_REPO}/releases/{{id}}", one_release),
    Route("PATCH", f"{_REPO}/releases/{{id}}", update_release),
)
