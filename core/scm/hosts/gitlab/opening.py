"""Where GitLab's API is, and who asks."""

from __future__ import annotations

from ....domain.project import Project
from ....http_client import Credentials
from ..addresses import PUBLIC
from ..answers import AnswerStore
from ..base import Place
from ..tokens import TokenProof, host_setting
from ..transport import Dialect, HostTransport
from ..trust import trust_of

SETTING = (
    "set GITLAB_TOKEN (and GITLAB_HOST, for a host of your own), log in with `glab auth login`, or name a token_file:"
    " in git.host of podium.yaml"
)
DIALECT = Dialect({}, ("per_page", 100), SETTING)


def opened(project: Project, store: AnswerStore | None) -> tuple[Place, HostTransport]:
    """Returns where the repository is, and what talks to the host."""
    host = host_setting(project)
    web = (host.url or PUBLIC["gitlab"]).rstrip("/")
    api = f"{web}/api/v4"
    # Personal, project and group tokens are accepted as those of OAuth are.
    proof = TokenProof(host, web, project.home, lambda token: Credentials.bearer(api, token))
    place = Place(web, host.repo.strip("/"))
    return place, HostTransport(
        api, host=place.host, dialect=DIALECT, proof=proof, store=store, trust=trust_of(web, project.home)
    )
