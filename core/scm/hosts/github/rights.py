"""What a token has to be allowed on GitHub: the permissions of a fine-grained token or an App, and the scope of a
classic token that holds them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ....domain.watching import Finding, Health
from ..reading import as_document, at, line

if TYPE_CHECKING:
    from .host import GitHubHost

NEEDS_ACTIONS_READ = "Actions: read (classic: repo)"
NEEDS_ACTIONS = "Actions: write (classic: repo)"
NEEDS_CONTENTS = "Contents: read (classic: repo)"
NEEDS_PULLS = "Pull requests: write (classic: repo)"
NEEDS_STATUSES = "Commit statuses: write (classic: repo:status)"
NEEDS_DEPLOYMENTS = "Deployments: write (classic: repo_deployment)"
NEEDS_CHECKS = "Checks: write (GitHub Apps only)"
# A classic token with one of these may do all that Podium does.
_WHOLE = frozenset({"repo", "public_repo"})


def examined(host: GitHubHost) -> Sequence[Finding]:
    """Returns what is to be said of the host and the token. Raises as any call does."""
    found = as_document(host.http.get(host.repository, f"the repository {host.name}", needs=NEEDS_CONTENTS))
    findings = [Finding(Health.OK, "host", f"{host.name} answers")]
    findings += _token(host, at(found, "permissions", "push") is True)
    return [*findings, *host.findings(line(found, "full_name"))]


def _token(host: GitHubHost, may_write: bool) -> Iterator[Finding]:
    source = host.http.proof.source
    if not source:
        message = "there is no token: only what is public can be read, sixty requests an hour, and nothing is told back"
        yield Finding(Health.WARNING, "host", message, host.http.setting)
        return
    if host.app:
        yield Finding(Health.OK, "host", f"asks as {host.account().login}, {source}")
        return
    login = host.account().login
    yield Finding(Health.OK, "host", f"the token from {source} is that of {login}")
    scopes = host.http.header("/user", "the token's scopes", "x-oauth-scopes")
    held = {each.strip() for each in scopes.split(",") if each.strip()}
    if held and not held & _WHOLE:
        message = f"the token has the scopes {', '.join(sorted(held))}, and CI runs, statuses and deployments need repo"
        yield Finding(Health.WARNING, "host", message, "docs/hosts.md says which rights are for what")
    if not may_write:
        message = f"{login} may not write to {host.name}: statuses, deployments and re-runs will be refused"
        yield Finding(Health.WARNING, "host", message, "give the account, or the token, write access")
