"""Checks of `git.host`: that `repo` and `url` are what the host's own pages and git's addresses are made of. People
copy them from a browser or from `git remote -v`."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlsplit

from ..domain.project import Host
from .reader import Reader, Record
from .sections import join

# Below how many owners or groups a repository is.
_FORMS: Final = {
    "github": (re.compile(r"[^/\s]+/[^/\s]+"), "OWNER/NAME"),
    "gitea": (re.compile(r"[^/\s]+/[^/\s]+"), "OWNER/NAME"),
    "gitlab": (re.compile(r"[^/\s]+(?:/[^/\s]+)+"), "GROUP/NAME, with all groups"),
}
_API: Final = re.compile(r"/api(?:/v[0-9]+)?/?$")
_ELSEWHERE: Final = re.compile(r"(?:[a-z][a-z0-9+]*://(?:[^/@\s]+@)?[^/\s]+/|[^/@\s]+@[^/:\s]+:)(?P<path>\S+)")


def check_host(record: Record, host: Host, reader: Reader) -> None:
    """Reports a `repo` that is no repository's name, and a `url` that is not the host's."""
    if host.kind not in _FORMS:
        return
    pattern, form = _FORMS[host.kind]
    if not pattern.fullmatch(host.repo) or host.repo.endswith(".git"):
        name = _name(host.repo)
        hint = f"write `repo: {name}`" if pattern.fullmatch(name) else "as in the address of its page, without the host"
        reader.problem(record.at("repo"), join(record.path, "repo"), f"`{_shown(host.repo)}` is not {form}", hint)
    if host.url:
        _url(record, host, reader)


def _url(record: Record, host: Host, reader: Reader) -> None:
    def problem(why: str, hint: str) -> Any:
        return reader.problem(record.at("url"), join(record.path, "url"), why, hint)

    try:
        parts = urlsplit(host.url)
    except ValueError:
        problem("is not an http(s) address", "such as https://git.acme.org")
        return
    path = parts.path.rstrip("/")
    root = f"{parts.scheme}://{parts.netloc}"
    if "@" in parts.netloc:
        problem("holds somebody's name or password", "the token is git.host.token: ${A_VARIABLE}")
    elif (parts.hostname or "").lower() == "api.github.com":
        problem("is the address of GitHub's API", "leave `url` out: github.com is meant")
    elif _API.search(path):
        problem("is the address of an API", f"write `url: {root}{_API.sub('', path)}`")
    elif path.removesuffix(".git").endswith(f"/{host.repo}"):
        above = path.removesuffix(".git").removesuffix(f"/{host.repo}")
        problem("is the repository's address, not the host's", f"write `url: {root}{above}`")
    elif parts.query or parts.fragment or (host.kind == "github" and path):
        problem("has more than the host's address", f"write `url: {root}{path if host.kind != 'github' else ''}`")


def _name(repo: str) -> str:
    """Returns what somebody means who has written an address."""
    found = _ELSEWHERE.fullmatch(repo)
    path = (found["path"] if found else repo).partition("?")[0].strip("/")
    return path.removesuffix(".git")


def _shown(repo: str) -> str:
    """Returns a repository as it was written, without a password in it."""
    return re.sub(r"//[^/\s]*@", "//", repo)
