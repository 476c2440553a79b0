"""The Git host, MLflow, Ray and Docker as podium.yaml describes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Any

from ..frozen import Frozen


class Tell(Frozen):
    """What the Git host is told."""

    statuses: bool = True
    """How runs and their gates stand, as statuses of their commits."""
    deployments: bool = True
    comment: bool = True
    """The comparison of candidate and champion, as one comment of the pull request."""
    releases: bool = False
    """A release for each version that is promoted; needs `git.tags`."""


class HostApp(Frozen):
    """A GitHub App that asks instead of a person: its number, that of its installation, and a file with its key."""

    id: str
    installation: str
    key_file: str


class Host(Frozen):
    """The Git host: `kind` is github, gitlab, gitea, or git for a repository without any of them."""

    kind: str
    repo: str
    """`owner/name`; for git what it fetches from: an address or a path."""
    token: str = field(default="", repr=False)
    token_file: str = ""
    """A file of mode 600, relative to the project."""
    variables: tuple[str, ...] = ()
    """The variables that stand in `token` and `url`."""
    named: bool = False
    """Whether a variable gave the whole host of `url`."""
    app: HostApp | None = field(default=None, metadata={"section": HostApp})
    url: str = ""
    tell: Tell = field(default=Tell(), metadata={"section": Tell})

    @property
    def place(self) -> str:
        """Returns where the repository is, such as `github.com/acme/flight-delay`, by the file alone, as one word and
        without a credential."""
        where = self.url.partition("://")[2].rstrip("/") or ("" if self.kind == "git" else f"{self.kind}.com")
        named = f"{where}/{self.repo}" if where else self.repo
        return re.sub(r"[^/@\s]*@(?=[^/])", "", named, count=1).replace(" ", "%20")


class Git(Frozen):
    branch: str = "main"
    host: Host | None = field(default=None, metadata={"section": Host})
    remote: str = ""
    """Where pushes arrive if there is no host: the name of a remote, an address or a path; empty for here."""
    poll: float = 30.0
    """The seconds between two looks there."""
    webhook_secret: str = field(default="", repr=False)
    tags: bool = False
    """Whether versions and what is promoted are recorded as tags of the repository."""

    @property
    def elsewhere(self) -> bool:
        """Tells whether pushes arrive at another repository than this one."""
        return self.host is not None or bool(self.remote)


# The variable by which MLflow's own `server` hands its --default-artifact-root to the processes that it starts.
ARTIFACT_ROOT = "_MLFLOW_SERVER_ARTIFACT_ROOT"


class Mlflow(Frozen):
    """The MLflow store. `tracking_uri` is absolute if it names a local file; `variables` are those that stand in it,
    and `named` says that one of them gave the whole host. `artifacts` is the one directory of this machine that a
    tracking server may name as the place of its files, empty for none. `embedded` means that
    Podium opens the store directly, without a server."""

    tracking_uri: str
    experiment: str
    model: str
    artifacts: str = ""
    variables: tuple[str, ...] = ()
    named: bool = False
    registry_uri: str = ""
    """Where models and their versions are, as `tracking_uri`; empty for the same store as the runs."""
    registry_variables: tuple[str, ...] = ()
    registry_named: bool = False

    @property
    def embedded(self) -> bool:
        return not self.tracking_uri.startswith(("http://", "https://"))

    @property
    def registry(self) -> Mlflow:
        """Returns the store of models and versions, which mostly is that of the runs too."""
        if not self.registry_uri:
            return self
        return replace(
            self,
            tracking_uri=self.registry_uri,
            variables=self.registry_variables,
            named=self.registry_named,
            registry_uri="",
            registry_variables=(),
        )

    @property
    def stores(self) -> tuple[str, ...]:
        """Returns the addresses: where runs are, and models where that is another."""
        return tuple(filter(None, (self.tracking_uri, self.registry_uri)))

    def artifact_directory(self, state: Path) -> Path:
        """Returns where an embedded store keeps the files of its runs and models: beside its database where that has a
        directory of its own in the state directory, so that a container needs to see no more than this one."""
        store = Path(self.tracking_uri.removeprefix("sqlite:///")).parent
        return (store if state in store.parents else state) / "artifacts"

    @property
    def by_client(self) -> bool:
        """Tells whether runs or models are in a store without a server, which MLflow's own client opens: loading that
        takes seconds."""
        return self.embedded or self.registry.embedded


class Ray(Frozen):
    """The cluster for steps with `executor: ray`."""

    address: str = ""
    """The address of its dashboard."""
    shared: bool = False
    """Whether its nodes have the project's directory at the same path."""
    trusted: bool = False
    """Whether nobody else reaches it, so that secrets may be part of jobs."""
    runtime_env: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What it installs for each job."""


class Docker(Frozen):
    """The engine for steps and image builds, and the configuration of serving images."""

    host: str = ""
    """A unix://, tcp:// or ssh:// address; empty for DOCKER_HOST or this machine's engine."""
    tls: str = ""
    """A directory with ca.pem, cert.pem and key.pem for tcp."""
    base: str = "python:3.11-slim"
    """The image that serving images are built on."""
    push: str = ""
    """The repository (`registry.example.com/flight-delay`) that serving images are pushed to; empty for none."""
    wheels: str = ""
    """A directory of wheels that images install from instead of the package index."""
    sbom: bool = True
    """Keeps a bill of materials with each image if syft is installed."""
