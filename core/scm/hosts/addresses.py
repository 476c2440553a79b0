"""Where a repository's pages are on its host, from podium.yaml alone: nobody is asked."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from ...domain.project import Host
from ...errors import Refused

# kind -> (the host's own address, where a commit is below the repository)
_PAGES = {
    "github": ("https://github.com", "commit"),
    "gitlab": ("https://gitlab.com", "-/commit"),
    "gitea": ("", "commit"),
}


def commit_page(host: Host | None, sha: str) -> str:
    """Returns the http(s) address of a commit's page. Raises Refused if podium.yaml does not say where it is."""
    if host is None:
        raise Refused("podium.yaml names no Git host", hint="git.host says where the repository is: kind and repo")
    if host.kind not in _PAGES:
        raise Refused(f"where {host.kind} has its pages is not known")
    default, place = _PAGES[host.kind]
    url = host.url or default
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise Refused(f"git.host.url is no address of a {host.kind}", hint="git.host.url: https://git.example.com")
    return f"{url.rstrip('/')}/{quote(host.repo)}/{place}/{quote(sha, safe='')}"
