"""What GitHub's answers are made of: accounts, repositories, commits. `api` is the address of the API."""

from __future__ import annotations

from typing import Any

from ..bare import Commit, Person
from ..dialect import Services
from ..links import Links
from ..model import Repo, User
from ..times import iso

Json = dict[str, Any]

# What an account and a repository link to, below their own addresses: GitHub's answers have all of them.
_OF_ACCOUNT = {
    "followers": "followers",
    "following": "following{/other_user}",
    "gists": "gists{/gist_id}",
    "starred": "starred{/owner}{/repo}",
    "subscriptions": "subscriptions",
    "organizations": "orgs",
    "repos": "repos",
    "events": "events{/privacy}",
    "received_events": "received_events",
}
_OF_REPOSITORY = {
    "archive": "{archive_format}{/ref}",
    "assignees": "assignees{/user}",
    "blobs": "git/blobs{/sha}",
    "branches": "branches{/branch}",
    "collaborators": "collaborators{/collaborator}",
    "comments": "comments{/number}",
    "commits": "commits{/sha}",
    "compare": "compare/{base}...{head}",
    "contents": "contents/{+path}",
    "contributors": "contributors",
    "deployments": "deployments",
    "downloads": "downloads",
    "events": "events",
    "forks": "forks",
    "git_commits": "git/commits{/sha}",
    "git_refs": "git/refs{/sha}",
    "git_tags": "git/tags{/sha}",
    "hooks": "hooks",
    "issue_comment": "issues/comments{/number}",
    "issue_events": "issues/events{/number}",
    "issues": "issues{/number}",
    "keys": "keys{/key_id}",
    "labels": "labels{/name}",
    "languages": "languages",
    "merges": "merges",
    "milestones": "milestones{/number}",
    "notifications": "notifications{?since,all,participating}",
    "pulls": "pulls{/number}",
    "releases": "releases{/id}",
    "stargazers": "stargazers",
    "statuses": "statuses/{sha}",
    "subscribers": "subscribers",
    "subscription": "subscription",
    "tags": "tags",
    "teams": "teams",
    "trees": "git/trees{/sha}",
}
PERMISSIONS = {"checks": "write", "contents": "read", "statuses": "write", "deployments": "write", "actions": "write"}
"""What the App may do."""
_NOTHING_YET = (
    *("forks", "forks_count", "stargazers_count", "watchers", "watchers_count", "open_issues", "open_issues_count"),
    *("size", "network_count", "subscribers_count"),
)


def account(links: Links, user: User) -> Json:
    url = f"{links.api}/users/{user.login}"
    return {
        "login": user.login,
        "id": user.id,
        "node_id": node("User", user.id),
        "avatar_url": f"{links.web}/avatars/{user.id}",
        "url": url,
        "html_url": f"{links.web}/{user.login}",
        "gravatar_id": "",
        **{f"{name}_url": f"{url}/{below}" for name, below in _OF_ACCOUNT.items()},
        "type": "User",
        "site_admin": False,
    }


def app(links: Links, owner: User, number: int) -> Json:
    """Returns the one App that there is."""
    return {
        "id": number,
        "node_id": node("App", number),
        "slug": "podium",
        "name": "Podium",
        "owner": account(links, owner),
        "description": "",
        "external_url": links.web,
        "html_url": f"{links.web}/apps/podium",
        "created_at": iso(1e9),
        "updated_at": iso(1e9),
        "permissions": PERMISSIONS,
        "events": [],
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
        **{f"{name}_url": f"{url}/{below}" for name, below in _OF_REPOSITORY.items()},
        "clone_url": f"{page}.git",
        "ssh_url": f"git@127.0.0.1:{repo.full_name}.git",
        "git_url": f"git://127.0.0.1/{repo.full_name}.git",
        "svn_url": page,
        **dict.fromkeys(("mirror_url", "homepage", "language", "license")),
        **dict.fromkeys(_NOTHING_YET, 0),
        "default_branch": repo.default_branch,
        **dict.fromkeys(
            ("archived", "disabled", "has_projects", "has_wiki", "has_pages", "has_discussions", "has_downloads"), False
        ),
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
