"""What GitHub's answers are made of: accounts, repositories, commits. `api` is the address of the API."""

from __future__ import annotations

from typing import Any

from ..bare import Commit, Person
from ..dialect import Services
from ..links import Links
from ..model import Repo, User
from ..times import iso

Json = dict[str, Any]


def account(links: Links, user: User) -> Json:
    url = f"{links.api}/users/{user.login}"
    return {
        "login": user.login,
        "id": user.id,
        "node_id": node("User", user.id),
        "avatar_url": f"{links.web}/avatars/{user.id}",
        "url": url,
        "html_url": f"{links.web}/{user.login}",
        "repos_url": f"{url}/repos",
        "type": "User",
        "site_admin": False,
    }


def node(kind: str, number: int) -> str:
    import base64

    return base64.b64encode(f"{kind}:{number}".encode()).decode()


def repository(services: Services, repo: Repo, writes: bool = True) -> Json:
    links = services.links
    url, page = f"{links.api}/repos/{repo.full_name}", links.repo(repo.full_name)
    document: Json = {
        "id": repo.id,
        "node_id": node("Repository", repo.id),
        "name": repo.name,
        "full_name": repo.full_name,
        "private": repo.private,
        "visibility": "private" if repo.private else "public",
        "owner": account(links, services.state.user(repo.owner)),
        "html_url": page,
        "description": None,
        "fork": repo.fork_of is not None,
        "url": url,
        **{f"{name}_url": f"{url}/{name}" for name in ("deployments", "events", "forks", "hooks", "tags")},
        **{f"{name}_url": f"{url}/{name}{{/sha}}" for name in ("commits", "statuses")},
        "branches_url": f"{url}/branches{{/branch}}",
        "pulls_url": f"{url}/pulls{{/number}}",
        "releases_url": f"{url}/releases{{/id}}",
        "issues_url": f"{url}/issues{{/number}}",
        "contents_url": f"{url}/contents/{{+path}}",
        "git_refs_url": f"{url}/git/refs{{/sha}}",
        "clone_url": f"{page}.git",
        "ssh_url": f"git@127.0.0.1:{repo.full_name}.git",
        "git_url": f"git://127.0.0.1/{repo.full_name}.git",
        "default_branch": repo.default_branch,
        "archived": False,
        "disabled": False,
        "has_issues": True,
        "created_at": iso(repo.created),
        "updated_at": iso(repo.pushed or repo.created),
        "pushed_at": iso(repo.pushed or repo.created),
        "permissions": {"admin": writes, "maintain": writes, "push": writes, "triage": True, "pull": True},
    }
    if repo.fork_of is not None:
        document["parent"] = document["source"] = repository(services, repo.fork_of)
    return document


def _person(person: Person) -> Json:
    return {"name": person.name, "email": person.email, "date": iso(person.at)}


def git_commit(url: str, found: Commit) -> Json:
    return {
        "url": f"{url}/git/commits/{found.sha}",
        "author": _person(found.author),
        "committer": _person(found.committer),
        "message": found.message,
        "tree": {"sha": found.tree, "url": f"{url}/git/trees/{found.tree}"},
        "comment_count": 0,
        "verification": {"verified": False, "reason": "unsigned", "signature": None, "payload": None},
    }


def commit(services: Services, repo: Repo, found: Commit) -> Json:
    url, page = f"{services.links.api}/repos/{repo.full_name}", services.links.repo(repo.full_name)
    return {
        "sha": found.sha,
        "node_id": node("Commit", repo.id),
        "commit": git_commit(url, found),
        "url": f"{url}/commits/{found.sha}",
        "html_url": f"{page}/commit/{found.sha}",
        "comments_url": f"{url}/commits/{found.sha}/comments",
        "author": by_email(services, found.author.email),
        "committer": by_email(services, found.committer.email),
        "parents": [
            {"sha": sha, "url": f"{url}/commits/{sha}", "html_url": f"{page}/commit/{sha}"} for sha in found.parents
        ],
    }


def by_email(services: Services, email: str) -> Json | None:
    """Returns the account that has an address, if one has."""
    user = next((user for user in services.state.users.values() if user.email == email), None)
    return account(services.links, user) if user else None
