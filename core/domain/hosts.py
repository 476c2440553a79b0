"""What a Git host has: CI runs with their jobs and logs, pull requests, commit statuses, deployments. Every text in
here comes from outside, and is untrusted. The words are those of GitHub, whatever the host calls them: a pull request
is GitLab's merge request, a CI run its pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from pathlib import Path

from .frozen import Frozen
from .runs import Run
from .scm import CiState, CommitVersion


class StatusState(StrEnum):
    """The state of a commit status: what all hosts know, in GitHub's words. ERROR means that nobody can tell."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"


class HostFeature(StrEnum):
    """What not every host, or not every token, can do."""

    CI = "ci"
    LIVE_LOGS = "live logs"
    """A job's log can be read while it runs."""
    RERUN_FAILED = "re-run of what failed"
    CANCEL = "cancelling"
    APPROVE = "approvals"
    START = "starting a workflow"
    STATUSES = "commit statuses"
    DEPLOYMENTS = "deployments"
    CHECK_RUNS = "check runs"
    PULL_REQUESTS = "pull requests"
    RELEASES = "releases"


class HostAccount(Frozen):
    """Who a token belongs to, as the host says."""

    login: str
    id: str = ""


class CiRun(Frozen):
    """One run of a workflow (GitHub, Gitea) or one pipeline (GitLab)."""

    id: str
    """The host's number of it, unique in its repository."""
    repo: str
    """`owner/name` of the repository that it runs in: a child pipeline may run in another one than its parent."""
    name: str
    """The workflow's name; on GitLab the pipeline's name, or where it came from."""
    state: CiState
    branch: str = ""
    sha: str = ""
    event: str = ""
    """What started it: push, pull_request, schedule, …, as the host says."""
    title: str = ""
    """The commit's or the pull request's first line."""
    actor: str = ""
    number: int = 0
    """What people call it (`#12`)."""
    attempt: int = 1
    created: float = 0.0
    """In seconds since the epoch, like all times here; 0.0 when unknown."""
    updated: float = 0.0
    url: str = ""
    parent: str = ""
    """The id of the pipeline that started this one, if one did."""


class CiStep(Frozen):
    """A step of a job (GitHub, Gitea)."""

    number: int
    name: str
    state: CiState
    started: float = 0.0
    ended: float = 0.0


class CiJob(Frozen):
    """A job of a CI run. On GitLab a bridge, the job that starts another pipeline, is one too."""

    id: str
    run: str
    name: str
    state: CiState
    stage: str = ""
    started: float = 0.0
    ended: float = 0.0
    url: str = ""
    reason: str = ""
    """Why it failed or waits, in the host's words."""
    steps: tuple[CiStep, ...] = ()
    child: CiRun | None = None
    """The pipeline that a bridge started, which may be in another repository."""


class CiLog(Frozen):
    """A piece of a job's log."""

    text: str
    next: int
    """The offset in bytes from which to ask for what comes after."""
    complete: bool
    """Whether nothing more will come."""
    note: str = ""
    """Why there is nothing yet, and when the next look is worth while."""
    retry_after: float = 0.0
    """Seconds until then."""


class CiApproval(Frozen):
    """What a CI run waits for: an environment that somebody has to approve."""

    id: str
    """What `approve` needs: GitHub's environment id, GitLab's deployment id."""
    run: str
    environment: str
    may: bool = True
    """Whether the token's account may approve it."""
    why: str = ""
    """Why it may not."""
    repo: str = ""
    """`owner/name` of the run's repository, if it is not the project's own."""


class Workflow(Frozen):
    """Something that can be started by hand."""

    id: str
    name: str
    path: str = ""
    inputs: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Returns what a person may call it."""
        return (self.id, self.name, self.path, self.path.split("/")[-1])


class HostPullRequest(Frozen):
    """A pull request, GitLab's merge request."""

    number: int
    title: str
    author: str
    sha: str
    """The newest commit of what is to be merged."""
    branch: str
    """Where that comes from, in its own repository."""
    base: str
    """The branch that it is to be merged into."""
    fork: str = ""
    """`owner/name` of the repository that it comes from, if that is another one."""
    draft: bool = False
    url: str = ""
    updated: float = 0.0


class HostComment(Frozen):
    id: str
    body: str
    author: str


