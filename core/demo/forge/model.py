"""What a forge has: repositories with their commits' marks, pull requests and CI runs. The words are those of
`core/domain/hosts.py`, whatever a dialect calls them.

These are plain dataclasses, not frozen ones: the state of a forge is what changes. Whoever changes or reads one holds
`State.lock`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...domain.hosts import CiState, StatusState
from .bare import Bare


@dataclass(slots=True, eq=False)
class User:
    id: int
    login: str
    name: str
    email: str


@dataclass(slots=True, eq=False)
class Token:
    """A token of a person, or of an app that is installed in the repositories."""

    value: str = field(repr=False)
    user: User
    scopes: frozenset[str]
    """In the host's own words. Empty: none."""
    app: bool = False
    expires: float = 0.0
    """In seconds since the epoch; 0.0 for never."""


@dataclass(slots=True, eq=False)
class Step:
    number: int
    name: str
    state: CiState = CiState.QUEUED
    started: float = 0.0
    ended: float = 0.0


@dataclass(slots=True, eq=False)
class Job:
    id: int
    name: str
    run: Run = field(repr=False)
    stage: str = "test"
    state: CiState = CiState.QUEUED
    attempt: int = 1
    created: float = 0.0
    started: float = 0.0
    ended: float = 0.0
    reason: str = ""
    """Why it failed, in the host's words."""
    steps: list[Step] = field(default_factory=list[Step])
    log: bytearray = field(default_factory=bytearray, repr=False)
    manual: bool = False
    """Whether it waits until somebody starts it by hand (GitLab)."""
    environment: str = ""
    deployment: int = 0
    """The deployment that it makes, if it has an environment (GitLab)."""
    bridge: bool = False
    child: Run | None = field(default=None, repr=False)
    retried: bool = False
    """Whether a newer job took its place."""


@dataclass(slots=True, eq=False)
class Run:
    id: int
    number: int
    repo: Repo = field(repr=False)
    name: str
    workflow: CiWorkflow = field(repr=False)
    sha: str
    branch: str
    event: str
    title: str
    actor: User
    state: CiState = CiState.QUEUED
    attempt: int = 1
    created: float = 0.0
    updated: float = 0.0
    started: float = 0.0
    ended: float = 0.0
    jobs: list[Job] = field(default_factory=list[Job])
    inputs: Mapping[str, str] = field(default_factory=dict[str, str])
    parent: Job | None = field(default=None, repr=False)
    """The bridge that started it."""
    approvals: list[Approval] = field(default_factory=list["Approval"])


@dataclass(slots=True, eq=False)
class Approval:
    """An environment that somebody has to approve before a run goes on, and what was said."""

    environment: Environment
    reviewers: tuple[str, ...] = ()
    """Who may approve; nobody in particular when empty."""
    state: str = "pending"
    """pending, approved, rejected."""
    by: str = ""
    comment: str = ""
    at: float = 0.0


@dataclass(slots=True, eq=False)
class CiWorkflow:
    id: int
    name: str
    path: str
    created: float = 0.0
    dispatch: bool = True
    """Whether it can be started by hand."""
    inputs: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class Mark:
    """A commit status."""

    id: int
    sha: str
    context: str
    state: str
    """In the dialect's own words, as it was sent."""
    description: str
    url: str
    by: User
    created: float
    updated: float
    ref: str = ""


@dataclass(slots=True, eq=False)
class CheckRun:
    id: int
    sha: str
    name: str
    fields: dict[str, Any]
    created: float


@dataclass(slots=True, eq=False)
class DeploymentMark:
    id: int
    state: str
    description: str
    url: str
    """Where the environment is."""
    log_url: str
    by: User
    created: float


@dataclass(slots=True, eq=False)
class Deployment:
    id: int
    number: int
    environment: Environment
    sha: str
    ref: str
    by: User
    created: float
    updated: float
    task: str = "deploy"
    description: str = ""
    payload: Any = None
    transient: bool = False
    production: bool = False
    tag: bool = False
    state: str = ""
    """GitLab's own word; GitHub has a list of marks instead."""
    marks: list[DeploymentMark] = field(default_factory=list[DeploymentMark])
    approval: Approval | None = None
    job: Job | None = field(default=None, repr=False)


@dataclass(slots=True, eq=False)
class Environment:
    id: int
    name: str
    created: float
    url: str = ""
    reviewers: tuple[str, ...] = ()
    state: str = "available"


@dataclass(slots=True, eq=False)
class Pull:
    id: int
    number: int
    title: str
    body: str
    author: User
    branch: str
    base: str
    sha: str
    source: Repo = field(repr=False)
    """Where the branch is: the repository itself, or a fork."""
    created: float
    updated: float
    draft: bool = False
    state: str = "open"
    """open, closed, merged."""
    merged_sha: str = ""
    closed: float = 0.0
    deleted_fork: bool = False


@dataclass(slots=True, eq=False)
class Comment:
    id: int
    number: int
    """Of the pull request."""
    body: str
    author: User
    created: float
    updated: float


@dataclass(slots=True, eq=False)
class Release:
    id: int
    tag: str
    name: str
    body: str
    author: User
    created: float
    draft: bool = False
    prerelease: bool = False
    target: str = ""


@dataclass(slots=True, eq=False)
class Hook:
    """A webhook. `events` are the host's own words; all of them when empty."""

    id: int
    url: str
    secret: str = field(repr=False)
    events: tuple[str, ...]
    created: float
    active: bool = True


@dataclass(slots=True, eq=False)
class Pushed:
    """A branch or tag that moved. `old` is empty for a new one, `new` for one that is gone."""

    id: int
    at: float
    by: User
    ref: str
    old: str
    new: str


@dataclass(slots=True, eq=False)
class Repo:
    id: int
    owner: str
    name: str
    bare: Bare
    created: float
    private: bool = True
    default_branch: str = "main"
    fork_of: Repo | None = field(default=None, repr=False)
    readers: frozenset[str] | None = None
    """Who may see it; everybody with a token when None."""
    writers: frozenset[str] | None = None
    """Who may change it; whoever may see it when None."""
    pushed: float = 0.0
    seen: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    """The refs when they were looked at last: what differs from them was pushed."""
    next_number: int = 1
    next_run: int = 1
    next_deployment: int = 1
    workflows: list[CiWorkflow] = field(default_factory=list[CiWorkflow])
    runs: dict[int, Run] = field(default_factory=dict[int, Run], repr=False)
    marks: dict[str, list[Mark]] = field(default_factory=dict[str, list[Mark]], repr=False)
    checks: dict[int, CheckRun] = field(default_factory=dict[int, CheckRun], repr=False)
    deployments: dict[int, Deployment] = field(default_factory=dict[int, Deployment], repr=False)
    environments: dict[str, Environment] = field(default_factory=dict[str, Environment], repr=False)
    pulls: dict[int, Pull] = field(default_factory=dict[int, Pull], repr=False)
    comments: dict[int, Comment] = field(default_factory=dict[int, Comment], repr=False)
    releases: dict[int, Release] = field(default_factory=dict[int, Release], repr=False)
    hooks: dict[int, Hook] = field(default_factory=dict[int, Hook], repr=False)
    pushes: list[Pushed] = field(default_factory=list["Pushed"], repr=False)
    """The newest, the last one at the end."""

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"

    def __repr__(self) -> str:
        return f"Repo({self.full_name})"


STATUS_STATES = tuple(str(state) for state in StatusState)
