"""What a token has to be allowed on Gitea and Forgejo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ....domain.watching import Finding, Health
from ..reading import as_document, at, line

if TYPE_CHECKING:
    from .host import GiteaHost

SETTING = "set GITEA_TOKEN (and GITEA_HOST, the host that it is for), or name a token_file: in git.host of podium.yaml"
NEEDS_READ = "read:repository"
NEEDS_WRITE = "write:repository"
NEEDS_ISSUES_READ = "read:issue"
NEEDS_ISSUES = "write:issue"
NEEDS_USER = "read:user"


def examined(host: GiteaHost) -> Sequence[Finding]:
    """Returns what is to be said of the host and the token. Raises as any call does."""
    version = line(as_document(host.http.get("/version", "the host's version")), "version")
    found = as_document(host.http.get(host.repository, f"the repository {host.name}", needs=NEEDS_READ))
    findings = [Finding(Health.OK, "host", f"{host.name} answers (version {version})"), *_token(host, found)]
    return [*findings, *host.findings(line(found, "full_name"))]


def _token(host: GiteaHost, repository: dict[str, Any]) -> Iterator[Finding]:
    source = host.http.proof.source
    if not source:
        message = "there is no token: only what is public can be read, and nothing is told back"
        yield Finding(Health.WARNING, "host", message, host.http.setting)
        return
    login = host.account().login
    yield Finding(Health.OK, "host", f"the token from {source} is that of {login}")
    # The host does not tell a token its own scopes.
    if at(repository, "permissions", "push") is not True:
        message = f"{login} may not write to {host.name}: statuses and comments will be refused"
        yield Finding(Health.WARNING, "host", message, f"give the account write access, and the token {NEEDS_WRITE}")
