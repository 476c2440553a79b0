"""Where GitHub's API is, and who asks."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from ....domain.hosts import HostFeature
from ....domain.project import Host, Project
from ....http_client import Credentials
from ..addresses import PUBLIC
from ..answers import AnswerStore
from ..base import Place
from ..tokens import TokenProof, host_setting
from ..transport import Dialect, HostTransport, Proof
from ..trust import trust_of
from .app import AppProof

SETTING = (
    "set GITHUB_TOKEN (for a host of your own GH_ENTERPRISE_TOKEN, and GH_HOST, which names it), log in with `gh auth"
    " login`, or name a token_file: in git.host of podium.yaml"
)
_NO_APP = "GitHub accepts check runs from a GitHub App alone (git.host.app in podium.yaml), not from a person's token"


DIALECT = Dialect(
    {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}, ("per_page", 100), SETTING
)


def opened(project: Project, store: AnswerStore | None) -> tuple[Place, HostTransport, Mapping[HostFeature, str]]:
    """Returns where the repository is, what talks to the host, and what cannot be done there."""
    host = host_setting(project)
    web = (host.url or PUBLIC["github"]).rstrip("/")
    api = api_url(web)
    proof: Proof = AppProof(host.app, api, project.home) if host.app is not None else _person(host, web, api, project)
    lacks = {} if host.app is not None else {HostFeature.CHECK_RUNS: _NO_APP}
    place = Place(web, host.repo)
    trust = trust_of(web, project.home)
    return place, HostTransport(api, host=place.host, dialect=DIALECT, proof=proof, store=store, trust=trust), lacks


def api_url(web: str) -> str:
    """Returns the address of the API of the GitHub at `web`."""
    parts = urlsplit(web)
    name = (parts.hostname or "").lower()
    if name in ("github.com", "www.github.com"):
        return "https://api.github.com"
    if name.endswith(".ghe.com"):  # data residency
        return f"{parts.scheme}://api.{name}"
    return f"{web}/api/v3"


def _person(host: Host, web: str, api: str, project: Project) -> TokenProof:
    return TokenProof(host, web, project.home, lambda token: Credentials.bearer(api, token))