class CommitStatus(Frozen):
    """One mark on a commit. The host shows the newest of each context."""

    context: str
    """Who says it, such as `podium/release`."""
    state: StatusState
    description: str = ""
    """At most 140 characters; longer ones are cut by the client."""
    url: str = ""


class HostDeployment(Frozen):
    id: str
    environment: str
    sha: str
    state: StatusState
    url: str = ""
    created: float = 0.0


class HostCall(Frozen):
    """One request that was made to a host, for the log of calls."""

    at: float
    method: str
    path: str
    """Without the query's secrets; never a credential."""
    status: int
    """0 when there was no answer."""
    seconds: float
    cached: bool = False
    """Whether the host said that nothing had changed (304), which costs nothing of its limit."""


class RateLimit(Frozen):
    """What a host lets us ask. Unknown is None."""

    limit: int | None = None
    remaining: int | None = None
    resets: float | None = None
    """When `remaining` is `limit` again, in seconds since the epoch."""
    not_before: float = 0.0
    """The host asked for silence until then."""
    poll_interval: float = 0.0
    """The seconds that it wants between two polls; 0.0 where it does not say."""


class HostState(Frozen):
    """What is known of one Git host now."""

    name: str
    """Such as `github.com/acme/flight-delay`."""
    kind: str
    url: str
    """The repository's page."""
    account: str = ""
    error: str = ""
    """Why it was not reached when it was asked last."""
    asked: float = 0.0
    """When it was asked last."""
    rate: RateLimit | None = None


class CiAttention(StrEnum):
    """Why a CI run is where it is in the inbox; in this order."""

    FAILED = "failed"
    """It failed, and nothing newer of the same workflow and branch has come since."""
    WAITING = "waiting for me"
    """Somebody has to approve an environment, and this account may."""
    RUNNING = "running"
    """It runs, or waits for a machine or for somebody else."""
    OVER = ""


class CiRow(Frozen):
    """A row of the inbox: a CI run as it was last seen, and what Podium did with its commit."""

    host: str
    """Such as `github.com/acme/flight-delay`."""
    run: CiRun
    attention: CiAttention
    approvals: tuple[CiApproval, ...] = ()
    seen: float = 0.0
    """When the host was asked, in seconds since the epoch."""
    podium: Run | None = None
    """The newest run of a pipeline of Podium's at the commit."""
    versions: tuple[CommitVersion, ...] = ()
    project: str = ""
    """What names the project among those that are watched together (`InboxProject.label`); empty if there is one."""

    # Why something cannot be asked of it now, empty where it can.

    def why_not_rerun(self) -> str:
        if self.run.state in (CiState.FAILED, CiState.CANCELLED):
            return ""
        return f"CI run {self.run.id} is {self.run.state}; what failed or was cancelled is run again"

    def why_not_cancel(self) -> str:
        return f"CI run {self.run.id} is over: {self.run.state}" if self.run.state.finished else ""

    def why_not_approve(self) -> str:
        if not self.approvals:
            return f"CI run {self.run.id} waits for nobody"
        others = next((f"{each.environment}: {each.why}" for each in self.approvals if not each.may), "")
        return "" if any(each.may for each in self.approvals) else others


class InboxProject(Frozen):
    """A project whose CI runs are in an inbox of several."""

    label: str
    """Its name, or its directory where two have one name."""
    home: str
    host: HostState | None = None
    """None if podium.yaml names no host, or it was never asked."""
    missing: str = ""
    """Why its CI runs are not in the inbox; empty if they are."""


class CiInbox(Frozen):
    """The inbox, and what is known of its host."""

    rows: tuple[CiRow, ...] = ()
    host: HostState | None = None
    """None if podium.yaml names no host, or it was never asked."""
    projects: tuple[InboxProject, ...] = ()
    """Those whose runs are in it, if it is one of several projects."""


class HostLimits(Frozen):
    """What a host cannot do, and why; `configured` tells whether podium.yaml names one."""

    configured: bool = False
    missing: Mapping[HostFeature, str] = field(default_factory=dict[HostFeature, str])

    def why_not(self, feature: HostFeature) -> str:
        """Returns why the host cannot do it; empty if it can."""
        return self.missing.get(feature) or self.missing.get(HostFeature.CI, "")


class CiLogFile(Frozen):
    """A job's log, as far as it was fetched into a file of this machine."""

    path: Path
    complete: bool
    note: str = ""
    """Why there is nothing (more) yet."""
    retry_after: float = 0.0
    """Seconds until the next look is worth while."""
