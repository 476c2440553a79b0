"""Where a repository's pages are on its host: nobody is asked."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from ...domain.project import Host
from ...errors import Refused

# The host that is meant where podium.yaml names none.
PUBLIC = {"github": "https://github.com", "gitlab": "https://gitlab.com"}
# Where a commit is below its repository.
_COMMITS = {"github": "commit", "gitlab": "-/commit", "gitea": "commit"}


def commit_below(kind: str, repository: str, sha: str) -> str:
    """Returns the address of a commit's page, given that of its repository; empty where that has none."""
    return f"{repository}/{_COMMITS[kind]}/{quote(sha, safe='')}" if kind in _COMMITS and repository else ""


def commit_page(host: Host | None, sha: str) -> str:
    """Returns the http(s) address of a commit's page. Raises Refused if podium.yaml does not say where it is."""
    if host is None:
        raise Refused("podium.yaml names no Git host", hint="git.host says where the repository is: kind and repo")
    if host.kind not in _COMMITS:
        raise Refused(f"where {host.kind} has its pages is not known")
    url = host.url or PUBLIC.get(host.kind, "")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise Refused(f"git.host.url is no address of a {host.kind}", hint="git.host.url: https://git.example.com")
    return commit_below(host.kind, f"{url.rstrip('/')}/{quote(host.repo)}", sha)
