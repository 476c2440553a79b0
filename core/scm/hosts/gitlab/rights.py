"""What a token has to be allowed on GitLab."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ....domain.watching import Finding, Health
from ....errors import NotFound, Refused
from ..reading import as_document, at, line, number

if TYPE_CHECKING:
    from .host import GitLabHost

NEEDS_READ = "scope read_api"
NEEDS_API = "scope api, role Developer"
NEEDS_RELEASE = "scope api, role Developer; Maintainer for a protected tag"
# GitLab's number of the role.
DEVELOPER = 30


def examined(host: GitLabHost) -> Sequence[Finding]:
    """Returns what is to be said of the host and the token. Raises as any call does."""
    found = as_document(host.http.get(host.project, f"the project {host.name}", needs=NEEDS_READ))
    findings = [Finding(Health.OK, "host", f"{host.name} answers"), *_token(host, found)]
    return [*findings, *host.findings(line(found, "path_with_namespace"))]


def _token(host: GitLabHost, project: dict[str, Any]) -> Iterator[Finding]:
    source = host.http.proof.source
    if not source:
        message = "there is no token: only what is public can be read, and nothing is told back"
        yield Finding(Health.WARNING, "host", message, host.http.setting)
        return
    login = host.account().login
    yield Finding(Health.OK, "host", f"the token from {source} is that of {login}")
    scopes = _scopes(host)
    if scopes is not None and "api" not in scopes:
        message = f"the token has the scopes {', '.join(sorted(scopes)) or 'of nothing'}, and telling back needs api"
        yield Finding(Health.WARNING, "host", message, "docs/hosts.md says which rights are for what")
    roles = [number(as_document(at(project, "permissions", each)), "access_level") for each in _ACCESS]
    if max(roles) < DEVELOPER:
        message = f"{login} is no developer of {host.name}: statuses, deployments and retries will be refused"
        yield Finding(Health.WARNING, "host", message, "give the account the role Developer")


_ACCESS = ("project_access", "group_access")


def _scopes(host: GitLabHost) -> set[str] | None:
    """Returns the scopes of a personal, project or group token; None for one that cannot tell, as OAuth's."""
    try:
        found = as_document(host.http.get("/personal_access_tokens/self", "the token's scopes"))
    except (NotFound, Refused):
        return None
    scopes: Any = found.get("scopes")
    return {str(each) for each in scopes} if isinstance(scopes, list) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
